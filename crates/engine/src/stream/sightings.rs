//! Who still lives, judged by whether a number that he keeps raising stands still. No clocks are compared: only how long
//! this process has seen no change.
use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use tokio::time::Instant;

/// What was seen last of each, and until when that counts as a sign of life.
#[derive(Debug)]
pub(crate) struct Sightings<K, V> {
    seen: HashMap<K, (V, Instant)>,
}

impl<K, V> Default for Sightings<K, V> {
    fn default() -> Self {
        Self { seen: HashMap::new() }
    }
}

impl<K: Eq + Hash, V: PartialEq> Sightings<K, V> {
    /// Takes over what is there now; what is no longer there is forgotten. A change, and the first sight, count as a sign
    /// of life for `patience`.
    pub fn see(&mut self, now_there: impl IntoIterator<Item = (K, V)>, now: Instant, patience: Duration) {
        let mut before = std::mem::take(&mut self.seen);
        for (key, value) in now_there {
            let until = match before.remove(&key) {
                Some((same, until)) if same == value => until,
                _ => now + patience,
            };
            self.seen.insert(key, (value, until));
        }
    }

    /// Whether the last sign of life is recent enough.
    pub fn is_alive(&self, key: &K, now: Instant) -> bool {
        self.seen.get(key).is_some_and(|(_, until)| *until > now)
    }

    /// All whose last sign of life is recent enough.
    pub fn alive(&self, now: Instant) -> impl Iterator<Item = &K> {
        self.seen.iter().filter(move |(_, (_, until))| *until > now).map(|(key, _)| key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_stands_still_is_dead_after_a_while_and_lives_again_when_it_moves() {
        let (start, patience) = (Instant::now(), Duration::from_secs(10));
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut sightings = Sightings::default();
        sightings.see([("a", 1), ("b", 1)], at(0), patience);
        sightings.see([("a", 1), ("b", 2)], at(6), patience);
        assert!(sightings.is_alive(&"a", at(9)) && !sightings.is_alive(&"a", at(10)));
        assert_eq!(sightings.alive(at(12)).collect::<Vec<_>>(), [&"b"]);
        sightings.see([("a", 2)], at(13), patience);
        assert!(sightings.is_alive(&"a", at(14)) && !sightings.is_alive(&"b", at(14)), "b is gone");
    }
}

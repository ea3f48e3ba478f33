//! Where reading is to go on. Pure.
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use pelton_core::{Checkpoint, Listing, NewShard, PartitionId, Position, SequenceNumber, ShardState};

/// LATEST is kept as a time, as it would mean another place whenever it is read: this much before now, so that a clock
/// that is a little fast loses nothing.
const CLOCK_MARGIN: Duration = Duration::from_millis(500);

/// What `--to` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The oldest record there is.
    TrimHorizon,
    /// What is put from now on.
    Latest,
    /// The first record that arrived then or later.
    At(Timestamp),
    /// Behind this record of one shard.
    Behind(SequenceNumber),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().map(Self::Behind).map_err(|error: pelton_core::SequenceNumberError| error.to_string());
        }
        match (text, text.parse::<Timestamp>()) {
            ("TRIM_HORIZON", _) => Ok(Self::TrimHorizon),
            ("LATEST", _) => Ok(Self::Latest),
            (_, Ok(at)) => Ok(Self::At(at)),
            _ if text.parse::<DateTime>().is_ok() => {
                Err("a time needs its offset from UTC: 2026-01-01T00:00:00Z, or 2026-01-01T00:00:00+02:00".to_owned())
            }
            _ => {
                Err("write TRIM_HORIZON, LATEST, a time such as 2026-01-01T00:00:00Z, or a sequence number".to_owned())
            }
        }
    }
}

impl Place {
    /// The checkpoint that lets a shard be read on there. Nothing of an old one is kept but that a shard which is read
    /// to its end has nothing newer.
    pub fn checkpoint(&self, position: Option<&Position>, now: Timestamp) -> Checkpoint {
        let position = match self {
            Self::TrimHorizon => Position::TrimHorizon,
            Self::Latest if position == Some(&Position::End) => Position::End,
            Self::Latest => Position::AtTimestamp(now.checked_sub(CLOCK_MARGIN).unwrap_or(now)),
            Self::At(at) => Position::AtTimestamp(*at),
            Self::Behind(number) => Position::After(number.clone()),
        };
        Checkpoint { position, ..Checkpoint::default() }
    }

    /// The shards that came while nobody looked. Left alone they begin at their oldest record, which may be before the
    /// place.
    pub fn new_shards(&self, known: &[ShardState], listing: &Listing, now: Timestamp) -> Vec<NewShard> {
        if !matches!(self, Self::Latest | Self::At(_)) {
            return Vec::new();
        }
        let is_new = |id: &PartitionId| !known.iter().any(|state| state.partition == *id);
        let new = listing.partitions.iter().filter(|listed| is_new(&listed.id)).map(|listed| {
            // Nothing more comes from a closed shard.
            let end = Some(&Position::End).filter(|_| listed.closed);
            let position = self.checkpoint(end, now).position;
            NewShard { partition: listed.id.clone(), parents: listed.parents.clone(), position }
        });
        new.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pelton_core::Partition;

    fn place(text: &str) -> Place {
        text.parse().unwrap()
    }

    fn now() -> Timestamp {
        "2026-06-01T12:00:00.5Z".parse().unwrap()
    }

    #[test]
    fn places_are_read() {
        assert_eq!(place("TRIM_HORIZON"), Place::TrimHorizon);
        assert_eq!(place("LATEST"), Place::Latest);
        assert_eq!(place("2026-01-01T01:00:00+01:00"), Place::At("2026-01-01T00:00:00Z".parse().unwrap()));
        assert_eq!(place("1735689600"), Place::Behind("1735689600".parse().unwrap()));
        let offset = "a time needs its offset from UTC: 2026-01-01T00:00:00Z, or 2026-01-01T00:00:00+02:00";
        let words = "write TRIM_HORIZON, LATEST, a time such as 2026-01-01T00:00:00Z, or a sequence number";
        for (text, message) in
            [("2026-01-01", offset), ("2026-01-01T00:00:00", offset), ("latest", words), ("", words), ("-1", words)]
        {
            assert_eq!(text.parse::<Place>().unwrap_err(), message, "{text}");
        }
        assert!("1".repeat(130).parse::<Place>().unwrap_err().ends_with("at most 129 of them"));
    }

    #[test]
    fn a_place_is_a_position_of_each_shard() {
        let after = Position::After("7".parse().unwrap());
        let latest = Position::AtTimestamp("2026-06-01T12:00:00Z".parse().unwrap());
        let to = |text, from: &Position| place(text).checkpoint(Some(from), now()).position;
        for from in [&after, &Position::End] {
            assert_eq!(to("TRIM_HORIZON", from), Position::TrimHorizon);
            assert_eq!(to("9", from), Position::After("9".parse().unwrap()));
            let at = "2026-01-01T00:00:00Z";
            assert_eq!(to(at, from), Position::AtTimestamp(at.parse().unwrap()));
        }
        assert_eq!(to("LATEST", &after), latest);
        assert_eq!(to("LATEST", &Position::End), Position::End);
    }

    #[test]
    fn shards_that_came_meanwhile_do_not_begin_before_the_place() {
        let shard = |name: &str, closed| Partition { id: PartitionId(name.into()), parents: vec![], closed };
        let partitions = vec![shard("known", true), shard("split again", true), shard("child", false)];
        let listing = Listing { incarnation: String::new(), retention: None, partitions };
        let known = [ShardState {
            partition: PartitionId("known".into()),
            parents: vec![],
            checkpoint: Checkpoint::default(),
            owner: None,
            counter: 0,
            renewals: 0,
        }];
        let new = |text| -> Vec<(String, Position)> {
            let new = place(text).new_shards(&known, &listing, now());
            new.into_iter().map(|shard| (shard.partition.0, shard.position)).collect()
        };
        let at = |text: &str| Position::AtTimestamp(text.parse().unwrap());
        let time = "2026-01-01T00:00:00Z";
        assert_eq!(new(time), [("split again".into(), at(time)), ("child".into(), at(time))]);
        let latest = at("2026-06-01T12:00:00Z");
        assert_eq!(new("LATEST"), [("split again".into(), Position::End), ("child".into(), latest)]);
        assert_eq!(new("TRIM_HORIZON"), []);
    }
}

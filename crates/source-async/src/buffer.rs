//! What this process has received: events that wait here to be taken, and those that are worked on. Pure.
use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use pelton_core::{AsyncEvent, Due, EventId, EventSummary, FunctionName, Waiting};
use tokio::time::Instant;

use crate::message::Copy;

/// Events that wait here, at most.
const MOST_EVENTS: usize = 1_000;
/// Bytes of payload that wait here, roughly at most.
const MOST_BYTES: usize = 64 * 1_024 * 1_024;
/// A function may have this share of the room that is left, so that one whose events aren't taken leaves room for others,
/// however many such functions there are.
const SHARE: usize = 4;

/// A copy that is hidden from the other processes for a time.
#[derive(Debug)]
struct Hidden {
    copy: Copy,
    until: Instant,
    /// It can't be hidden any longer.
    is_lost: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// May be taken.
    Waits,
    /// Worked on.
    Taken,
    /// On its way out: its copies are being deleted. Others that come are not of its doing.
    Leaves,
}

#[derive(Debug)]
struct Held {
    event: AsyncEvent,
    /// Rises with every event.
    number: u64,
    /// Usually one. A message that was sent twice, as its first sending seemed to have failed, has two.
    copies: Vec<Hidden>,
    state: State,
    /// It was sent anew: only its copies are to be deleted.
    is_sent: bool,
}

impl Held {
    fn key(&self) -> (Timestamp, u64, EventId) {
        (self.event.due_at, self.number, self.event.id)
    }

    fn is_hidden(&self, now: Instant) -> bool {
        self.copies.iter().any(|hidden| !hidden.is_lost && hidden.until > now)
    }
}

#[derive(Debug, Default)]
struct Line {
    due: BTreeSet<(Timestamp, u64, EventId)>,
    bytes: usize,
}

/// What became of a message.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// It waits here.
    Kept,
    /// Its event is here already, and will end with it.
    Joined,
    /// There is no room for another of this function now.
    TooMany,
}

/// How an event leaves.
#[derive(Debug, PartialEq, Eq)]
pub struct Leaving {
    /// What deletes its copies.
    pub receipts: Vec<String>,
    /// It was sent anew already.
    pub is_sent: bool,
}

#[derive(Debug, Default)]
pub struct Buffer {
    held: HashMap<EventId, Held>,
    lines: HashMap<FunctionName, Line>,
    waits: usize,
    bytes: usize,
    numbers: u64,
}

impl Buffer {
    /// How many more events may be received.
    pub fn room(&self) -> usize {
        if self.bytes >= MOST_BYTES { 0 } else { MOST_EVENTS.saturating_sub(self.waits) }
    }

    fn has_room_for(&self, event: &AsyncEvent) -> bool {
        let (waits, bytes) = self.lines.get(&event.function).map_or((0, 0), |line| (line.due.len(), line.bytes));
        let share = |most: usize, used: usize| most.saturating_sub(used).div_ceil(SHARE);
        self.room() > 0 && waits < share(MOST_EVENTS, self.waits) && bytes < share(MOST_BYTES, self.bytes)
    }

    /// A message has come, and is hidden until then.
    pub fn receive(&mut self, event: AsyncEvent, copy: Copy, until: Instant) -> Received {
        if let Some(held) = self.held.get_mut(&event.id) {
            let known = held.copies.iter_mut().find(|hidden| hidden.copy.message == copy.message);
            let hidden = Hidden { copy, until, is_lost: false };
            match known {
                Some(known) => *known = hidden,
                // It may be the one that was just sent anew.
                None if held.state == State::Leaves => return Received::TooMany,
                None => held.copies.push(hidden),
            }
            return Received::Joined;
        }
        if !self.has_room_for(&event) {
            return Received::TooMany;
        }
        self.numbers += 1;
        let copies = vec![Hidden { copy, until, is_lost: false }];
        let id = event.id;
        self.held.insert(id, Held { event, number: self.numbers, copies, state: State::Taken, is_sent: false });
        self.wait(id);
        Received::Kept
    }

    /// Has a held event wait.
    fn wait(&mut self, event: EventId) {
        let Some(held) = self.held.get_mut(&event) else { return };
        held.state = State::Waits;
        let line = self.lines.entry(held.event.function.clone()).or_default();
        line.due.insert(held.key());
        line.bytes += held.event.payload.len();
        self.waits += 1;
        self.bytes += held.event.payload.len();
    }

    /// Has an event that waits do so no longer.
    fn stop_waiting(&mut self, event: EventId, state: State) {
        let Some(held) = self.held.get_mut(&event).filter(|held| held.state == State::Waits) else { return };
        held.state = state;
        let size = held.event.payload.len();
        if let Some(line) = self.lines.get_mut(&held.event.function) {
            line.due.remove(&held.key());
            line.bytes -= size;
            if line.due.is_empty() {
                self.lines.remove(&held.event.function);
            }
        }
        self.waits -= 1;
        self.bytes -= size;
    }

    /// As [`pelton_core::EventQueue::take`]. What is no longer hidden from others is dropped: one of them has it, or
    /// will.
    pub fn take(&mut self, function: &FunctionName, now: Timestamp, most: usize, instant: Instant) -> Due {
        let mut events = Vec::new();
        loop {
            let Some(first) = self.lines.get(function).and_then(|line| line.due.first().copied()) else {
                return Due { events, next: None };
            };
            let (due_at, _, id) = first;
            let Some(held) = self.held.get(&id).filter(|held| held.is_hidden(instant)) else {
                self.stop_waiting(id, State::Leaves);
                self.held.remove(&id);
                continue;
            };
            if due_at > now || events.len() >= most {
                return Due { events, next: Some(due_at) };
            }
            events.push(held.event.clone());
            self.stop_waiting(id, State::Taken);
        }
    }

    /// Has an event leave. `None`: it isn't here.
    pub fn leave(&mut self, event: EventId) -> Option<Leaving> {
        self.stop_waiting(event, State::Leaves);
        let held = self.held.get_mut(&event)?;
        held.state = State::Leaves;
        let receipts = held.copies.iter().map(|hidden| hidden.copy.receipt.clone()).collect();
        Some(Leaving { receipts, is_sent: held.is_sent })
    }

    /// It was sent anew.
    pub fn sent(&mut self, event: EventId) {
        if let Some(held) = self.held.get_mut(&event) {
            held.is_sent = true;
        }
    }

    /// It could not leave, and is worked on still.
    pub fn stay_taken(&mut self, event: EventId) {
        if let Some(held) = self.held.get_mut(&event) {
            held.state = State::Taken;
        }
    }

    /// It could not leave, and waits still.
    pub fn stay_waiting(&mut self, event: EventId) {
        self.wait(event);
    }

    /// It has left.
    pub fn left(&mut self, event: EventId) {
        self.stop_waiting(event, State::Leaves);
        self.held.remove(&event);
    }

    pub fn waits(&self, event: EventId) -> bool {
        self.held.get(&event).is_some_and(|held| held.state == State::Waits)
    }

    pub fn get(&self, event: EventId) -> Option<&AsyncEvent> {
        self.held.get(&event).map(|held| &held.event)
    }

    /// Copies that come out of hiding before `limit`, with their events.
    pub fn expiring(&self, limit: Instant) -> Vec<(EventId, Copy)> {
        let copies = self.held.values().flat_map(|held| held.copies.iter().map(|hidden| (held.event.id, hidden)));
        let expiring = copies.filter(|(_, hidden)| !hidden.is_lost && hidden.until < limit);
        expiring.map(|(event, hidden)| (event, hidden.copy.clone())).collect()
    }

    /// A copy is hidden for longer; `None`: it can't be.
    pub fn extended(&mut self, event: EventId, copy: &Copy, until: Option<Instant>) {
        let copies = self.held.get_mut(&event).into_iter().flat_map(|held| &mut held.copies);
        // Received anew meanwhile, it has another receipt, and another time.
        for hidden in copies.filter(|hidden| hidden.copy == *copy) {
            match until {
                Some(until) => hidden.until = until,
                None => hidden.is_lost = true,
            }
        }
    }

    /// Everything that waits leaves: events with their copies.
    pub fn drain(&mut self) -> Vec<(AsyncEvent, Vec<Copy>)> {
        let waiting: Vec<EventId> = self.lines.values().flat_map(|line| line.due.iter().map(|(.., id)| *id)).collect();
        let mut drained = Vec::with_capacity(waiting.len());
        for id in waiting {
            self.stop_waiting(id, State::Leaves);
            if let Some(held) = self.held.remove(&id) {
                drained.push((held.event, held.copies.into_iter().map(|hidden| hidden.copy).collect()));
            }
        }
        drained
    }

    /// As [`pelton_core::EventQueue::waiting`].
    pub fn counts(&self) -> Vec<Waiting> {
        let mut counts: BTreeMap<&FunctionName, u64> = BTreeMap::new();
        for held in self.held.values() {
            *counts.entry(&held.event.function).or_default() += 1;
        }
        counts.into_iter().map(|(function, events)| Waiting { function: function.clone(), events }).collect()
    }

    /// As [`pelton_core::EventQueue::events`].
    pub fn list(
        &self,
        function: Option<&FunctionName>,
        after: Option<(Timestamp, EventId)>,
        most: usize,
    ) -> Vec<EventSummary> {
        let is_wanted = |held: &&Held| {
            let event = &held.event;
            function.is_none_or(|function| event.function == *function)
                && after.is_none_or(|after| (event.accepted_at, event.id) > after)
        };
        let mut wanted: Vec<&Held> = self.held.values().filter(is_wanted).collect();
        wanted.sort_by_key(|held| (held.event.accepted_at, held.event.id));
        let summary = |held: &Held| EventSummary {
            id: held.event.id,
            function: held.event.function.clone(),
            accepted_at: held.event.accepted_at,
            attempts: held.event.attempts,
            due_at: held.event.due_at,
            is_taken: held.state != State::Waits,
        };
        wanted.into_iter().take(most).map(summary).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pelton_testkit::event_queue_suite::{at, new_event, new_function};
    use std::time::Duration;

    fn copy(message: &str, receives: u32) -> Copy {
        Copy { message: message.into(), receipt: format!("{message}-{receives}"), receives }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(30)
    }

    #[test]
    fn every_copy_of_an_event_ends_with_it() {
        let (mut buffer, function) = (Buffer::default(), new_function());
        let event = new_event(&function, 1);
        assert_eq!(buffer.receive(event.clone(), copy("a", 1), soon()), Received::Kept);
        assert_eq!(buffer.take(&function, at(1), 10, Instant::now()).events, std::slice::from_ref(&event));
        assert_eq!(buffer.receive(event.clone(), copy("a", 2), soon()), Received::Joined);
        assert_eq!(buffer.receive(event.clone(), copy("b", 1), soon()), Received::Joined);
        assert_eq!(buffer.take(&function, at(1), 10, Instant::now()), Due::default(), "it is given once");
        let leaving = buffer.leave(event.id);
        assert_eq!(leaving, Some(Leaving { receipts: vec!["a-2".into(), "b-1".into()], is_sent: false }));
        buffer.left(event.id);
        assert_eq!((buffer.counts(), buffer.leave(event.id)), (vec![], None));
    }

    #[test]
    fn what_comes_of_an_event_that_is_being_put_back_is_not_deleted_with_it() {
        let (mut buffer, function) = (Buffer::default(), new_function());
        let event = new_event(&function, 1);
        buffer.receive(event.clone(), copy("a", 1), soon());
        buffer.take(&function, at(1), 10, Instant::now());
        buffer.leave(event.id);
        // It is sent, and comes before that is known.
        assert_eq!(buffer.receive(event.clone(), copy("b", 1), soon()), Received::TooMany);
        buffer.sent(event.id);
        assert_eq!(
            buffer.receive(event.clone(), copy("a", 2), soon()),
            Received::Joined,
            "the old one is still its own"
        );
        let again = Leaving { receipts: vec!["a-2".into()], is_sent: true };
        assert_eq!(buffer.leave(event.id), Some(again), "deleted again, it isn't sent again");
        buffer.left(event.id);
        assert_eq!(buffer.receive(event, copy("b", 2), soon()), Received::Kept);
    }

    #[test]
    fn functions_share_the_room() {
        let mut buffer = Buffer::default();
        let mut kept = Vec::new();
        for _ in 0..20 {
            let function = new_function();
            let mut count = 0;
            while buffer.receive(new_event(&function, 1), copy("a", 1), soon()) == Received::Kept {
                count += 1;
            }
            kept.push((function, count));
        }
        assert_eq!(kept[0].1, 200);
        assert!(kept.iter().all(|(_, count)| *count > 0) && buffer.room() > 0, "there is room for more");
        let (first, _) = &kept[0];
        let taken = buffer.take(first, at(1), 1_000, Instant::now()).events;
        assert_eq!(taken.len(), 200);
        assert_eq!(buffer.receive(new_event(first, 1), copy("a", 1), soon()), Received::Kept, "what is taken has left");
    }

    #[test]
    fn large_payloads_share_the_room_too() {
        let (mut buffer, function) = (Buffer::default(), new_function());
        let large = bytes::Bytes::from(vec![b'7'; 1_024 * 1_024]);
        let event = |function: &FunctionName| AsyncEvent { payload: large.clone(), ..new_event(function, 1) };
        let mut count = 0;
        while buffer.receive(event(&function), copy("a", 1), soon()) == Received::Kept {
            count += 1;
        }
        assert!((10..20).contains(&count), "{count} are a share of 64 MiB");
        for event in buffer.take(&function, at(1), 1_000, Instant::now()).events {
            buffer.stay_taken(event.id);
            buffer.left(event.id);
        }
        assert_eq!((buffer.bytes, buffer.waits, buffer.lines.len()), (0, 0, 0));
    }

    #[test]
    fn what_others_may_have_is_not_given() {
        let (mut buffer, function) = (Buffer::default(), new_function());
        let [late, extended, lost] = [1, 2, 3].map(|second| new_event(&function, second));
        let now = Instant::now();
        let until = now + Duration::from_secs(3);
        for event in [&late, &extended, &lost] {
            buffer.receive(event.clone(), copy("a", 1), until);
        }
        assert_eq!(buffer.expiring(until).len(), 0);
        assert_eq!(buffer.expiring(until + Duration::from_secs(1)).len(), 3);
        buffer.extended(extended.id, &copy("a", 1), Some(until + Duration::from_secs(3)));
        buffer.extended(lost.id, &copy("a", 1), None);
        assert_eq!(buffer.expiring(until + Duration::from_secs(9)).len(), 2, "what is lost is given up");
        let due = buffer.take(&function, at(9), 10, until);
        assert_eq!(due, Due { events: vec![extended.clone()], next: None });
        assert_eq!(buffer.counts(), [Waiting { function: function.clone(), events: 1 }]);
        // What is worked on stays, whoever else may work on it.
        assert_eq!(buffer.receive(late, copy("a", 2), soon()), Received::Kept, "it has come again");
        buffer.stay_taken(extended.id);
        assert!(buffer.leave(extended.id).is_some());
    }
}

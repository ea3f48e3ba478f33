//! How far a partition is settled when its records finish out of order. Pure.
use std::collections::VecDeque;

/// Positions in poll order, each open until it is completed.
#[derive(Debug)]
pub struct Watermark<P> {
    first: u64,
    open: VecDeque<(P, bool)>,
}

/// Names one position that was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ticket(u64);

impl<P> Default for Watermark<P> {
    fn default() -> Self {
        Self { first: 0, open: VecDeque::new() }
    }
}

impl<P> Watermark<P> {
    /// How many positions are open or stand behind an open one.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Adds a position behind all others.
    pub fn open(&mut self, position: P) -> Ticket {
        self.open.push_back((position, false));
        Ticket(self.first + self.open.len() as u64 - 1)
    }

    /// Completes one position and returns those that nothing open stands before any more, in poll order. Completing a
    /// position twice changes nothing.
    pub fn complete(&mut self, ticket: Ticket) -> Vec<P> {
        let index = ticket.0.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        if let Some(entry) = index.and_then(|index| self.open.get_mut(index)) {
            entry.1 = true;
        }
        let mut settled = Vec::new();
        while let Some((position, _)) = self.open.pop_front_if(|(_, completed)| *completed) {
            self.first += 1;
            settled.push(position);
        }
        settled
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_position_comes_out_once_in_order_and_never_before_an_open_one(
            order in (0usize..50).prop_flat_map(|count| Just((0..count).collect::<Vec<_>>()).prop_shuffle()),
        ) {
            let mut watermark = Watermark::default();
            let tickets: Vec<Ticket> = (0..order.len()).map(|position| watermark.open(position)).collect();
            let mut completed = vec![false; order.len()];
            let mut out = vec![];
            for position in &order {
                completed[*position] = true;
                out.extend(watermark.complete(tickets[*position]));
                out.extend(watermark.complete(tickets[*position]));
                prop_assert!(out.iter().all(|position| completed[*position]), "passed an open position");
            }
            prop_assert_eq!(out, (0..order.len()).collect::<Vec<_>>());
        }
    }
}

//! What is to run: from the worker to whoever runs mappings.
use pelton_core::{Mapping, MappingId};
use tokio::sync::mpsc;

/// What is to run from now on in a mapping's place.
#[derive(Debug, Clone)]
pub struct Change {
    /// Which mapping.
    pub id: MappingId,
    /// What takes the place of what runs; `None`: nothing, and its checkpoints are to be forgotten.
    pub to: Option<Mapping>,
    /// How many accepted calls it is the sum of.
    pub(super) calls: u32,
}

impl Change {
    pub(super) fn new(id: MappingId, to: Option<Mapping>) -> Self {
        Self { id, to, calls: 1 }
    }
}

/// Changes that wait.
pub struct Changes(mpsc::Receiver<Change>);

impl Changes {
    pub(super) fn new(receiver: mpsc::Receiver<Change>) -> Self {
        Self(receiver)
    }

    /// Waits for changes and takes all there are, one for each mapping: stopping many takes no longer than stopping one.
    /// They are to be carried out before the next are taken. Dropping the future loses none.
    pub async fn next(&mut self) -> Vec<Change> {
        let mut waiting = Vec::new();
        if self.0.recv_many(&mut waiting, usize::MAX).await == 0 {
            // The API is gone.
            std::future::pending::<()>().await;
        }
        sums(waiting)
    }
}

/// The last change of each mapping says what is to run.
fn sums(changes: Vec<Change>) -> Vec<Change> {
    let mut sums: Vec<Change> = Vec::new();
    for change in changes {
        match sums.iter_mut().find(|sum| sum.id == change.id) {
            Some(sum) => *sum = Change { calls: sum.calls + change.calls, ..change },
            None => sums.push(change),
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn id(number: u8) -> MappingId {
        MappingId(uuid::Uuid::from_u128(number.into()))
    }

    fn mapping(size: usize) -> Mapping {
        let fields =
            serde_json::json!({ "EventSourceArn": "arn:aws:sqs:us-east-1:000000000000:q", "FunctionName": "f" });
        let mapping = pelton_config::check_mapping(fields.as_object().unwrap(), "us-east-1").unwrap();
        Mapping { batch_size: size, ..mapping }
    }

    proptest! {
        #[test]
        fn each_mapping_ends_as_its_last_change_says(
            changes in prop::collection::vec((0u8..4, prop::option::of(1usize..9)), 0..20),
        ) {
            let to_change = |(number, size): &(u8, Option<usize>)| Change::new(id(*number), size.map(mapping));
            let sums = sums(changes.iter().map(to_change).collect());
            for number in 0..4 {
                let of_it: Vec<_> = changes.iter().filter(|(it, _)| *it == number).collect();
                let sum: Vec<_> = sums.iter().filter(|sum| sum.id == id(number)).collect();
                let last = of_it.last().map(|(_, size)| *size);
                let sizes: Vec<_> = sum.iter().map(|sum| sum.to.as_ref().map(|to| to.batch_size)).collect();
                prop_assert_eq!(sizes, last.into_iter().collect::<Vec<_>>());
                prop_assert_eq!(sum.first().map_or(0, |sum| sum.calls as usize), of_it.len());
            }
        }
    }
}

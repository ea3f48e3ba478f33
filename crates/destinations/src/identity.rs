//! What tells one execution record from another, the same each time it is sent.
use pelton_core::{ExecutionRecord, Subject};
use uuid::Uuid;

/// The record's id. One invocation can give several records, one for each message or part of a batch that is given up,
/// so the payload, or the range, counts too. Both stay as they are while a delivery is repeated.
pub fn id(record: &ExecutionRecord) -> Uuid {
    let context = &record.request_context;
    let start = format!("{}\n{}\n{}\n", record.group(), context.request_id, context.condition.as_str());
    let text = match &record.subject {
        Subject::Invocation { request_payload, .. } => {
            start + request_payload.as_ref().map_or("", |payload| payload.get())
        }
        Subject::Batch { info, .. } => format!("{start}{}\n{}\n{}", info.shard, info.start, info.end),
    };
    Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use pelton_core::Condition;

    use super::*;
    use crate::omission::tests::{batch, batch_info, record};

    #[test]
    fn is_the_same_for_the_same_record_and_another_for_another() {
        let one = record(Condition::Success, "{\"message\":1}", "1");
        let mut repeated = one.clone();
        repeated.timestamp = "2026-01-01T00:00:00.000Z".into();
        assert_eq!(id(&one), id(&repeated));
        let mut others = vec![
            record(Condition::RetriesExhausted, "{\"message\":1}", "1"),
            record(Condition::Success, "{\"message\":2}", "1"),
            record(Condition::Success, "{\"message\":1}", "1"),
        ];
        others[2].request_context.request_id = "another".into();
        for other in others {
            assert_ne!(id(&one), id(&other));
        }
    }

    #[test]
    fn a_batch_is_told_by_its_range_and_what_became_of_it() {
        let one = batch(Condition::RetryAttemptsExhausted);
        let mut repeated = one.clone();
        repeated.timestamp = "2026-01-01T00:00:00.000Z".into();
        assert_eq!(id(&one), id(&repeated));
        let other = |change: fn(&mut ExecutionRecord)| {
            let mut other = one.clone();
            change(&mut other);
            other
        };
        let others = [
            batch(Condition::RecordAgeExceeded),
            other(|record| record.request_context.request_id = "another".into()),
            other(|record| batch_info(record).shard.0 = "shardId-000000000001".into()),
            other(|record| batch_info(record).start = "3".into()),
            other(|record| batch_info(record).end = "9".into()),
            other(|record| {
                let id = pelton_core::MappingId::of("another", "function");
                let source = "arn:aws:sqs:us-east-1:111111111111:orders".parse().unwrap();
                record.origin = pelton_core::Origin::Mapping { id, source };
            }),
        ];
        for other in &others {
            assert_ne!(id(&one), id(other), "{other:?}");
        }
    }

    #[test]
    fn ids_stay_the_same_from_one_release_to_the_next() {
        let ids = [id(&record(Condition::Success, "1", "2")), id(&batch(Condition::RecordAgeExceeded))];
        assert_eq!(
            ids.map(|id| id.to_string()),
            ["cbfa1039-cad0-5a83-8814-4bb61a70a6d4", "0bf12831-b229-5c79-85ae-1ef6fc07852d"]
        );
    }
}

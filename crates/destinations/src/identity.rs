//! What tells one execution record from another, the same each time it is sent.
use pelton_core::{Condition, ExecutionRecord};
use uuid::Uuid;

/// The record's id. One invocation can give several records, one for each message that is given up, so the payload
/// counts too. The payload stays as it is while a delivery is repeated.
pub fn id(record: &ExecutionRecord) -> Uuid {
    let context = &record.request_context;
    let condition = match context.condition {
        Condition::Success => "Success",
        Condition::RetriesExhausted => "RetriesExhausted",
    };
    let payload = record.request_payload.as_ref().map_or("", |payload| payload.get());
    let text = format!("{}\n{}\n{condition}\n{payload}", record.mapping, context.request_id);
    Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::omission::tests::record;

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
}

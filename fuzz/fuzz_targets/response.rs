//! Any answer of a function is read: partial failures name records of the batch, and only of the batch; the state of a
//! window is an object.
#![no_main]
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use pelton_core::{Receipt, Record, Response};
use pelton_engine::{Outcome, interpret, state_of};

fuzz_target!(|payload: &[u8]| {
    let record = |id: &str| Record {
        id: id.into(),
        receipt: Receipt(id.into()),
        order_key: None,
        receive_count: 1,
        arrived_at: None,
        event: Bytes::from_static(b"{}"),
    };
    let batch = [record("a"), record("b"), record("49545115243490985018280067714973144582180062593244200961")];
    let mut response = Response {
        request_id: "id".into(),
        status_code: 200,
        executed_version: "$LATEST".into(),
        function_error: None,
        payload: Bytes::copy_from_slice(payload),
        log_tail: None,
    };
    if let Outcome::PartiallyFailed(ids) = interpret(&response, &batch, true) {
        assert!(!ids.is_empty() && ids.iter().all(|id| batch.iter().any(|record| record.id == *id)));
    }
    assert_eq!(interpret(&response, &batch, false), Outcome::Succeeded);
    // The state of a window goes into the next event as it is.
    if let Ok(state) = state_of(payload) {
        assert!(state.starts_with('{') && serde_json::from_str::<serde::de::IgnoredAny>(&state).is_ok());
    }
    response.function_error = Some("Unhandled".into());
    assert!(matches!(interpret(&response, &batch, true), Outcome::Failed(_)));
});

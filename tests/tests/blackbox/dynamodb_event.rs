//! The event of a DynamoDB stream, to the letter (spec 3.3). On LocalStack, this is DynamoDB Local.
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, StreamViewType};
use pelton_tests::{Backend, Function, Pelton, Table, on_both_backends, stream_mapping};
use serde_json::{Value, json};

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.into())
}

/// The records of a table's stream, so many, as a function gets them.
async fn records(backend: &Backend, table: &Table, count: u64) -> Vec<Value> {
    let function = Function::new();
    let pelton = Pelton::start(backend, &function, vec![stream_mapping(table, &function, json!({}))]).await;
    pelton.has_settled(table, count).await;
    function.seen().iter().flat_map(|seen| seen.records().to_vec()).collect()
}

async fn inserts_updates_and_deletes_have_lambdas_keys_in_lambdas_order(backend: Backend) {
    let table = backend.table().await;
    table.put("id_value", []).await;
    table.update("id_value", "id2", text("id2_new_value")).await;
    table.delete_item("id_value").await;
    let records = records(&backend, &table, 3).await;
    let (id, both) =
        (json!({ "id": { "S": "id_value" } }), json!({ "id": { "S": "id_value" }, "id2": { "S": "id2_new_value" } }));
    let expected = [("INSERT", Some(&id), None), ("MODIFY", Some(&both), Some(&id)), ("REMOVE", None, Some(&both))];
    assert_eq!(records.len(), 3);
    for (record, (name, new, old)) in records.iter().zip(expected) {
        let outer = ["eventID", "eventName", "eventVersion", "eventSource", "awsRegion", "dynamodb", "eventSourceARN"];
        assert_eq!(keys(record), outer, "userIdentity is absent");
        assert_eq!(record["eventName"], name);
        assert_eq!((&record["eventVersion"], &record["eventSource"]), (&json!("1.1"), &json!("aws:dynamodb")));
        assert_eq!(record["eventSourceARN"], table.arn.as_str());
        assert_eq!(record["awsRegion"], table.arn.split(':').nth(3).unwrap());
        assert!(record["eventID"].as_str().is_some_and(|id| id.len() >= 32));
        let change = &record["dynamodb"];
        let mut inner = vec!["ApproximateCreationDateTime", "Keys"];
        inner.extend(new.map(|_| "NewImage"));
        inner.extend(old.map(|_| "OldImage"));
        inner.extend(["SequenceNumber", "SizeBytes", "StreamViewType"]);
        assert_eq!(keys(change), inner, "{name}");
        assert!(change["ApproximateCreationDateTime"].is_f64(), "a float, never an integer: {change}");
        assert!(change["SizeBytes"].is_u64());
        assert_eq!((&change["Keys"], &change["StreamViewType"]), (&id, &json!("NEW_AND_OLD_IMAGES")));
        assert_eq!((change.get("NewImage"), change.get("OldImage")), (new, old), "{name}");
    }
}

async fn attributes_of_every_type_keep_their_form(backend: Backend) {
    let table = backend.table().await;
    let number = |text: &str| AttributeValue::N(text.into());
    let bytes = |bytes: &[u8]| AttributeValue::B(Blob::new(bytes));
    let attributes = [
        ("s", text("Zoë 💡 \"quoted\" \\ \u{1}")),
        ("n", number("12345678901234567890123456789012345678")),
        ("b", bytes(b"foobar")),
        ("bool", AttributeValue::Bool(true)),
        ("null", AttributeValue::Null(true)),
        ("ss", AttributeValue::Ss(vec!["a".into()])),
        ("ns", AttributeValue::Ns(vec!["-7".into()])),
        ("bs", AttributeValue::Bs(vec![Blob::new([0_u8, 255])])),
        ("l", AttributeValue::L(vec![text("x"), AttributeValue::L(Vec::new())])),
        ("m", AttributeValue::M([("inner".to_owned(), bytes(&[254]))].into())),
    ];
    table.put("1", attributes).await;
    let records = records(&backend, &table, 1).await;
    let expected = json!({
        "id": { "S": "1" }, "s": { "S": "Zoë 💡 \"quoted\" \\ \u{1}" },
        "n": { "N": "12345678901234567890123456789012345678" }, "b": { "B": "Zm9vYmFy" }, "bool": { "BOOL": true },
        "null": { "NULL": true }, "ss": { "SS": ["a"] }, "ns": { "NS": ["-7"] }, "bs": { "BS": ["AP8="] },
        "l": { "L": [{ "S": "x" }, { "L": [] }] }, "m": { "M": { "inner": { "B": "/g==" } } },
    });
    assert_eq!(records[0]["dynamodb"]["NewImage"], expected);
}

async fn a_view_type_decides_which_images_there_are(backend: Backend) {
    for (view, new, old) in [
        (StreamViewType::KeysOnly, false, false),
        (StreamViewType::NewImage, true, false),
        (StreamViewType::OldImage, false, true),
    ] {
        let table = backend.table_with(view.clone()).await;
        table.put("1", [("a", text("1"))]).await;
        table.put("1", [("a", text("2"))]).await;
        let records = records(&backend, &table, 2).await;
        let change = &records[1]["dynamodb"];
        assert_eq!((change.get("NewImage").is_some(), change.get("OldImage").is_some()), (new, old), "{view}");
        assert_eq!(change["StreamViewType"], view.as_str());
    }
}

on_both_backends!(
    inserts_updates_and_deletes_have_lambdas_keys_in_lambdas_order,
    attributes_of_every_type_keep_their_form,
    a_view_type_decides_which_images_there_are,
);

//! The event, to the byte.
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, StreamViewType};
use pelton_core::{Position, Record};

use crate::support::{Backend, Reader, event, on_both, text};

on_both!(
    an_item_that_comes_and_changes_and_goes_makes_three_events,
    every_view_type_shows_what_it_has,
    every_type_of_attribute_arrives_as_it_was_written,
);

/// The event with what only the backend can know put into this text: `<id>`, `<time>`, `<number>`, `<size>`, `<region>`, `<arn>`.
fn assert_event(record: &Record, backend: &Backend, stream: &str, expected: &str) {
    let event = event(record);
    let body = &event["dynamodb"];
    let time = body["ApproximateCreationDateTime"].as_f64().expect("a float");
    let arrived_at = record.arrived_at.unwrap();
    assert_eq!(time, f64::from(u32::try_from(arrived_at.as_second()).unwrap()));
    let age = jiff::Timestamp::now().as_second() - arrived_at.as_second();
    assert!((-1..90).contains(&age), "{age} s old");
    assert!(body["SizeBytes"].is_u64(), "{event}");
    let expected = expected
        .replace("<id>", event["eventID"].as_str().unwrap())
        .replace("<time>", &format!("{time:?}"))
        .replace("<number>", &record.id)
        .replace("<size>", &body["SizeBytes"].to_string())
        .replace("<region>", backend.region)
        .replace("<arn>", stream);
    assert_eq!(std::str::from_utf8(&record.event).unwrap(), expected);
    assert_eq!(record.receipt.0, record.id);
}

fn expected(name: &str, images: &str, view: &str) -> String {
    format!(
        r#"{{"eventID":"<id>","eventName":"{name}","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"<region>","dynamodb":{{"ApproximateCreationDateTime":<time>,"Keys":{{"id":{{"S":"a"}}}},{images}"SequenceNumber":"<number>","SizeBytes":<size>,"StreamViewType":"{view}"}},"eventSourceARN":"<arn>"}}"#
    )
}

async fn an_item_that_comes_and_changes_and_goes_makes_three_events(backend: &Backend) {
    let table = backend.table(StreamViewType::NewAndOldImages).await;
    let source = backend.source(&table.stream);
    table.put("a", "name", text("one")).await;
    table.put("a", "name", text("two")).await;
    // Nothing changes: no event.
    table.put("a", "name", text("two")).await;
    table.delete("a").await;
    let records = Reader::new(&source, Position::TrimHorizon).await.read(3).await;
    let new = |name: &str| format!(r#""NewImage":{{"id":{{"S":"a"}},"name":{{"S":"{name}"}}}},"#);
    let old = |name: &str| format!(r#""OldImage":{{"id":{{"S":"a"}},"name":{{"S":"{name}"}}}},"#);
    let view = "NEW_AND_OLD_IMAGES";
    let cases = [
        expected("INSERT", &new("one"), view),
        expected("MODIFY", &(new("two") + &old("one")), view),
        expected("REMOVE", &old("two"), view),
    ];
    for (record, expected) in records.iter().zip(cases) {
        assert_event(record, backend, &table.stream, &expected);
        assert_eq!(record.order_key.as_deref(), Some(r#"{"id":{"S":"a"}}"#));
    }
}

async fn every_view_type_shows_what_it_has(backend: &Backend) {
    let views = [
        (StreamViewType::KeysOnly, false, false),
        (StreamViewType::NewImage, true, false),
        (StreamViewType::OldImage, false, true),
        (StreamViewType::NewAndOldImages, true, true),
    ];
    for (view, has_new, has_old) in views {
        let table = backend.table(view.clone()).await;
        let source = backend.source(&table.stream);
        table.put("a", "n", AttributeValue::N("1".into())).await;
        table.put("a", "n", AttributeValue::N("2".into())).await;
        let records = Reader::new(&source, Position::TrimHorizon).await.read(2).await;
        let new = if has_new { r#""NewImage":{"id":{"S":"a"},"n":{"N":"2"}},"# } else { "" };
        let old = if has_old { r#""OldImage":{"id":{"S":"a"},"n":{"N":"1"}},"# } else { "" };
        let expected = expected("MODIFY", &format!("{new}{old}"), view.as_str());
        assert_event(&records[1], backend, &table.stream, &expected);
    }
}

async fn every_type_of_attribute_arrives_as_it_was_written(backend: &Backend) {
    let table = backend.table(StreamViewType::NewImage).await;
    let source = backend.source(&table.stream);
    let all = [
        ("b", AttributeValue::B(Blob::new("foobar")), r#"{"B":"Zm9vYmFy"}"#),
        ("bool", AttributeValue::Bool(true), r#"{"BOOL":true}"#),
        ("bs", AttributeValue::Bs(vec![Blob::new([0, 255])]), r#"{"BS":["AP8="]}"#),
        ("n", AttributeValue::N("12345678901234567890.5".into()), r#"{"N":"12345678901234567890.5"}"#),
        ("ns", AttributeValue::Ns(vec!["7".into()]), r#"{"NS":["7"]}"#),
        ("null", AttributeValue::Null(true), r#"{"NULL":true}"#),
        ("s", text("Ω \"q\" \u{1f600}"), r#"{"S":"Ω \"q\" 😀"}"#),
        ("ss", AttributeValue::Ss(vec!["x".into()]), r#"{"SS":["x"]}"#),
    ];
    let list = AttributeValue::L(all.iter().map(|(_, value, _)| value.clone()).collect());
    let map = AttributeValue::M(all.iter().map(|(name, value, _)| ((*name).to_owned(), value.clone())).collect());
    table.put("a", "it", AttributeValue::L(vec![list, map])).await;
    let records = Reader::new(&source, Position::TrimHorizon).await.read(1).await;
    let list: Vec<&str> = all.iter().map(|(.., text)| *text).collect();
    let map: Vec<String> = all.iter().map(|(name, _, text)| format!("\"{name}\":{text}")).collect();
    let both = format!(r#"{{"L":[{{"L":[{}]}},{{"M":{{{}}}}}]}}"#, list.join(","), map.join(","));
    let image = format!(r#""NewImage":{{"id":{{"S":"a"}},"it":{both}}},"#);
    assert_event(&records[0], backend, &table.stream, &expected("INSERT", &image, "NEW_IMAGE"));
}

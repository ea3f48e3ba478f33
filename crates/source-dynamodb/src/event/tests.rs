use std::collections::HashMap;

use aws_sdk_dynamodbstreams::primitives::{Blob, DateTime};
use aws_sdk_dynamodbstreams::types::builders::{RecordBuilder, StreamRecordBuilder};
use aws_sdk_dynamodbstreams::types::{AttributeValue, OperationType, StreamViewType};
use proptest::prelude::*;

use super::*;

const STREAM: &str = "arn:aws:dynamodb:us-east-1:111111111111:table/my-table/stream/2025-11-25T15:46:02.123";

type Item = HashMap<String, AttributeValue>;

fn item<const N: usize>(attributes: [(&str, AttributeValue); N]) -> Item {
    attributes.map(|(name, value)| (name.to_owned(), value)).into()
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.into())
}

fn body() -> StreamRecordBuilder {
    StreamRecord::builder()
        .approximate_creation_date_time(DateTime::from_secs(1_733_418_659))
        .set_keys(Some(item([("id", text("id_value"))])))
        .sequence_number("400000000000123456789012")
        .size_bytes(46)
        .stream_view_type(StreamViewType::KeysOnly)
}

fn record(name: OperationType) -> RecordBuilder {
    Record::builder()
        .event_id("ab0ed3713569f4655f353e5ef61a88c4")
        .event_name(name)
        .event_version("1.1")
        .event_source("aws:dynamodb")
        .aws_region("us-east-1")
}

fn json(record: &Record) -> String {
    String::from_utf8(event(record, &STREAM.parse().unwrap()).unwrap().to_vec()).unwrap()
}

/// The record in the text of the spec, with this in the place of images and identity.
fn expected(name: &str, images: &str, view: &str, identity: &str) -> String {
    format!(
        r#"{{"eventID":"ab0ed3713569f4655f353e5ef61a88c4","eventName":"{name}","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"us-east-1","dynamodb":{{"ApproximateCreationDateTime":1733418659.0,"Keys":{{"id":{{"S":"id_value"}}}},{images}"SequenceNumber":"400000000000123456789012","SizeBytes":46,"StreamViewType":"{view}"}},{identity}"eventSourceARN":"{STREAM}"}}"#
    )
}

#[test]
fn every_view_type_shows_the_images_it_has_and_no_others() {
    let new = Some(item([("id", text("id_value")), ("id2", text("id2_new_value"))]));
    let old = Some(item([("id", text("id_value"))]));
    let new_text = r#""NewImage":{"id":{"S":"id_value"},"id2":{"S":"id2_new_value"}},"#;
    let old_text = r#""OldImage":{"id":{"S":"id_value"}},"#;
    let both = format!("{new_text}{old_text}");
    let cases = [
        (OperationType::Modify, StreamViewType::KeysOnly, None, None, ""),
        (OperationType::Modify, StreamViewType::NewImage, new.clone(), None, new_text),
        (OperationType::Modify, StreamViewType::OldImage, None, old.clone(), old_text),
        (OperationType::Modify, StreamViewType::NewAndOldImages, new.clone(), old.clone(), &both),
        (OperationType::Insert, StreamViewType::NewAndOldImages, new, None, new_text),
        (OperationType::Remove, StreamViewType::NewAndOldImages, None, old, old_text),
    ];
    for (name, view, new, old, images) in cases {
        let body = body().stream_view_type(view.clone()).set_new_image(new).set_old_image(old).build();
        let expected = expected(name.as_str(), images, view.as_str(), "");
        assert_eq!(json(&record(name).dynamodb(body).build()), expected);
    }
}

#[test]
fn a_delete_at_the_end_of_the_time_to_live_names_who_has_done_it() {
    let identity = Identity::builder().principal_id("dynamodb.amazonaws.com").r#type("Service").build();
    let record = record(OperationType::Remove).dynamodb(body().build()).user_identity(identity).build();
    let identity = r#""userIdentity":{"principalId":"dynamodb.amazonaws.com","type":"Service"},"#;
    assert_eq!(json(&record), expected("REMOVE", "", "KEYS_ONLY", identity));
}

#[test]
fn every_type_of_attribute_is_written_as_dynamodb_writes_it() {
    let blob = |bytes: &[u8]| Blob::new(bytes);
    let image = item([
        ("b", AttributeValue::B(blob(b"foobar"))),
        ("bool", AttributeValue::Bool(false)),
        ("bs", AttributeValue::Bs(vec![blob(&[0, 255]), blob(b"")])),
        ("l", AttributeValue::L(vec![AttributeValue::Null(true), AttributeValue::L(vec![]), text("x")])),
        (
            "m",
            AttributeValue::M(item([("z", AttributeValue::M(item([]))), ("é \"q\"", AttributeValue::N("1".into()))])),
        ),
        ("n", AttributeValue::N("-12345678901234567890123456789012345678".into())),
        ("ns", AttributeValue::Ns(vec!["2.5".into(), "1E-130".into()])),
        ("s", text("line\nbreak \u{1}\u{1f600}")),
        ("ss", AttributeValue::Ss(vec!["b".into(), "a".into()])),
    ]);
    let body = body().set_new_image(Some(image)).build();
    let images = r#""NewImage":{"b":{"B":"Zm9vYmFy"},"bool":{"BOOL":false},"bs":{"BS":["AP8=",""]},"l":{"L":[{"NULL":true},{"L":[]},{"S":"x"}]},"m":{"M":{"z":{"M":{}},"é \"q\"":{"N":"1"}}},"n":{"N":"-12345678901234567890123456789012345678"},"ns":{"NS":["2.5","1E-130"]},"s":{"S":"line\nbreak \u0001😀"},"ss":{"SS":["b","a"]}},"#;
    assert_eq!(
        json(&record(OperationType::Insert).dynamodb(body).build()),
        expected("INSERT", images, "KEYS_ONLY", "")
    );
}

#[test]
fn a_fraction_of_a_second_stays_and_what_is_missing_stays_away() {
    let time = DateTime::from_secs_and_nanos(1_733_418_659, 125_000_000);
    let body = StreamRecord::builder().approximate_creation_date_time(time).build();
    assert_eq!(
        json(&Record::builder().event_id("f7129dbd-a983-4ded-89d6-979b86ff357d").dynamodb(body).build()),
        format!(
            r#"{{"eventID":"f7129dbd-a983-4ded-89d6-979b86ff357d","eventVersion":"1.1","eventSource":"aws:dynamodb","awsRegion":"us-east-1","dynamodb":{{"ApproximateCreationDateTime":1733418659.125}},"eventSourceARN":"{STREAM}"}}"#
        )
    );
}

#[test]
fn keys_of_different_types_or_names_are_different_order_keys() {
    let key = |keys: Item| order_key(&Record::builder().dynamodb(body().set_keys(Some(keys)).build()).build()).unwrap();
    let keys = [
        key(item([("id", text("1"))])),
        key(item([("id", AttributeValue::N("1".into()))])),
        key(item([("id", AttributeValue::B(Blob::new("1")))])),
        key(item([("id2", text("1"))])),
        key(item([("id", text("1")), ("range", text(""))])),
        key(item([("id", text("1\",\"range"))])),
    ];
    for (i, one) in keys.iter().enumerate() {
        assert!(!keys[..i].contains(one), "{one}");
    }
    assert_eq!(keys[0], r#"{"id":{"S":"1"}}"#);
}

fn attribute() -> impl Strategy<Value = AttributeValue> {
    let bytes = || any::<Vec<u8>>().prop_map(Blob::new);
    let leaf = prop_oneof![
        bytes().prop_map(AttributeValue::B),
        any::<bool>().prop_map(AttributeValue::Bool),
        prop::collection::vec(bytes(), 0..3).prop_map(AttributeValue::Bs),
        "-?[0-9]{1,38}".prop_map(AttributeValue::N),
        prop::collection::vec("[0-9]{1,3}", 0..3).prop_map(AttributeValue::Ns),
        Just(AttributeValue::Null(true)),
        any::<String>().prop_map(AttributeValue::S),
        prop::collection::vec(any::<String>(), 0..3).prop_map(AttributeValue::Ss),
    ];
    leaf.prop_recursive(32, 64, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(AttributeValue::L),
            prop::collection::hash_map(any::<String>(), inner, 0..3).prop_map(AttributeValue::M),
        ]
    })
}

fn attributes() -> impl Strategy<Value = Item> {
    prop::collection::hash_map(any::<String>(), attribute(), 0..4)
}

/// What the SDK itself makes of the JSON that it reads, for comparison.
fn read_back(value: &serde_json::Value) -> Item {
    use base64::Engine as _;
    let decode = |text: &serde_json::Value| {
        Blob::new(base64::engine::general_purpose::STANDARD.decode(text.as_str().unwrap()).unwrap())
    };
    let strings =
        |set: &serde_json::Value| set.as_array().unwrap().iter().map(|it| it.as_str().unwrap().into()).collect();
    let one = |value: &serde_json::Value| -> AttributeValue {
        let (kind, value) = value.as_object().unwrap().iter().next().unwrap();
        let inner = |value: &serde_json::Value| read_back(&serde_json::json!({ "x": value })).remove("x").unwrap();
        match kind.as_str() {
            "B" => AttributeValue::B(decode(value)),
            "BOOL" => AttributeValue::Bool(value.as_bool().unwrap()),
            "BS" => AttributeValue::Bs(value.as_array().unwrap().iter().map(decode).collect()),
            "L" => AttributeValue::L(value.as_array().unwrap().iter().map(inner).collect()),
            "M" => AttributeValue::M(read_back(value)),
            "N" => AttributeValue::N(value.as_str().unwrap().into()),
            "NS" => AttributeValue::Ns(strings(value)),
            "NULL" => AttributeValue::Null(value.as_bool().unwrap()),
            "S" => AttributeValue::S(value.as_str().unwrap().into()),
            "SS" => AttributeValue::Ss(strings(value)),
            other => panic!("no type {other}"),
        }
    };
    value.as_object().unwrap().iter().map(|(name, value)| (name.clone(), one(value))).collect()
}

proptest! {
    #[test]
    fn any_item_survives_the_way_through_the_event(keys in attributes(), new in attributes(), seconds in any::<i32>()) {
        let time = DateTime::from_secs(seconds.into());
        let body = body().approximate_creation_date_time(time).set_keys(Some(keys.clone())).set_new_image(Some(new.clone()));
        let text = json(&record(OperationType::Modify).dynamodb(body.build()).build());
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(read_back(&value["dynamodb"]["NewImage"]), new);
        prop_assert_eq!(read_back(&value["dynamodb"]["Keys"]), keys);
        prop_assert!(value["dynamodb"]["ApproximateCreationDateTime"].is_f64());
    }

    #[test]
    fn order_keys_are_equal_when_and_only_when_the_keys_are(
        one in attributes(), other in attributes(), same in any::<bool>()
    ) {
        let key = |keys: &Item| {
            // Another map of the same attributes has them in another order.
            let keys: Item = keys.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
            order_key(&record(OperationType::Insert).dynamodb(body().set_keys(Some(keys)).build()).build()).unwrap()
        };
        let other = if same { one.clone() } else { other };
        prop_assert_eq!(key(&one) == key(&other), one == other);
    }
}

//! Filter criteria on streams (spec 7): who gets what, and that the rest moves the checkpoint.
use aws_sdk_dynamodb::types::AttributeValue;
use pelton_tests::{
    Backend, Function, Kind, Pelton, data, eventually, on_both_backends, on_both_kinds, stream_mapping, texts,
};
use serde_json::{Value, json};

use super::numbered;

fn filters(patterns: &[Value]) -> Value {
    let filters: Vec<Value> = patterns.iter().map(|pattern| json!({ "Pattern": pattern.to_string() })).collect();
    json!({ "FilterCriteria": { "Filters": filters } })
}

async fn data_is_decoded_for_matching_and_delivered_byte_for_byte(backend: Backend) {
    let stream = backend.stream(1).await;
    let bodies: [&[u8]; 9] = [
        b"{\"kind\":  \"order\", \"n\": 1e3, \"s\":\"\\u00e9\\/\"}",
        b"{\"kind\":\"noise\"}",
        b"plain text",
        b"",
        b"\xff\xfe{\"kind\":\"order\"}",
        b"[{\"kind\":\"order\"}]",
        b"{\"kind\":\"order\"",
        b" {\"other\":1,\"kind\":[\"noise\",\"order\"]}\n",
        b"{\"kind\":5}",
    ];
    for (i, body) in bodies.iter().enumerate() {
        stream.put(if i == 1 { "by-key" } else { "key" }, body).await;
    }
    let cases: Vec<(&str, Value, Vec<usize>)> = vec![
        ("field", json!({ "data": { "kind": ["order"] } }), vec![0, 5, 7]),
        ("number", json!({ "data": { "kind": [{ "numeric": [">", 4] }] } }), vec![8]),
        ("text", json!({ "data": ["plain text"] }), vec![2]),
        ("key", json!({ "partitionKey": ["by-key"] }), vec![1]),
        ("version", json!({ "kinesisSchemaVersion": ["1.0"] }), (0..9).collect()),
    ];
    let functions: Vec<Function> = cases.iter().map(|(name, ..)| Function::named(name)).collect();
    let mappings = functions.iter().zip(&cases);
    let mappings: Vec<Value> = mappings
        .map(|(function, (_, pattern, _))| stream_mapping(&stream, function, filters(std::slice::from_ref(pattern))))
        .collect();
    let _pelton = Pelton::run(backend.configuration(&functions.iter().collect::<Vec<_>>(), mappings)).await;
    for (function, (name, _, expected)) in functions.iter().zip(&cases) {
        eventually(name, || async { function.seen().iter().flat_map(|it| it.records()).count() >= expected.len() })
            .await;
        let seen = function.seen();
        let received: Vec<Vec<u8>> = seen.iter().flat_map(|seen| seen.records()).map(data).collect();
        let expected: Vec<&[u8]> = expected.iter().map(|place| bodies[*place]).collect();
        assert_eq!(received, expected, "{name}");
    }
}

/// Spec 7.2, row by row.
async fn patterns_address_the_record_of_dynamodb(backend: Backend) {
    let table = backend.table().await;
    let text = |text: &str| AttributeValue::S(text.into());
    let number = |number: &str| AttributeValue::N(number.into());
    table.put("0", [("presentKey", text("v"))]).await;
    table.put("1", [("presentKey", text("other"))]).await;
    table.put("2", []).await;
    table.put("3", [("n", number("42"))]).await;
    table.put("4", [("n", number("101"))]).await;
    table.update("0", "presentKey", text("v2")).await;
    table.delete_item("2").await;
    let image = |pattern: Value| json!({ "dynamodb": { "NewImage": pattern } });
    let cases: Vec<(&str, Value, Vec<&str>)> = vec![
        ("typed", image(json!({ "presentKey": { "S": ["v"] } })), vec!["INSERT 0"]),
        ("untyped", image(json!({ "presentKey": ["v"] })), vec![]),
        (
            "exists",
            image(json!({ "presentKey": { "S": [{ "exists": true }] } })),
            vec!["INSERT 0", "INSERT 1", "MODIFY 0"],
        ),
        // It looks at leaves only, and presentKey is none.
        (
            "leafless",
            image(json!({ "presentKey": [{ "exists": false }] })),
            vec!["INSERT 0", "INSERT 1", "INSERT 2", "INSERT 3", "INSERT 4", "MODIFY 0", "REMOVE 2"],
        ),
        // Numbers are strings in an image.
        (
            "numeric",
            image(json!({ "n": { "N": [{ "numeric": [">", 100] }, { "anything-but": "101" }] } })),
            vec!["INSERT 3"],
        ),
        (
            "time",
            json!({ "eventName": ["MODIFY"], "dynamodb": { "ApproximateCreationDateTime": [{ "numeric": [">", 0] }] } }),
            vec!["MODIFY 0"],
        ),
        ("source", json!({ "eventSource": ["aws:dynamodb"], "eventName": ["REMOVE"] }), vec!["REMOVE 2"]),
        ("keys", json!({ "dynamodb": { "Keys": { "id": { "S": ["4"] } } } }), vec!["INSERT 4"]),
    ];
    let functions: Vec<Function> = cases.iter().map(|(name, ..)| Function::named(name)).collect();
    let mappings = functions.iter().zip(&cases);
    let mappings: Vec<Value> = mappings
        .map(|(function, (_, pattern, _))| stream_mapping(&table, function, filters(std::slice::from_ref(pattern))))
        .collect();
    let pelton = Pelton::run(backend.configuration(&functions.iter().collect::<Vec<_>>(), mappings)).await;
    let is_idle = |mapping: &Value| mapping["Polled"] == 7 && mapping["Shards"][0]["Unsettled"] == 0;
    eventually("all is read", || async {
        let status: Value = serde_json::from_str(&pelton.get("/status").1).unwrap();
        status.as_array().unwrap().iter().all(is_idle)
    })
    .await;
    for (function, (name, _, expected)) in functions.iter().zip(&cases) {
        let seen = function.seen();
        let records = seen.iter().flat_map(|seen| seen.records());
        let received: Vec<String> = records
            .map(|it| {
                format!("{} {}", it["eventName"].as_str().unwrap(), it["dynamodb"]["Keys"]["id"]["S"].as_str().unwrap())
            })
            .collect();
        assert_eq!(received, *expected, "{name}");
    }
}

async fn records_that_are_filtered_out_move_the_checkpoint(backend: Backend, kind: Kind) {
    let (feed, function) = (backend.feed(kind).await, Function::new());
    feed.put_each(numbered(0..10)).await;
    let nothing = filters(&[json!({ "eventName": ["never"] })]);
    let mut pelton = Pelton::start(&backend, &function, vec![stream_mapping(&feed, &function, nothing)]).await;
    pelton.has_settled(&feed, 10).await;
    eventually("the checkpoint moves", || async { pelton.status(&feed)["Shards"][0]["Position"] != "TRIM_HORIZON" })
        .await;
    let status = pelton.status(&feed);
    assert_eq!((&status["Filtered"], &status["Invoked"]), (&json!(10), &json!(0)));
    assert_eq!(status["LastProcessingResult"], "No records processed");
    pelton.stop().await;
    pelton
        .replace_configuration(backend.configuration(&[&function], vec![stream_mapping(&feed, &function, json!({}))]));
    pelton.start_again().await;
    feed.put_each(["after"]).await;
    pelton.has_settled(&feed, 1).await;
    assert_eq!(texts(&function.seen()), ["after"]);
    assert_eq!(pelton.status(&feed)["Polled"], 1, "what was filtered out isn't even read again");
}

on_both_backends!(data_is_decoded_for_matching_and_delivered_byte_for_byte);
on_both_kinds!(records_that_are_filtered_out_move_the_checkpoint);
// On LocalStack, this is DynamoDB Local.
mod of_dynamodb {
    use super::*;
    on_both_backends!(patterns_address_the_record_of_dynamodb);
}

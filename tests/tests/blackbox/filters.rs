//! Filter criteria through real queues: who gets what, and what becomes of the rest.
use std::collections::BTreeMap;

use aws_sdk_sqs::types::MessageAttributeValue;
use pelton_tests::{Backend, Function, Pelton, eventually, mapping, on_both_backends};
use serde_json::{Value, json};

fn filters(patterns: &[Value]) -> Value {
    let filters: Vec<Value> = patterns.iter().map(|pattern| json!({ "Pattern": pattern.to_string() })).collect();
    json!({ "FilterCriteria": { "Filters": filters } })
}

/// A pattern for the field `it` of the body, values that it lets through, and values that it doesn't.
fn operators() -> Vec<(Value, Vec<Value>, Vec<Value>)> {
    vec![
        (json!(["new"]), vec![json!("new"), json!(["old", "new"])], vec![json!("New"), json!("new "), json!(["old"])]),
        (json!([300]), vec![json!(300), json!(300.0)], vec![json!("300"), json!(301)]),
        (json!([true]), vec![json!(true)], vec![json!(false), json!("true")]),
        (json!([null]), vec![json!(null)], vec![json!("null"), json!(0)]),
        (json!([{ "prefix": "eu-" }]), vec![json!("eu-west-1")], vec![json!("us-east-1"), json!("EU-west-1")]),
        (json!([{ "suffix": ".png" }]), vec![json!("a.png")], vec![json!("png"), json!("a.PNG")]),
        (json!([{ "equals-ignore-case": "new" }]), vec![json!("NEW"), json!("new")], vec![json!("news")]),
        (json!([{ "anything-but": ["a", "b"] }]), vec![json!("c"), json!(12)], vec![json!("a"), json!("b")]),
        (json!([{ "anything-but": { "prefix": "x" } }]), vec![json!("yx")], vec![json!("xy")]),
        (json!([{ "anything-but": { "suffix": "x" } }]), vec![json!("xy")], vec![json!("yx")]),
        (json!([{ "anything-but": { "equals-ignore-case": "x" } }]), vec![json!("y")], vec![json!("X")]),
        (json!([{ "anything-but": { "wildcard": "a*c" } }]), vec![json!("ab")], vec![json!("abc")]),
        (
            json!([{ "numeric": [">=", 100, "<", 200] }]),
            vec![json!(100), json!(199.5)],
            vec![json!(99), json!(200), json!("150")],
        ),
        (json!([{ "numeric": ["=", 5] }]), vec![json!(5), json!(5.0)], vec![json!(5.1)]),
        (json!([{ "exists": true }]), vec![json!("any"), json!(false)], vec![json!({ "not": "a leaf" })]),
        (json!([{ "exists": false }]), vec![json!({ "not": "a leaf" })], vec![json!("any")]),
        (json!([{ "wildcard": "a*c*e" }]), vec![json!("abcde"), json!("ace")], vec![json!("abcd")]),
        (json!([{ "cidr": "10.0.0.0/24" }]), vec![json!("10.0.0.255")], vec![json!("10.0.1.0"), json!("no address")]),
        (json!({ "in": { "there": ["x"] } }), vec![json!({ "in": { "there": "x" } })], vec![json!({ "in": "x" })]),
        (
            json!({ "$or": [{ "a": [1] }, { "b": [2] }] }),
            vec![json!({ "a": 1 }), json!({ "b": 2, "a": 0 })],
            vec![json!({ "a": 2, "b": 1 })],
        ),
    ]
}

async fn every_operator(backend: Backend) {
    let function = Function::new();
    let (mut queues, mut mappings) = (Vec::new(), Vec::new());
    for (pattern, matching, others) in operators() {
        let queue = backend.queue(30).await;
        let body = |value: &Value| json!({ "it": value }).to_string();
        queue.send_all(matching.iter().chain(&others).map(body)).await;
        mappings.push(mapping(&queue, &function, filters(&[json!({ "body": { "it": pattern.clone() } })])));
        let mut expected: Vec<String> = matching.iter().map(body).collect();
        expected.sort();
        queues.push((queue, pattern, expected, others.len()));
    }
    let pelton = Pelton::start(&backend, &function, mappings).await;
    for (queue, ..) in &queues {
        queue.is_drained().await;
    }
    let mut received: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for record in function.seen().iter().flat_map(|seen| seen.records()) {
        let text = |field: &str| record[field].as_str().unwrap().to_owned();
        received.entry(text("eventSourceARN")).or_default().push(text("body"));
    }
    for (queue, pattern, expected, others) in &queues {
        let mut received = received.remove(&queue.arn).unwrap_or_default();
        received.sort();
        assert_eq!(received, *expected, "{pattern}");
        assert_eq!(pelton.status(queue)["Filtered"], *others, "{pattern}");
    }
}

async fn a_batch_that_becomes_empty_does_not_invoke(backend: Backend) {
    let (queue, function) = (backend.queue(30).await, Function::new());
    queue.send_all((0..25).map(|i| json!({ "kind": "noise", "i": i }).to_string())).await;
    let only_orders = filters(&[json!({ "body": { "kind": ["order"] } })]);
    let pelton = Pelton::start(&backend, &function, vec![mapping(&queue, &function, only_orders)]).await;
    queue.is_drained().await;
    eventually("everything is counted", || async { pelton.status(&queue)["Deleted"] == 25 }).await;
    let status = pelton.status(&queue);
    assert_eq!((&status["Polled"], &status["Filtered"], &status["Invoked"]), (&json!(25), &json!(25), &json!(0)));
    assert_eq!(status["LastProcessingResult"], "No records processed");
    assert!(function.seen().is_empty(), "nothing to invoke the function with");
    let metrics = pelton.get("/metrics").1;
    let counter = metrics.lines().find(|line| line.starts_with("FilteredOutEventCount_total{")).unwrap();
    assert!(counter.ends_with(" 25"), "{counter}");
    queue.send(json!({ "kind": "order" })).await;
    assert_eq!(function.is_invoked(1).await[0].bodies(), [r#"{"kind":"order"}"#]);
}

async fn bodies_of_every_kind(backend: Backend) {
    let function = Function::new();
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let bodies = [
        "plain text",
        r#"{"kind":"order"}"#,
        r#"{"kind":"order""#,
        r#"["order"]"#,
        r#"{"kind":"\ud800"}"#,
        r#"{"other":"\ud800","kind":"order"}"#,
        r#""order""#,
        &deep,
        &format!(r#"{{"deep":{deep},"kind":"order"}}"#),
    ];
    let (as_json, as_text, all) = (backend.queue(30).await, backend.queue(30).await, backend.queue(30).await);
    for queue in [&as_json, &as_text, &all] {
        for body in bodies {
            queue.send(body).await;
        }
    }
    let mappings = vec![
        mapping(&as_json, &function, filters(&[json!({ "body": { "kind": ["order"] } })])),
        mapping(&as_text, &function, filters(&[json!({ "body": ["plain text"] })])),
        mapping(&all, &function, filters(&[json!({ "eventSource": ["aws:sqs"] })])),
    ];
    let _pelton = Pelton::start(&backend, &function, mappings).await;
    for queue in [&as_json, &as_text, &all] {
        queue.is_drained().await;
    }
    let seen = function.seen();
    let bodies_of = |arn: &str| {
        let records = seen.iter().flat_map(|seen| seen.records()).filter(|record| record["eventSourceARN"] == arn);
        let mut bodies: Vec<String> = records.map(|record| record["body"].as_str().unwrap().to_owned()).collect();
        bodies.sort();
        bodies
    };
    let mut sorted: Vec<String> = bodies.iter().map(|body| body.to_string()).collect();
    sorted.sort();
    assert_eq!(bodies_of(&all.arn), sorted, "a filter that doesn't look at the body lets every body through, verbatim");
    assert_eq!(bodies_of(&as_text.arn), ["plain text"]);
    let orders = [bodies[8], bodies[1], bodies[5]];
    assert_eq!(bodies_of(&as_json.arn), orders, "what is JSON and has the field, whatever stands beside it");
}

async fn several_filters_and_attributes(backend: Backend) {
    let (queue, function) = (backend.queue(30).await, Function::new());
    for (body, colour) in [("1", Some("red")), ("2", Some("blue")), ("3", None), ("second filter", None)] {
        let mut send = queue.client.send_message().queue_url(&queue.url).message_body(body);
        if let Some(colour) = colour {
            let value = MessageAttributeValue::builder().data_type("String").string_value(colour).build().unwrap();
            send = send.message_attributes("colour", value);
        }
        send.send().await.unwrap();
    }
    let either = filters(&[
        json!({ "messageAttributes": { "colour": { "stringValue": ["red"] } } }),
        json!({ "body": [{ "prefix": "second" }] }),
    ]);
    let _pelton = Pelton::start(&backend, &function, vec![mapping(&queue, &function, either)]).await;
    queue.is_drained().await;
    let seen = function.seen();
    let mut bodies: Vec<&str> = seen.iter().flat_map(|seen| seen.bodies()).collect();
    bodies.sort_unstable();
    assert_eq!(bodies, ["1", "second filter"]);
}

async fn in_a_fifo_queue_the_rest_keeps_its_order(backend: Backend) {
    let (queue, function) = (backend.fifo_queue(30).await, Function::new());
    let message = |i: usize| json!({ "i": i, "kind": if i.is_multiple_of(3) { "order" } else { "noise" } }).to_string();
    queue.send_to_groups((0..30).map(|i| (["a", "b"][i % 2], message(i))).collect::<Vec<_>>()).await;
    let only_orders = filters(&[json!({ "body": { "kind": ["order"] } })]);
    let _pelton = Pelton::start(&backend, &function, vec![mapping(&queue, &function, only_orders)]).await;
    queue.is_drained().await;
    let mut groups: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for record in function.seen().iter().flat_map(|seen| seen.records()) {
        let body: Value = serde_json::from_str(record["body"].as_str().unwrap()).unwrap();
        let group = record["attributes"]["MessageGroupId"].as_str().unwrap().to_owned();
        groups.entry(group).or_default().push(body["i"].as_u64().unwrap());
    }
    assert_eq!(groups["a"], [0, 6, 12, 18, 24]);
    assert_eq!(groups["b"], [3, 9, 15, 21, 27]);
}

on_both_backends!(
    every_operator,
    a_batch_that_becomes_empty_does_not_invoke,
    bodies_of_every_kind,
    several_filters_and_attributes,
    in_a_fifo_queue_the_rest_keeps_its_order,
);

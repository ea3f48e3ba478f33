//! The event of a Kinesis stream, to the letter (spec 3.2).
use pelton_tests::{Backend, Function, Pelton, data, on_both_backends, stream_mapping};
use serde_json::{Value, json};

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

async fn a_record_has_lambdas_keys_in_lambdas_order(backend: Backend) {
    let (stream, function) = (backend.stream(1).await, Function::new());
    let number = stream.put("test_0", "hello").await;
    let shard = stream.shards().await.remove(0).shard_id;
    let pelton = Pelton::start(&backend, &function, vec![stream_mapping(&stream, &function, json!({}))]).await;
    pelton.has_settled(&stream, 1).await;
    let [seen] = function.seen().try_into().unwrap();
    assert_eq!(keys(&seen.event), ["Records"]);
    let [record] = seen.records() else { panic!("{:?}", seen.event) };
    let expected = [
        "kinesis",
        "eventSource",
        "eventVersion",
        "eventID",
        "eventName",
        "invokeIdentityArn",
        "awsRegion",
        "eventSourceARN",
    ];
    assert_eq!(keys(record), expected);
    let expected = ["kinesisSchemaVersion", "partitionKey", "sequenceNumber", "data", "approximateArrivalTimestamp"];
    assert_eq!(keys(&record["kinesis"]), expected);
    let arrival = &record["kinesis"]["approximateArrivalTimestamp"];
    assert!(arrival.is_f64() && (1e9..1e10).contains(&arrival.as_f64().unwrap()), "seconds: {arrival}");
    assert!((seen.start - arrival.as_f64().unwrap()).abs() < 60.0, "{arrival}");
    let expected = json!({
        "kinesis": {
            "kinesisSchemaVersion": "1.0", "partitionKey": "test_0", "sequenceNumber": number, "data": "aGVsbG8=",
            "approximateArrivalTimestamp": arrival,
        },
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventID": format!("{shard}:{number}"),
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": "arn:aws:iam::000000000000:role/work",
        "awsRegion": "us-east-1",
        "eventSourceARN": stream.arn,
    });
    assert_eq!(*record, expected);
}

async fn data_and_keys_arrive_untouched(backend: Backend) {
    let (stream, function) = (backend.stream(1).await, Function::new());
    let every_byte: Vec<u8> = (0..=255).collect();
    let megabyte: Vec<u8> = (0..1_048_576 - 16_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let bodies = [every_byte, Vec::new(), b"{\"a\":1,  \"b\":\"\xc3\xa9\"}".to_vec(), b"\0".to_vec(), megabyte];
    let partition_keys = ["plain", "Zoë 💡 日本語", "\"quoted\" \\ back\\slash", "\u{7f}\t\n", "k"];
    for (key, body) in partition_keys.iter().zip(&bodies) {
        stream.put(key, body).await;
    }
    let pelton = Pelton::start(&backend, &function, vec![stream_mapping(&stream, &function, json!({}))]).await;
    pelton.has_settled(&stream, 5).await;
    let seen = function.seen();
    let records: Vec<&Value> = seen.iter().flat_map(|seen| seen.records()).collect();
    let received: Vec<&str> = records.iter().map(|it| it["kinesis"]["partitionKey"].as_str().unwrap()).collect();
    assert_eq!(received, partition_keys);
    for (record, body) in records.iter().zip(&bodies) {
        assert!(data(record) == *body, "{} of {} bytes", data(record).len(), body.len());
    }
}

async fn a_function_of_lambda_shows_its_role(backend: Backend) {
    let stream = backend.stream(1).await;
    let (results, name) = (backend.queue(30).await, Backend::name("function"));
    let code = "def handler(event, context): return event['Records'][0]['invokeIdentityArn']";
    let arn = backend.create_function(&name, code).await;
    stream.put("key", "0").await;
    let mut configuration = backend.configuration(&[], vec![]);
    configuration["EventSourceMappings"] = json!([{
        "EventSourceArn": stream.arn, "FunctionName": arn, "StartingPosition": "TRIM_HORIZON",
        "DestinationConfig": { "OnSuccess": { "Destination": results.arn } },
    }]);
    let _pelton = Pelton::run(configuration).await;
    let record = pelton_tests::body(&results.take(1).await[0]);
    assert_eq!(record["responsePayload"], "arn:aws:iam::000000000000:role/lambda-role");
}

on_both_backends!(a_record_has_lambdas_keys_in_lambdas_order, data_and_keys_arrive_untouched);
// LocalStack needs Docker to execute functions.
mod with_functions {
    use super::*;
    pelton_tests::on_ministack!(a_function_of_lambda_shows_its_role);
}

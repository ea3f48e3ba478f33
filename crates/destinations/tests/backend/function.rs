//! Lambda functions as destinations.
use std::time::Duration;

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::{Environment, FunctionCode, Runtime, State};
use pelton_core::{Condition, ErrorKind};
use pelton_testkit::eventually;

use crate::scripted::Scripted;
use crate::support::{Backend, CONDITIONS, batch_json, batches, large_record, name, record};

/// Puts its event where the test can see it.
const CODE: &str = "
import json, os, urllib.request

def handler(event, context):
    url = os.environ['BUCKET'] + '/' + event['requestContext']['requestId']
    headers = {'content-type': 'application/json'}
    request = urllib.request.Request(url, json.dumps(event).encode(), headers, method='PUT')
    urllib.request.urlopen(request).read()
";

/// LocalStack runs functions only where there is a container engine.
#[tokio::test]
async fn is_run_with_the_record() {
    let backend = Backend::ministack();
    let (bucket, function) = (backend.bucket().await, name());
    let lambda = &backend.clients.lambda;
    let environment = Environment::builder().variables("BUCKET", format!("{}/{bucket}", backend.endpoint)).build();
    let create = lambda.create_function().function_name(&function).runtime(Runtime::Python311);
    create
        .role("arn:aws:iam::000000000000:role/work")
        .handler("index.handler")
        .code(FunctionCode::builder().zip_file(Blob::new(stored_zip("index.py", CODE))).build())
        .environment(environment)
        .send()
        .await
        .expect("the function is created");
    eventually("the function is active", Duration::from_secs(20), async || {
        let got = lambda.get_function().function_name(&function).send().await.unwrap();
        got.configuration().unwrap().state() == Some(&State::Active)
    })
    .await;

    let destination = backend.destination(&format!("arn:aws:lambda:us-east-1:000000000000:function:{function}"));
    for record in CONDITIONS.map(record).into_iter().chain(batches()) {
        destination.deliver(&record).await.unwrap();
        let id = &record.request_context.request_id;
        let expected: serde_json::Value = serde_json::from_str(&record.to_json().unwrap()).unwrap();
        eventually("the function has run", Duration::from_secs(20), async || {
            let objects = backend.objects(&bucket).await;
            objects.get(id).is_some_and(|text| serde_json::from_str::<serde_json::Value>(text).unwrap() == expected)
        })
        .await;
    }
}

#[tokio::test]
async fn is_invoked_asynchronously() {
    let (endpoint, backend) = Scripted::start(vec![(202, "", String::new())]).await;
    let record = record(Condition::Success);
    let arn = "arn:aws:lambda:us-east-1:000000000000:function:work:live";
    backend.destination(arn).deliver(&record).await.unwrap();
    let [request] = endpoint.requests().await.try_into().unwrap();
    assert_eq!(request.header("x-amz-invocation-type"), Some("Event"));
    assert_eq!(request.line, format!("POST /2015-03-31/functions/{}/invocations HTTP/1.1", arn.replace(':', "%3A")));
    assert_eq!(request.body, record.to_json().unwrap());
}

#[tokio::test]
async fn is_invoked_asynchronously_with_the_record_of_a_batch() {
    for record in batches() {
        let (endpoint, backend) = Scripted::start(vec![(202, "", String::new())]).await;
        backend.destination("arn:aws:lambda:us-east-1:000000000000:function:work").deliver(&record).await.unwrap();
        let [request] = endpoint.requests().await.try_into().unwrap();
        assert_eq!(request.header("x-amz-invocation-type"), Some("Event"));
        assert_eq!(request.body, batch_json(&record));
    }
}

#[tokio::test]
async fn lambdas_own_limit_counts() {
    let refused = "{\"Message\":\"1 MB? Request must be smaller than 262144 bytes for the InvokeFunction operation\"}";
    let headers = "x-amzn-errortype: RequestTooLargeException\r\n";
    let answers = vec![(413, headers, refused.to_owned()), (202, "", String::new())];
    let (endpoint, backend) = Scripted::start(answers).await;
    let record = large_record(300_000);
    let destination = backend.destination("arn:aws:lambda:us-east-1:000000000000:function:work");
    destination.deliver(&record).await.unwrap();
    let [whole, without] = endpoint.requests().await.try_into().unwrap();
    assert_eq!(whole.body, record.to_json().unwrap());
    assert_eq!(without.json()["payloadsOmitted"]["recordSize"], whole.body.len());
    assert_eq!(without.json()["payloadsOmitted"]["limit"], 262_144);
    assert!(without.json().get("requestPayload").is_none());
}

#[tokio::test]
async fn a_function_error_of_an_emulator_that_runs_it_at_once_is_no_acceptance() {
    let answer = (200, "x-amz-function-error: Unhandled\r\n", "{\"errorMessage\":\"no\"}".to_owned());
    let (_endpoint, backend) = Scripted::start(vec![answer]).await;
    let destination = backend.destination("arn:aws:lambda:us-east-1:000000000000:function:work");
    let error = destination.deliver(&record(Condition::Success)).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Transient);
    assert!(error.to_string().ends_with("the function answered with an error (Unhandled)"), "{error}");
}

/// A zip archive with one file that isn't compressed.
fn stored_zip(name: &str, text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap().to_le_bytes();
    let name_length = u16::try_from(name.len()).unwrap().to_le_bytes();
    let mut common = vec![20, 0, 0, 0, 0, 0, 0, 0, 0x21, 0];
    common.extend(crc32(text.as_bytes()).to_le_bytes());
    common.extend(length.into_iter().chain(length).chain(name_length).chain([0, 0]));

    let mut zip = b"PK\x03\x04".to_vec();
    zip.extend(common.iter().chain(name.as_bytes()).chain(text.as_bytes()));
    let directory_at = u32::try_from(zip.len()).unwrap().to_le_bytes();
    let mut directory = b"PK\x01\x02\x14\x03".to_vec();
    directory.extend(common);
    // No comment, disk 0, no internal attributes, mode 0644, at the start of the archive.
    directory.extend([0, 0, 0, 0, 0, 0, 0, 0, 0xa4, 0x81, 0, 0, 0, 0]);
    directory.extend(name.as_bytes());
    let directory_length = u32::try_from(directory.len()).unwrap().to_le_bytes();
    zip.extend(directory);
    zip.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    zip.extend(directory_length.into_iter().chain(directory_at).chain([0, 0]));
    zip
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc: u32, _| (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg()))
    })
}

//! What is said, and what is asked of the engine, when a record can't be delivered.
use std::time::Duration;

use pelton_core::{Condition, ErrorKind};
use tokio::net::TcpListener;

use crate::scripted::Scripted;
use crate::support::{Backend, name, on_both, record};

on_both!(a_missing_destination_is_refused);

const KINDS: [&str; 5] = [
    "arn:aws:sqs:us-east-1:000000000000:",
    "arn:aws:sns:us-east-1:000000000000:",
    "arn:aws:events:us-east-1:000000000000:event-bus/",
    "arn:aws:lambda:us-east-1:000000000000:function:",
    "arn:aws:s3:::",
];

async fn a_missing_destination_is_refused(backend: &Backend) {
    for kind in KINDS {
        let arn = format!("{kind}{}", name());
        let error = backend.destination(&arn).deliver(&record(Condition::RetriesExhausted)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Refused, "{error}");
        assert!(error.to_string().starts_with(&format!("{arn}: ")), "{error}");
    }
}

#[tokio::test]
async fn an_endpoint_that_is_down_is_passing_trouble() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let backend = Backend::at(format!("http://{}", listener.local_addr().unwrap()));
    drop(listener);
    for kind in KINDS {
        let destination = backend.destination(&format!("{kind}records"));
        let error = destination.deliver(&record(Condition::Success)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Transient, "{error}");
    }
}

#[tokio::test]
async fn an_answer_of_something_else_is_passing_trouble() {
    for kind in KINDS {
        let proxy = || (503, "content-type: text/html\r\n", "<html>starting</html>".to_owned());
        let (_endpoint, backend) = Scripted::start(vec![proxy(), proxy(), proxy()]).await;
        let destination = backend.destination(&format!("{kind}records"));
        let error = destination.deliver(&record(Condition::Success)).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Transient, "{error}");
    }
}

#[tokio::test]
async fn a_throttle_says_how_long_to_wait() {
    let throttle = || {
        let headers = "x-amzn-errortype: TooManyRequestsException\r\nretry-after: 7\r\n";
        (429, headers, "{\"Message\":\"Rate exceeded\",\"Reason\":\"CallerRateLimitExceeded\"}".to_owned())
    };
    let (_endpoint, backend) = Scripted::start(vec![throttle(), throttle(), throttle()]).await;
    let destination = backend.destination("arn:aws:lambda:us-east-1:000000000000:function:work");
    let error = destination.deliver(&record(Condition::Success)).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)), "{error}");
}

#[tokio::test]
async fn an_entry_that_eventbridge_refuses_is_a_failure_though_the_call_succeeds() {
    for (entry, kind, words) in [
        (
            "{\"ErrorCode\":\"ThrottlingException\",\"ErrorMessage\":\"slow down\"}",
            None,
            "ThrottlingException: slow down",
        ),
        ("{\"ErrorCode\":\"InternalFailure\"}", Some(ErrorKind::Transient), "InternalFailure: no further"),
        ("{\"ErrorCode\":\"NotAuthorizedForSourceException\"}", Some(ErrorKind::Refused), "NotAuthorized"),
        ("{}", Some(ErrorKind::Transient), "without saying why"),
    ] {
        let described = (200, "", "{\"Name\":\"records\"}".to_owned());
        let put = (200, "", format!("{{\"FailedEntryCount\":1,\"Entries\":[{entry}]}}"));
        let (endpoint, backend) = Scripted::start(vec![described, put]).await;
        let destination = backend.destination("arn:aws:events:us-east-1:000000000000:event-bus/records");
        let error = destination.deliver(&record(Condition::Success)).await.unwrap_err();
        assert_eq!(error.kind, kind.unwrap_or(ErrorKind::Throttled { retry_after: None }), "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(endpoint.requests().await.len(), 2);
    }
}

#[tokio::test]
async fn a_bus_that_may_not_be_looked_at_still_gets_its_records() {
    let denied = "{\"__type\":\"AccessDeniedException\",\"message\":\"not allowed\"}".to_owned();
    let put = "{\"FailedEntryCount\":0,\"Entries\":[{\"EventId\":\"1\"}]}".to_owned();
    let (endpoint, backend) = Scripted::start(vec![(400, "", denied), (200, "", put)]).await;
    let record = record(Condition::Success);
    let destination = backend.destination("arn:aws:events:us-east-1:000000000000:event-bus/records");
    destination.deliver(&record).await.unwrap();
    assert_eq!(endpoint.requests().await[1].json()["Entries"][0]["Detail"], record.to_json().unwrap());
}

#[tokio::test]
async fn a_queue_whose_limit_may_not_be_read_still_gets_its_records() {
    let denied = "{\"__type\":\"AccessDenied\",\"message\":\"not allowed\"}".to_owned();
    let sent = "{\"MessageId\":\"1\"}".to_owned();
    // The host of the URL doesn't exist: it is a name, the call goes to the endpoint.
    let url = "{\"QueueUrl\":\"http://sqs.us-east-1.nowhere.invalid:4566/000000000000/records\"}".to_owned();
    let (endpoint, backend) = Scripted::start(vec![(200, "", url), (403, "", denied), (200, "", sent)]).await;
    let record = record(Condition::Success);
    backend.destination("arn:aws:sqs:us-east-1:000000000000:records").deliver(&record).await.unwrap();
    assert_eq!(endpoint.requests().await[2].json()["MessageBody"], record.to_json().unwrap());
}

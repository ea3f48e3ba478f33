//! The API's own behaviour, with the test in the place of the worker.
use std::time::Duration;

use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::*;

/// Sends raw bytes and gives the answer, while every report is accepted.
async fn exchange(request: &[u8]) -> (String, Vec<Call>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, mut receiver) = mpsc::channel(8);
    let mut calls = Vec::new();
    let client = async {
        let mut connection = TcpStream::connect(address).await.unwrap();
        connection.write_all(request).await.unwrap();
        connection.shutdown().await.unwrap();
        let mut answer = Vec::new();
        // A reset connection is an answer, too.
        let _end = timeout(Duration::from_secs(5), connection.read_to_end(&mut answer)).await.unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    };
    let worker = async {
        while let Some(call) = receiver.recv().await {
            calls.push(match call {
                Call::Next(next) => {
                    drop(next);
                    continue;
                }
                Call::Outcome { request_id, outcome, verdict } => {
                    let _gone = verdict.send(Verdict::Accepted);
                    Call::Outcome { request_id, outcome, verdict: oneshot::channel().0 }
                }
                Call::InitError { error, verdict } => {
                    let _gone = verdict.send(Verdict::Accepted);
                    Call::InitError { error, verdict: oneshot::channel().0 }
                }
            });
        }
        std::future::pending::<()>().await;
    };
    let answer = tokio::select! {
        answer = client => answer,
        () = worker => unreachable!("the worker waits for ever"),
        ended = serve(listener, sender) => panic!("the server ended: {ended:?}"),
    };
    (answer, calls)
}

fn post(path: &str, body: &[u8]) -> Vec<u8> {
    let mut request = format!(
        "POST /2018-06-01/runtime/{path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    request
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_report_is_taken_or_refused(
        path in "(invocation/[a-zA-Z0-9%./-]{0,12}/(response|error)|init/error|[a-z/%]{0,20})",
        body in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (answer, calls) = runtime.block_on(exchange(&post(&path, &body)));
        prop_assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 202") || answer.starts_with("HTTP/1.1 4"), "{answer}");
        for call in calls {
            match call {
                Call::Outcome { outcome: Ok(payload), .. } => prop_assert_eq!(&payload[..], &body[..]),
                Call::Outcome { outcome: Err(Failure::Reported(error)), .. } | Call::InitError { error, .. } => {
                    prop_assert!(serde_json::from_slice::<serde_json::Value>(&error).is_ok());
                }
                other => prop_assert!(false, "{other:?}"),
            }
        }
    }

    #[test]
    fn any_bytes_do_no_harm(request in proptest::collection::vec(any::<u8>(), 0..300)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (_, calls) = runtime.block_on(exchange(&request));
        prop_assert!(calls.is_empty());
    }
}

#[tokio::test]
async fn a_body_that_ends_early_is_no_answer() {
    let mut request = post("invocation/r-1/response", b"{\"half\":1}");
    request.truncate(request.len() - 5);
    let (_, calls) = exchange(&request).await;
    assert!(calls.is_empty(), "{calls:?}");
}

//! Requests that are none: each gets AWS's error or a clean 4xx, and the process lives and answers the next.
use std::time::Duration;

use pelton_tests::{Backend, Function, Pelton, on_ministack};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const MAPPINGS: &str = "/2015-03-31/event-source-mappings";
const INVOKE: &str = "/2015-03-31/functions/work/invocations";
const CONFIG: &str = "/2019-09-25/functions/work/event-invoke-config";

/// What comes back on a connection of its own, or nothing where it is just closed.
async fn raw(pelton: &Pelton, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(pelton.url.trim_start_matches("http://")).await.unwrap();
    // The answer may come, and the connection be closed, before all is written.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer)).await;
    let _ = read.expect("an answer, or the end of the connection");
    String::from_utf8_lossy(&answer).into_owned()
}

fn request(method: &str, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: p\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

async fn each_gets_an_error_and_the_process_lives(backend: Backend) {
    let function = Function::new();
    let mut pelton = Pelton::run(json!({ "Endpoint": backend.endpoint, "Functions": [function.entry()] })).await;
    let nested = format!("{{\"FunctionName\": {}{}}}", "[".repeat(5_000), "]".repeat(5_000));
    let huge = format!("\"{}\"", "x".repeat(7 * 1024 * 1024));
    let bodies: [(&str, &str, &[u8]); 16] = [
        ("POST", MAPPINGS, b"{"),
        ("POST", MAPPINGS, b"[]"),
        ("POST", MAPPINGS, b"\xff\xfe"),
        ("POST", MAPPINGS, nested.as_bytes()),
        ("POST", MAPPINGS, br#"{"EventSourceArn": 7}"#),
        ("POST", MAPPINGS, br#"{"EventSourceArn": "x", "BatchSize": "ten"}"#),
        ("POST", MAPPINGS, br#"{"NoSuchField": true}"#),
        ("POST", MAPPINGS, huge.as_bytes()),
        ("PUT", "/2015-03-31/event-source-mappings/..%2f..%2fetc", b"{}"),
        ("GET", "/2015-03-31/functions/%2e%2e/%2e%2e/etc/passwd", b""),
        ("GET", "/2015-03-31/event-source-mappings/%ff", b""),
        ("GET", "/2015-03-31/event-source-mappings?MaxItems=lots", b""),
        ("POST", INVOKE, b"\x99"),
        ("POST", INVOKE, huge.as_bytes()),
        ("PUT", CONFIG, br#"{"MaximumRetryAttempts": 1.5}"#),
        ("PUT", CONFIG, br#"{"DestinationConfig": []}"#),
    ];
    for (method, path, body) in bodies {
        let answer = raw(&pelton, &request(method, path, "", body)).await;
        let body = String::from_utf8_lossy(&body[..body.len().min(40)]);
        assert!(answer.starts_with("HTTP/1.1 4"), "{method} {path} {body}: {answer}");
        assert!(answer.to_lowercase().contains("x-amzn-errortype: "), "{method} {path} {body}: {answer}");
    }
    let long = format!("x-long: {}\r\n", "x".repeat(1024 * 1024));
    let many = "x-one: 1\r\n".repeat(500);
    let chunked = "transfer-encoding: chunked\r\n";
    for (what, text) in [
        ("no request", b"nonsense\r\n\r\n".to_vec()),
        ("binary", vec![0xff; 10_000]),
        ("a long header", request("GET", MAPPINGS, &long, b"")),
        ("many headers", request("GET", MAPPINGS, &many, b"")),
        ("two lengths", request("POST", "/2015-03-31/functions", "content-length: 40\r\n", b"{}")),
        ("a length and chunks", request("POST", "/2018-10-31/layers", chunked, b"0\r\n\r\nGET /x HTTP/1.1\r\n\r\n")),
        ("a space in a name", request("GET", MAPPINGS, "x y: 1\r\n", b"")),
        ("a bad path", b"GET /2015-03-31/\x00 HTTP/1.1\r\nhost: p\r\n\r\n".to_vec()),
    ] {
        let answer = raw(&pelton, &text).await;
        let statuses: Vec<&str> = answer.lines().filter(|line| line.starts_with("HTTP/1.1 ")).collect();
        assert!(statuses.len() <= 1, "{what}: one answer, {answer}");
        assert!(statuses.iter().all(|status| !status.starts_with("HTTP/1.1 2")), "{what}: {answer}");
    }
    assert!(pelton.is_alive());
    assert_eq!(pelton.invoke("work", &[], &json!({ "id": 1 })).await.status, 200);
    assert_eq!(function.seen().len(), 1, "none of them reached the function");
    assert!(!pelton.log().contains("panicked"));
}

on_ministack!(each_gets_an_error_and_the_process_lives);

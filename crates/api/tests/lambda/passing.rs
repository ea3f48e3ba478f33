//! What is passed on to the upstream, and how.
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{Answer, Api, LIMIT};

const FUNCTIONS: &str = "/2015-03-31/functions";

/// An upstream under the test's own hands.
struct Upstream {
    listener: TcpListener,
}

impl Upstream {
    async fn of(api: &Api) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        *api.world.upstream.lock().unwrap() = Some(format!("http://{}", listener.local_addr().unwrap()));
        Self { listener }
    }

    async fn accept(&self) -> TcpStream {
        tokio::time::timeout(LIMIT, self.listener.accept()).await.expect("a request is passed on").unwrap().0
    }
}

/// Reads until what was read ends so.
async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(end.as_bytes()) {
        let mut byte = [0];
        let read = tokio::time::timeout(LIMIT, stream.read(&mut byte)).await;
        let read = read.unwrap_or_else(|_| panic!("{end:?} after {}", String::from_utf8_lossy(&bytes))).unwrap();
        assert_eq!(read, 1, "{end:?} after {}", String::from_utf8_lossy(&bytes));
        bytes.push(byte[0]);
    }
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn method_path_query_headers_and_body_arrive_as_they_were_sent() {
    let api = Api::start().await;
    let upstream = Upstream::of(&api).await;
    let path = "/2015-03-31/functions/a%2Fb%20c/code?Qualifier=%24LATEST&x=+&&y";
    let headers = "authorization: AWS4-HMAC-SHA256 Credential=a\r\nx-amz-invocation-type: Event\r\nx-twice: 1\r\n\
                   x-twice: 2\r\nx-hop: secret\r\nte: trailers\r\nkeep-alive: timeout=5\r\n";
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: lambda.example:9400\r\nconnection: close, x-hop\r\n{headers}content-length: 5\r\n\r\n\
         he\0lo"
    );
    let serving = async {
        let mut stream = upstream.accept().await;
        let head = read_until(&mut stream, "\r\n\r\n").await;
        let body = read_until(&mut stream, "he\0lo").await;
        let answer = "HTTP/1.1 299 Odd\r\nx-amzn-requestid: theirs\r\nx-amz-function-error: Unhandled\r\n\
                      connection: x-mine\r\nx-mine: 1\r\ncontent-length: 4\r\n\r\nbody";
        stream.write_all(answer.as_bytes()).await.unwrap();
        (head, body)
    };
    let ((head, body), answer) = tokio::join!(serving, api.send(request.as_bytes()));
    assert_eq!(body, "he\0lo");
    let mut lines: Vec<&str> = head.trim_end().lines().collect();
    assert_eq!(lines.remove(0), format!("POST {path} HTTP/1.1"));
    lines.sort();
    let via = lines.iter().position(|line| line.starts_with("via: 1.1 pelton-")).expect("a via");
    lines.remove(via);
    assert_eq!(
        lines,
        [
            "authorization: AWS4-HMAC-SHA256 Credential=a",
            "content-length: 5",
            "host: lambda.example:9400",
            "x-amz-invocation-type: Event",
            "x-twice: 1",
            "x-twice: 2",
        ]
    );
    assert_eq!((answer.status, answer.text().as_str()), (299, "body"));
    assert_eq!(answer.header("x-amzn-requestid"), Some("theirs"));
    assert_eq!(answer.header("x-amz-function-error"), Some("unhandled"));
    assert_eq!((answer.header("x-mine"), answer.header("content-length")), (None, Some("4")));
}

#[tokio::test]
async fn bodies_stream_both_ways() {
    let api = Api::start().await;
    let upstream = Upstream::of(&api).await;
    let mut client = TcpStream::connect(api.address).await.unwrap();
    let head = format!("PUT {FUNCTIONS}/f/code HTTP/1.1\r\nhost: pelton\r\ntransfer-encoding: chunked\r\n\r\n");
    client.write_all(format!("{head}5\r\nfirst\r\n").as_bytes()).await.unwrap();
    let mut server = upstream.accept().await;
    assert!(read_until(&mut server, "\r\n\r\n").await.contains("transfer-encoding: chunked"));
    read_until(&mut server, "5\r\nfirst\r\n").await;
    client.write_all(b"6\r\nsecond\r\n0\r\n\r\n").await.unwrap();
    read_until(&mut server, "6\r\nsecond\r\n0\r\n\r\n").await;
    server.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n").await.unwrap();
    let head = read_until(&mut client, "3\r\none\r\n").await.to_lowercase();
    assert!(head.contains("x-amzn-requestid: "), "{head}");
    server.write_all(b"3\r\ntwo\r\n0\r\n\r\n").await.unwrap();
    read_until(&mut client, "3\r\ntwo\r\n0\r\n\r\n").await;
}

#[tokio::test]
async fn tags_of_functions_are_the_upstreams() {
    let api = Api::start().await;
    let upstream = Upstream::of(&api).await;
    let path = "/2017-03-31/tags/arn%3Aaws%3Alambda%3Aus-east-1%3A111111111111%3Afunction%3Af";
    let serving = async {
        let mut stream = upstream.accept().await;
        let head = read_until(&mut stream, "\r\n\r\n").await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{\"Tags\":{}}").await.unwrap();
        head
    };
    let (head, answer) = tokio::join!(serving, api.ask("GET", path, Value::Null));
    assert!(head.starts_with(&format!("GET {path} HTTP/1.1\r\n")), "{head}");
    assert_eq!(answer.json(), json!({ "Tags": {} }));
}

/// What lies behind a first request's body is a second request, to Pelton, and nothing that is passed on.
#[tokio::test]
async fn no_request_is_smuggled_inside_another() {
    let api = Api::start().await;
    let upstream = Upstream::of(&api).await;
    let inner = "GET /2015-03-31/account-settings HTTP/1.1\r\nhost: x\r\n\r\n";
    for request in [
        format!(
            "POST {FUNCTIONS} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\ntransfer-encoding: chunked\
             \r\n\r\n0\r\n\r\n{inner}",
            inner.len() + 5
        ),
        format!(
            "POST {FUNCTIONS} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\ncontent-length: {}\r\n\r\n{inner}",
            inner.len()
        ),
        format!("POST {FUNCTIONS} HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n{inner}"),
        format!("GET {FUNCTIONS}\r\nx: y HTTP/1.1\r\nhost: x\r\n\r\n"),
        format!("GET {FUNCTIONS} HTTP/1.1\r\nhost: x\r\nx : y\r\n\r\n"),
    ] {
        let mut client = TcpStream::connect(api.address).await.unwrap();
        client.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let serving = async {
            // One request at most comes, and nothing of the second one is in it.
            if let Ok(accepted) = tokio::time::timeout(Duration::from_millis(300), upstream.listener.accept()).await {
                let mut stream = accepted.unwrap().0;
                let head = read_until(&mut stream, "\r\n\r\n").await;
                assert!(!head.contains("account-settings"), "{head}");
                let mut more = [0; 1024];
                let read = tokio::time::timeout(Duration::from_millis(300), stream.read(&mut more)).await;
                let text = read.map(|read| String::from_utf8_lossy(&more[..read.unwrap()]).into_owned());
                assert!(!text.is_ok_and(|text| text.contains("account-settings")));
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await;
            }
        };
        let reading = tokio::time::timeout(Duration::from_secs(2), client.read_to_end(&mut answer));
        let (_, _) = tokio::join!(serving, reading);
        assert!(answer.starts_with(b"HTTP/1.1 "), "{request:?}");
    }
}

#[tokio::test]
async fn without_an_upstream_that_is_said() {
    let api = Api::start().await;
    let (status, kind, body) = api.ask("GET", FUNCTIONS, Value::Null).await.error();
    assert_eq!((status, kind.as_str(), &body["Type"]), (502, "serviceexception", &json!("Service")));
    assert!(body["Message"].as_str().unwrap().contains("names none but AWS itself"), "{body}");
    for (endpoint, reason) in
        [("http://127.0.0.1:1", "doesn't answer: "), ("https://127.0.0.1:1", "it passes on to http:// endpoints only.")]
    {
        *api.world.upstream.lock().unwrap() = Some(endpoint.into());
        let (status, kind, body) = api.ask("GET", FUNCTIONS, Value::Null).await.error();
        assert_eq!((status, kind.as_str()), (502, "serviceexception"));
        let message = body["Message"].as_str().unwrap();
        assert!(message.contains(endpoint) && message.contains(reason), "{message}");
    }
}

#[tokio::test]
async fn an_upstream_that_is_pelton_itself_is_no_endless_loop() {
    let api = Api::start().await;
    *api.world.upstream.lock().unwrap() = Some(format!("http://{}", api.address));
    let (status, _, body) = api.ask("GET", FUNCTIONS, Value::Null).await.error();
    assert_eq!(status, 502);
    assert!(body["Message"].as_str().unwrap().contains("is Pelton itself"), "{body}");
}

#[tokio::test]
async fn an_upstream_that_breaks_off_is_seen_by_the_client() {
    let api = Api::start().await;
    let upstream = Upstream::of(&api).await;
    let serving = async {
        let mut stream = upstream.accept().await;
        read_until(&mut stream, "\r\n\r\n").await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await.unwrap();
    };
    let asking = async {
        let mut client = TcpStream::connect(api.address).await.unwrap();
        client.write_all(format!("GET {FUNCTIONS} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        let read = tokio::time::timeout(LIMIT, client.read_to_end(&mut bytes)).await.expect("the connection ends");
        (read.is_ok(), bytes)
    };
    let ((), (_, bytes)) = tokio::join!(serving, asking);
    let answer = Answer::read(&bytes);
    assert_eq!((answer.header("content-length"), answer.text().as_str()), (Some("10"), "half"));
}

/// A function may run for 15 minutes; a client that is silent while it waits isn't cut off, one that owes a body is.
#[tokio::test]
async fn only_clients_that_owe_something_may_not_be_silent() {
    let api = Api::start().await;
    let upstream = Upstream::of(&api).await;
    let mut waiting = TcpStream::connect(api.address).await.unwrap();
    let head =
        format!("POST {FUNCTIONS}/f/invocations HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\n");
    waiting.write_all(format!("{head}{{}}").as_bytes()).await.unwrap();
    let mut server = upstream.accept().await;
    read_until(&mut server, "{}").await;
    let mut owing = TcpStream::connect(api.address).await.unwrap();
    owing.write_all(format!("{head}{{").as_bytes()).await.unwrap();
    let mut half = upstream.accept().await;
    read_until(&mut half, "\r\n\r\n{").await;

    tokio::time::pause();
    let start = tokio::time::Instant::now();
    let mut bytes = Vec::new();
    let _ = owing.read_to_end(&mut bytes).await;
    assert!(start.elapsed() >= Duration::from_secs(29), "{:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(70), "{:?}", start.elapsed());
    tokio::time::sleep(Duration::from_secs(600)).await;
    tokio::time::resume();
    server.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlate").await.unwrap();
    let mut bytes = Vec::new();
    waiting.read_to_end(&mut bytes).await.unwrap();
    assert_eq!(Answer::read(&bytes).text(), "late");
}

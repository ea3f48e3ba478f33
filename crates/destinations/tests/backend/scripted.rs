//! An endpoint that answers what a test says, for answers that no backend gives.
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::support::Backend;

/// One request as it came.
#[derive(Debug)]
pub struct Request {
    /// Method and path.
    pub line: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("the request is JSON")
    }
}

/// Gives its answers, one a connection, and then the requests that it got.
pub struct Scripted {
    serving: JoinSet<Vec<Request>>,
}

impl Scripted {
    /// Answers: HTTP status, extra header lines, body.
    pub async fn start(answers: Vec<(u16, &'static str, String)>) -> (Self, Backend) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let backend = Backend::at(format!("http://{}", listener.local_addr().unwrap()));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut requests = Vec::new();
            for (status, headers, body) in answers {
                let (stream, _) = listener.accept().await.unwrap();
                let mut stream = BufReader::new(stream);
                requests.push(read(&mut stream).await);
                let answer = format!(
                    "HTTP/1.1 {status} Scripted\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n{body}",
                    body.len()
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
                stream.shutdown().await.unwrap();
            }
            requests
        });
        (Self { serving }, backend)
    }

    /// What was asked. Panics if an answer is left over.
    pub async fn requests(mut self) -> Vec<Request> {
        let requests = self.serving.join_next();
        let requests = tokio::time::timeout(std::time::Duration::from_secs(5), requests).await;
        requests.expect("every answer is asked for").unwrap().unwrap()
    }
}

async fn read(stream: &mut BufReader<tokio::net::TcpStream>) -> Request {
    let mut line = String::new();
    stream.read_line(&mut line).await.unwrap();
    let mut headers = Vec::new();
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await.unwrap();
        let Some((name, value)) = header.trim_end().split_once(':') else { break };
        headers.push((name.to_lowercase(), value.trim().to_owned()));
    }
    let mut request = Request { line: line.trim_end().to_owned(), headers, body: String::new() };
    let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    request.body = String::from_utf8(body).unwrap();
    request
}

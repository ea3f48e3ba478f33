//! An upstream that has answers ready.
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::support::Api;

/// Answers each request with the next of its answers, and remembers them all.
pub struct Scripted {
    asked: Arc<Mutex<Vec<String>>>,
    _serving: JoinSet<()>,
}

impl Scripted {
    /// Status and body of each answer. Further requests get no answer.
    pub async fn of(api: &Api, answers: Vec<(u16, String)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        *api.world.upstream.lock().unwrap() = Some(format!("http://{}", listener.local_addr().unwrap()));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (seen, mut serving) = (asked.clone(), JoinSet::new());
        serving.spawn(async move {
            for (status, body) in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                let (mut bytes, mut part) = (Vec::new(), [0; 4_096]);
                while !is_whole(&bytes) {
                    let read = stream.read(&mut part).await.unwrap();
                    assert_ne!(read, 0, "a whole request comes");
                    bytes.extend_from_slice(&part[..read]);
                }
                seen.lock().unwrap().push(String::from_utf8(bytes).unwrap());
                let answer = format!(
                    "HTTP/1.1 {status} Some\r\nconnection: close\r\nx-amzn-errortype: FromUpstream\r\ncontent-length: {}\
                     \r\n\r\n{body}",
                    body.len()
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        });
        Self { asked, _serving: serving }
    }

    /// The requests so far, head and body.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// Their first lines, without the version.
    pub fn lines(&self) -> Vec<String> {
        let line = |request: &String| request.lines().next().unwrap().replace(" HTTP/1.1", "");
        self.asked().iter().map(line).collect()
    }
}

fn is_whole(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.map_or(0, |length| length.parse().unwrap())
}

//! A TCP forwarder that can be switched off: an endpoint that goes away and comes back.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Forwards connections to a backend while it is on. Ends with its value.
#[derive(Debug)]
pub struct Forwarder {
    /// What to use instead of the backend's endpoint.
    pub endpoint: String,
    on: Arc<AtomicBool>,
    _tasks: JoinSet<()>,
}

impl Forwarder {
    /// In front of an endpoint such as `http://127.0.0.1:4566`. Off: connections are closed at once.
    pub async fn start(endpoint: &str, on: bool) -> Self {
        let target = endpoint.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let on = Arc::new(AtomicBool::new(on));
        let mut tasks = JoinSet::new();
        tasks.spawn(forward(listener, target, on.clone()));
        Self { endpoint, on, _tasks: tasks }
    }

    /// Off: connections that are open are cut.
    pub fn switch(&self, on: bool) {
        self.on.store(on, Ordering::SeqCst);
    }
}

async fn forward(listener: TcpListener, target: String, on: Arc<AtomicBool>) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::time::timeout(Duration::from_millis(20), listener.accept()).await;
        if !on.load(Ordering::SeqCst) {
            connections.abort_all();
            continue;
        }
        let Ok(Ok((mut client, _))) = accepted else { continue };
        let target = target.clone();
        connections.spawn(async move {
            let Ok(mut server) = TcpStream::connect(target).await else { return };
            // A cut connection is what the test wants to see.
            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        });
    }
}

//! An HTTPS endpoint with an authority of its own.
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use pelton_tests::{Backend, Function, Pelton, eventually, mapping};
use serde_json::json;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tls")
}

/// TLS in front of a backend.
struct Tls {
    child: Child,
    endpoint: String,
}

impl Tls {
    fn before(backend: &Backend) -> Self {
        let address = backend.endpoint.strip_prefix("http://").unwrap();
        let (host, port) = address.trim_end_matches('/').split_once(':').unwrap();
        let mut command = Command::new("python3");
        command.arg(fixtures().join("forward.py")).args([host, port]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, endpoint: format!("https://localhost:{}", line.trim()) }
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn an_endpoint_is_trusted_by_the_ca_bundle_only() {
    let backend = Backend::ministack().await;
    let tls = Tls::before(&backend);
    let (queue, function) = (backend.queue(20).await, Function::new());
    let configuration = json!({
        "Endpoint": tls.endpoint,
        "Functions": [function.entry()],
        "EventSourceMappings": [mapping(&queue, &function, json!({}))],
    });
    queue.send("over TLS").await;

    let distrustful = Pelton::run(configuration.clone()).await;
    eventually("the certificate is refused", || async { distrustful.result(&queue).starts_with("PROBLEM: ") }).await;
    assert!(function.seen().is_empty());
    drop(distrustful);

    let mut trusting = configuration;
    trusting["CaBundle"] = json!(fixtures().join("ca.pem"));
    let pelton = Pelton::run(trusting).await;
    assert_eq!(function.is_done(1).await[0].bodies(), ["over TLS"]);
    queue.is_drained().await;
    assert_eq!(pelton.result(&queue), "OK");
}

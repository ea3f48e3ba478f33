//! What the pages `docs/with-….md` show: files that Pelton takes, and commands that do what they say.
use std::path::Path;

use pelton_tests::{Backend, Pelton, binary, eventually, on_localstack};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use super::prints;

const PAGES: [&str; 4] = ["with-localstack.md", "with-sam-cli.md", "with-terraform.md", "with-testcontainers.md"];

fn page(name: &str) -> String {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("docs");
    std::fs::read_to_string(docs.join(name)).unwrap()
}

/// The blocks of a language.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("\n```{language}\n");
    page.split(fence.as_str()).skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect()
}

/// A folder with `greet.py` of the first page.
fn code() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("greet.py"), blocks(&page(PAGES[0]), "python")[0]).unwrap();
    folder
}

/// A page's `pelton.yaml`, at the backend, at a free port, and with the code that is elsewhere here.
async fn start(page: &str, code: &TempDir, backend: &Backend) -> Pelton {
    let [text] = blocks(page, "yaml")[..] else { panic!("one file") };
    let text = text.replace("http://127.0.0.1:4566", &backend.endpoint).replace("0.0.0.0:9400", "127.0.0.1:0");
    let mut text = text.replace("greet.handler", &format!("greet.handler\n    CodeUri: {}", code.path().display()));
    for (key, value) in [("Endpoint", backend.endpoint.as_str()), ("Listen", "127.0.0.1:0")] {
        if !text.contains(&format!("{key}: ")) {
            text.push_str(&format!("\n{key}: {value}\n"));
        }
    }
    Pelton::run_text(&text).await
}

#[tokio::test]
async fn their_files_are_good_ones() {
    let mut seen = 0;
    for name in PAGES {
        let page = page(name);
        for text in blocks(&page, "yaml") {
            let folder = code();
            std::fs::write(folder.path().join("pelton.yaml"), text).unwrap();
            let check = Command::new(binary()).args(["check", "--offline"]).current_dir(folder.path()).output().await;
            let check = check.unwrap();
            assert!(check.status.success(), "{name}: {}", String::from_utf8_lossy(&check.stdout));
            seen += 1;
        }
    }
    assert_eq!(seen, 3);
}

async fn the_commands_for_localstack_do_what_they_say(backend: Backend) {
    let (page, code) = (page(PAGES[0]), code());
    let pelton = start(&page, &code, &backend).await;
    let [commands] = blocks(&page, "sh")[..] else { panic!("one list of commands") };
    let commands = commands.replace("http://127.0.0.1:4566", &backend.endpoint);
    let commands = commands.replace("http://127.0.0.1:9400", &pelton.url);
    let bin = pelton_testkit::backend::aws_tools(&|_| {}).await.unwrap();
    let path = std::env::var_os("PATH").unwrap();
    let paths = std::iter::once(bin).chain(std::env::split_paths(&path));
    let mut shell = Command::new("sh");
    shell.args(["-e", "-c", &commands]).env_clear().env("PATH", std::env::join_paths(paths).unwrap());
    let output = shell.current_dir(code.path()).output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answer = std::fs::read_to_string(code.path().join("answer.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&answer).unwrap(), json!({ "greeted": { "name": "Ada" } }));
    let mappings = || async { serde_json::from_str::<Value>(&pelton.get("/status").1).unwrap() };
    eventually("the message is processed", || async { mappings().await[0]["Deleted"] == 1 }).await;
    let functions = || async { serde_json::from_str::<Value>(&pelton.get("/status/functions").1).unwrap() };
    eventually("the event is processed", || async {
        let functions = functions().await;
        functions[0]["Invocations"] == 1 && functions[0]["Waiting"] == 0
    })
    .await;
}

/// What the page imports of Testcontainers, without containers: at their ports are LocalStack and Pelton.
const NO_CONTAINERS: &str = r#"
import os, sys, types
from urllib.parse import urlsplit

class Anything:
    def __init__(self, *arguments): self.name = str(arguments[0]) if arguments else ""
    def __enter__(self): return self
    def __exit__(self, *error): pass
    def __getattr__(self, name):
        if not (name.startswith("with_") or name == "waiting_for"): raise AttributeError(name)
        return lambda *arguments: self
    def url(self): return urlsplit(os.environ["LOCALSTACK" if self.name.startswith("localstack/") else "PELTON"])
    def get_container_host_ip(self): return self.url().hostname
    def get_exposed_port(self, port): return self.url().port

for module, name in [("container", "DockerContainer"), ("network", "Network"), ("wait_strategies", "HttpWaitStrategy")]:
    made = types.ModuleType(f"testcontainers.core.{module}")
    setattr(made, name, Anything)
    sys.modules[made.__name__] = made
for package in ["testcontainers", "testcontainers.core"]:
    sys.modules[package] = types.ModuleType(package)
"#;

async fn the_test_with_testcontainers_passes(backend: Backend) {
    let (page, code) = (page("with-testcontainers.md"), code());
    let pelton = start(&page, &code, &backend).await;
    let test = blocks(&page, "python").join("\n");
    let bin = pelton_testkit::backend::aws_tools(&|_| {}).await.unwrap();
    let mut python = Command::new(bin.join("python"));
    python.args(["-c", &format!("{NO_CONTAINERS}\n{test}\ntest_greetings()\nprint(1)")]);
    python.env("LOCALSTACK", &backend.endpoint).env("PELTON", &pelton.url);
    assert_eq!(prints(python).await, 1);
    let mappings: Value = serde_json::from_str(&pelton.get("/status").1).unwrap();
    assert_eq!(mappings[0]["EventSourceArn"], "arn:aws:sqs:us-east-1:000000000000:guests");
}

on_localstack!(the_commands_for_localstack_do_what_they_say, the_test_with_testcontainers_passes);

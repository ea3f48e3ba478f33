//! What AWS was seen to answer, row by row of the conformance spec's sections 1, 2 and 9 to 13, against the running binary:
//! statuses, error types and bodies as they are on the wire, as snapshots. What isn't a single answer is shown elsewhere:
//! retries and their times in `asynchronous/retries.rs` and the engine's tests in paused time, records and their wrapping in
//! `asynchronous/destinations.rs` and `asynchronous/dead_letters.rs`.
mod configs;
mod invoke;
mod mappings;
mod refusals;
mod streams;
mod tags;

use std::fmt::Write as _;

use pelton_tests::{Answer, Backend, Function, Pelton, eventually};
use serde_json::{Value, json};

const MAPPINGS: &str = "/2015-03-31/event-source-mappings";

/// Pelton with the local function `work`, which has the alias `live`.
async fn start(backend: &Backend, function: &Function) -> Pelton {
    let mut entry = function.entry();
    entry["Aliases"] = json!(["live"]);
    Pelton::run(json!({
        "Endpoint": backend.endpoint, "Functions": [entry], "AsyncInvocation": { "DelayScale": 0.01 },
    }))
    .await
}

/// Requests and what was answered, with everything that is another each time replaced.
struct Transcript<'p> {
    pelton: &'p Pelton,
    names: Vec<(String, String)>,
    text: String,
}

impl<'p> Transcript<'p> {
    fn of(pelton: &'p Pelton) -> Self {
        Self { pelton, names: Vec::new(), text: String::new() }
    }

    /// Shows a text as `<name>`.
    fn name(&mut self, text: &str, name: &str) {
        if !self.names.iter().any(|(known, _)| known == text) {
            self.names.push((text.to_owned(), format!("<{name}>")));
        }
    }

    fn masked(&self, text: &str) -> String {
        let mut text = self.names.iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to));
        const TIME: &str = "\"LastModified\":";
        let mut from = 0;
        while let Some(found) = text[from..].find(TIME) {
            let begin = from + found + TIME.len();
            let is_digit = |byte: &u8| byte.is_ascii_digit() || b".eE".contains(byte);
            let length = text.as_bytes()[begin..].iter().take_while(|byte| is_digit(byte)).count();
            if length > 0 {
                text.replace_range(begin..begin + length, "<time>");
            }
            from = begin;
        }
        text
    }

    /// Asks, notes both, and gives the answer. A mapping's UUID is named by what it was made for.
    async fn ask(&mut self, method: &str, path: &str, body: impl AsRef<[u8]>) -> Answer {
        self.ask_with(method, path, &[], body).await
    }

    async fn ask_with(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: impl AsRef<[u8]>) -> Answer {
        let answer = self.pelton.request(method, path, headers, body.as_ref()).await;
        assert!(answer.request_id().parse::<uuid::Uuid>().is_ok(), "each answer has a request id: {answer:?}");
        if let Ok(Value::Object(fields)) = serde_json::from_str(&answer.body)
            && let Some(uuid) = fields.get("UUID").and_then(Value::as_str)
        {
            let number = self.names.iter().filter(|(_, name)| name.starts_with("<uuid ")).count() + 1;
            self.name(uuid, &format!("uuid {number}"));
        }
        let mut noted = format!("{method} {path}\n");
        for (name, value) in headers {
            writeln!(noted, "  {name}: {value}").unwrap();
        }
        let body = String::from_utf8_lossy(body.as_ref()).into_owned();
        if !body.is_empty() {
            writeln!(noted, "  {body}").unwrap();
        }
        let kind = answer.header("x-amzn-errortype");
        writeln!(noted, "=> {}{}{kind}", answer.status, if kind.is_empty() { "" } else { " " }).unwrap();
        if !answer.body.is_empty() {
            writeln!(noted, "  {}", answer.body).unwrap();
        }
        let noted = self.masked(&noted);
        writeln!(self.text, "{noted}").unwrap();
        answer
    }

    async fn create(&mut self, mapping: Value) -> Answer {
        self.ask("POST", MAPPINGS, mapping.to_string()).await
    }

    /// The path of a mapping that was created.
    fn path(answer: &Answer) -> String {
        format!("{MAPPINGS}/{}", answer.json()["UUID"].as_str().unwrap())
    }

    /// Waits until a mapping is in a state, then notes it.
    async fn settles(&mut self, path: &str, state: &str) -> Answer {
        let pelton = self.pelton;
        eventually(&format!("{path} becomes {state}"), || async {
            pelton.request("GET", path, &[], "").await.json()["State"] == state
        })
        .await;
        self.ask("GET", path, "").await
    }

    /// Waits until a mapping is gone, then notes it.
    async fn is_gone(&mut self, path: &str) {
        let pelton = self.pelton;
        eventually(&format!("{path} is gone"), || async { pelton.request("GET", path, &[], "").await.status == 404 })
            .await;
        self.ask("GET", path, "").await;
    }
}

//! A function that runs as a local process and writes down what it receives.
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

/// `app.py`, in a folder of its own. It acts by what is in a record: `{"do": "fail"}` and so on, as a message's body, a
/// record's data, or an item's attribute `body`.
#[derive(Debug)]
pub struct Function {
    /// What mappings call it.
    pub name: String,
    /// Processes.
    pub concurrency: u32,
    /// Seconds.
    pub timeout: u32,
    folder: TempDir,
}

/// One invocation as the function saw it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The request id that it was told.
    pub id: String,
    /// The event.
    pub event: Value,
    /// Seconds since 1970.
    pub start: f64,
    /// The process that was invoked.
    pub pid: u64,
    /// Seconds since 1970; `None` while it runs, or if it never came back.
    pub end: Option<f64>,
}

impl Seen {
    /// The records of the event.
    pub fn records(&self) -> &[Value] {
        self.event["Records"].as_array().unwrap()
    }

    /// The bodies of its records.
    pub fn bodies(&self) -> Vec<&str> {
        self.records().iter().map(|record| record["body"].as_str().unwrap()).collect()
    }

    /// What its records of a stream hold: the data of Kinesis as text, or the attribute `body` of an item's new image.
    pub fn texts(&self) -> Vec<String> {
        let text = |record: &Value| match &record["dynamodb"] {
            Value::Null => String::from_utf8(data(record)).unwrap(),
            change => change["NewImage"]["body"]["S"].as_str().unwrap().to_owned(),
        };
        self.records().iter().map(text).collect()
    }

    /// The sequence numbers of its records of a stream.
    pub fn sequence_numbers(&self) -> Vec<&str> {
        self.records().iter().map(sequence_number).collect()
    }

    /// The shard that its first record of Kinesis comes from.
    pub fn shard(&self) -> &str {
        self.records()[0]["eventID"].as_str().unwrap().split(':').next().unwrap()
    }

    /// The receive counts of its records.
    pub fn receive_counts(&self) -> Vec<&str> {
        let counts = self.records().iter().map(|record| &record["attributes"]["ApproximateReceiveCount"]);
        counts.map(|count| count.as_str().unwrap()).collect()
    }
}

impl Default for Function {
    fn default() -> Self {
        Self::new()
    }
}

impl Function {
    /// One process, 20 s.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("app.py"), include_str!("app.py")).unwrap();
        Self { name: "work".into(), concurrency: 1, timeout: 20, folder }
    }

    /// Under another name than `work`.
    pub fn named(name: &str) -> Self {
        Self { name: name.into(), ..Self::new() }
    }

    /// With this many processes.
    pub fn with_concurrency(self, concurrency: u32) -> Self {
        Self { concurrency, ..self }
    }

    /// With this time limit in seconds.
    pub fn with_timeout(self, timeout: u32) -> Self {
        Self { timeout, ..self }
    }

    /// Its entry under `Functions`.
    pub fn entry(&self) -> Value {
        json!({
            "FunctionName": self.name, "Runtime": "python3.x", "Handler": "app.handler", "CodeUri": self.folder.path(),
            "Concurrency": self.concurrency, "Timeout": self.timeout,
        })
    }

    fn notes(&self) -> PathBuf {
        self.folder.path().join("notes.jsonl")
    }

    /// What it has received so far, in the order of the starts.
    pub fn seen(&self) -> Vec<Seen> {
        let Ok(text) = std::fs::read_to_string(self.notes()) else { return Vec::new() };
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        let notes: Vec<Value> = complete.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        // An id may come twice: the answer of an invocation can be lost.
        let mut seen: Vec<(Value, Seen)> = Vec::new();
        for note in notes {
            match note["start"].as_f64() {
                Some(start) => {
                    let (event, pid) = (note["event"].clone(), note["pid"].as_u64().unwrap());
                    let id = note["id"].as_str().unwrap().to_owned();
                    seen.push((note["id"].clone(), Seen { id, event, start, pid, end: None }));
                }
                None => {
                    let mut running = seen.iter_mut().rev();
                    if let Some((_, seen)) = running.find(|(id, seen)| *id == note["id"] && seen.end.is_none()) {
                        seen.end = note["end"].as_f64();
                    }
                }
            }
        }
        seen.into_iter().map(|(_, seen)| seen).collect()
    }

    /// Waits until it was invoked `count` times.
    pub async fn is_invoked(&self, count: usize) -> Vec<Seen> {
        crate::eventually(&format!("{count} invocations"), || async { self.seen().len() >= count }).await;
        self.seen()
    }

    /// Waits until this many invocations have come back, and no other runs.
    pub async fn is_done(&self, count: usize) -> Vec<Seen> {
        crate::eventually(&format!("{count} invocations come back"), || async {
            self.seen().iter().filter(|seen| seen.end.is_some()).count() >= count
        })
        .await;
        self.seen()
    }
}

/// The bytes of a Kinesis record's data.
pub fn data(record: &Value) -> Vec<u8> {
    STANDARD.decode(record["kinesis"]["data"].as_str().unwrap()).unwrap()
}

/// The sequence number of a record of a stream.
pub fn sequence_number(record: &Value) -> &str {
    let number = record["kinesis"]["sequenceNumber"].as_str();
    number.or_else(|| record["dynamodb"]["SequenceNumber"].as_str()).unwrap()
}

/// What records of streams hold in invocations, in the order of their starts, again for each time.
pub fn texts(seen: &[Seen]) -> Vec<String> {
    seen.iter().flat_map(Seen::texts).collect()
}

/// The most invocations that ran at the same time.
pub fn largest_overlap(seen: &[Seen]) -> usize {
    let running_at = |at: f64| seen.iter().filter(|it| it.start <= at && it.end.is_none_or(|end| end > at)).count();
    seen.iter().map(|seen| running_at(seen.start)).max().unwrap_or(0)
}

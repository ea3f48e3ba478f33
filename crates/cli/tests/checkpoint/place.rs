//! A stream, a file that reads it, and `pelton`.
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use aws_config::{BehaviorVersion, Region};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::StreamStatus;
use pelton_core::MappingId;
use pelton_testkit::{backend, eventually};
use serde_json::Value;
use tempfile::TempDir;

const PELTON: &str = env!("CARGO_BIN_EXE_pelton");
pub const LIMIT: Duration = Duration::from_secs(30);
/// Writes down the data of each record, a line each, and hangs if it is told to.
const FUNCTION: &str = "\
import base64, os, time

def handler(event, context):
    notes = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'notes')
    with open(notes, 'a') as file:
        for record in event['Records']:
            data = base64.b64decode(record['kinesis']['data']).decode()
            file.write(data + '\\n')
            if data.startswith('hang'):
                file.flush()
                time.sleep(60)
";

/// The data and the sequence number of what was put into each shard.
pub type Put = BTreeMap<String, Vec<(String, String)>>;

/// A stream, and a folder with a file that reads it.
pub struct Place {
    endpoint: String,
    kinesis: aws_sdk_kinesis::Client,
    stream: String,
    pub folder: TempDir,
}

impl Place {
    pub async fn new(shards: i32) -> Self {
        Self::at(backend::ministack(), shards).await
    }

    pub async fn at(endpoint: String, shards: i32) -> Self {
        let credentials = aws_sdk_kinesis::config::Credentials::new("test", "test", None, None, "test");
        let config = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new("us-east-1"))
            .credentials_provider(credentials)
            .endpoint_url(&endpoint)
            .load()
            .await;
        let kinesis = aws_sdk_kinesis::Client::new(&config);
        let stream = format!("checkpoint-{}", uuid::Uuid::new_v4().simple());
        // LocalStack starts its engine at the first call, and lets few streams be created at once.
        eventually("the stream is created", LIMIT, || async {
            match kinesis.create_stream().stream_name(&stream).shard_count(shards).send().await {
                Ok(_) => true,
                Err(error) => {
                    let error = error.into_service_error();
                    assert!(error.is_limit_exceeded_exception(), "{error:?}");
                    false
                }
            }
        })
        .await;
        eventually("the stream is active", LIMIT, || async {
            let answer = kinesis.describe_stream_summary().stream_name(&stream).send().await.unwrap();
            answer.stream_description_summary.unwrap().stream_status == StreamStatus::Active
        })
        .await;
        let place = Self { endpoint, kinesis, stream, folder: tempfile::tempdir().unwrap() };
        std::fs::write(place.folder.path().join("app.py"), FUNCTION).unwrap();
        place.write("");
        place
    }

    pub fn arn(&self) -> String {
        format!("arn:aws:kinesis:us-east-1:000000000000:stream/{}", self.stream)
    }

    pub fn uuid(&self) -> String {
        MappingId::of(&self.arn(), &function("work")).to_string()
    }

    pub fn text(&self, more: &str) -> String {
        format!(
            "Endpoint: {}\nRegion: us-east-1\nListen: 127.0.0.1:0\nFunctions:\n  - {{FunctionName: work, Runtime: \
             python3.x, Handler: app.handler, CodeUri: .}}\nEventSourceMappings:\n  - {{EventSourceArn: '{}', FunctionName: \
             work, StartingPosition: TRIM_HORIZON{more}}}\n",
            self.endpoint,
            self.arn()
        )
    }

    /// Replaces the file, with more fields of the mapping.
    pub fn write(&self, more: &str) {
        self.replace(&self.text(more));
    }

    pub fn replace(&self, text: &str) {
        let new = self.folder.path().join("new.yaml");
        std::fs::write(&new, text).unwrap();
        std::fs::rename(new, self.folder.path().join("pelton.yaml")).unwrap();
    }

    /// Puts a record, and gives its shard and number.
    pub async fn put(&self, data: &str) -> (String, String) {
        let put = self.kinesis.put_record().stream_name(&self.stream).partition_key(data);
        let put = put.data(Blob::new(data)).send().await.unwrap();
        (put.shard_id, put.sequence_number)
    }

    /// Puts some, until every shard has two. Gives the numbers of each shard.
    pub async fn put_some(&self, name: &str, shards: usize) -> Put {
        let mut put = BTreeMap::<_, Vec<_>>::new();
        let is_enough = |put: &BTreeMap<_, Vec<_>>| put.len() == shards && put.values().all(|of| of.len() >= 2);
        for i in 0.. {
            let data = format!("{name}-{i}");
            let (shard, number) = self.put(&data).await;
            put.entry(shard).or_default().push((data, number));
            if is_enough(&put) {
                break;
            }
        }
        put
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PELTON);
        command.current_dir(self.folder.path()).env_clear();
        command.envs(std::env::vars_os().filter(|(name, _)| name == "PATH"));
        command.envs([("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")]);
        command.args(arguments);
        command
    }

    /// Exit status, and what was printed to stdout and to stderr.
    pub fn checkpoint(&self, arguments: &[&str]) -> (i32, String, String) {
        let output = self.command(&[&["checkpoint"], arguments].concat()).output().unwrap();
        let text = |bytes: Vec<u8>| {
            String::from_utf8(bytes)
                .unwrap()
                .replace(&self.folder.path().canonicalize().unwrap().display().to_string(), "$")
        };
        (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
    }

    pub fn reset(&self, arguments: &[&str]) -> (i32, String, String) {
        let mapping = self.uuid();
        self.checkpoint(&[&["reset", "--mapping", &mapping], arguments].concat())
    }

    /// The shards as `list --json` shows them.
    pub fn shards(&self) -> Vec<Value> {
        let (status, json, error) = self.checkpoint(&["list", "--json"]);
        assert_eq!((status, error.as_str()), (0, ""));
        let views: Vec<Value> = serde_json::from_str(&json).unwrap();
        assert_eq!(views.len(), 1, "{json}");
        assert_eq!(views[0]["UUID"], self.uuid());
        views[0]["Shards"].as_array().unwrap().clone()
    }

    /// What the function got so far.
    pub fn seen(&self) -> BTreeMap<String, usize> {
        let mut seen = BTreeMap::new();
        for line in std::fs::read_to_string(self.folder.path().join("notes")).unwrap_or_default().lines() {
            *seen.entry(line.to_owned()).or_default() += 1;
        }
        seen
    }

    /// Waits until the function has got all of these so often, or more often.
    pub async fn has_got(&self, wanted: &[String], times: usize) {
        eventually(&format!("{wanted:?} {times} times"), LIMIT, || async {
            let seen = self.seen();
            wanted.iter().all(|data| seen.get(data).is_some_and(|count| *count >= times))
        })
        .await;
    }

    /// Waits until everything put is settled on disk.
    pub async fn is_settled(&self, put: &Put) {
        eventually("the last records are settled", LIMIT, || async {
            let shards = self.shards();
            put.iter().all(|(shard, records)| {
                let settled = shards.iter().find(|it| it["ShardId"] == shard.as_str()).map(|it| &it["Position"]);
                settled.and_then(Value::as_str) == records.last().map(|(_, number)| number.as_str())
            })
        })
        .await;
    }

    pub async fn run(&self) -> Running {
        let child = self.command(&["run"]).stderr(Stdio::piped()).stdout(Stdio::null()).spawn();
        let mut running = Running { child: child.unwrap(), url: String::new() };
        let mut lines = BufReader::new(running.child.stderr.take().unwrap()).lines().map(Result::unwrap);
        running.url = lines
            .find_map(|line| {
                let line: Value = serde_json::from_str(&line).ok()?;
                (line["message"] == "pelton runs").then(|| format!("http://{}", line["listen"].as_str().unwrap()))
            })
            .unwrap();
        // Its log must go somewhere.
        std::thread::spawn(move || lines.for_each(drop));
        running
    }
}

/// A running `pelton run`, killed when it is dropped.
pub struct Running {
    child: Child,
    pub url: String,
}

impl Running {
    pub fn status(&self) -> Value {
        let text = ureq::get(format!("{}/status", self.url)).call().unwrap().body_mut().read_to_string().unwrap();
        serde_json::from_str::<Vec<Value>>(&text).unwrap().remove(0)
    }

    pub async fn is(&self, state: &str) {
        eventually(&format!("the mapping is {state}"), LIMIT, || async { self.status()["State"] == state }).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn function(name: &str) -> String {
    format!("arn:aws:lambda:us-east-1:000000000000:function:{name}")
}

//! A running API, and what it needs around it.
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use pelton_api::{
    Change, Changes, EventInvokeConfigs, FileEventInvokeConfig, FileEventInvokeConfigs, FileMappings, Functions,
    LambdaApi, Loaded, LocalFunction, LocalSettings, Mappings, Place, Policies, Surroundings, Unanswered, serve,
};
use pelton_config::Authentication;
use pelton_core::{Arn, Documents, FunctionName, InvokeError, Invoker, Mapping, MappingId, SystemClock};
use pelton_engine::{EventPlan, EventPlans, Events, Plan, StatusHandle, Supervisor};
use pelton_testkit::{FakeEvents, FakeInvoker, FakeQueue};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub const LIMIT: Duration = Duration::from_secs(10);
pub const MAPPINGS: &str = "/2015-03-31/event-source-mappings";
pub const QUEUE: &str = "arn:aws:sqs:us-east-1:111111111111:orders";
pub const STREAM: &str = "arn:aws:kinesis:us-east-1:111111111111:stream/clicks";
pub const TABLE: &str = "arn:aws:dynamodb:us-east-1:111111111111:table/carts/stream/2025-11-25T15:46:02.123";

/// Everything whose name has no `missing` in it is there, and what has `silent` can't be asked for.
#[derive(Default)]
pub struct World {
    pub file: Mutex<Vec<Mapping>>,
    pub upstream: Mutex<Option<String>>,
    pub locals: Mutex<Vec<LocalFunction>>,
    pub configs: Mutex<Vec<FileEventInvokeConfig>>,
    /// The functions of the upstream that were looked for.
    pub asked: Mutex<Vec<String>>,
}

impl World {
    /// Adds a local function with these aliases.
    pub fn add_local(&self, name: &str, aliases: &[&str], invoker: Arc<dyn Invoker>) {
        let settings = LocalSettings {
            runtime: Some("python3.12".into()),
            handler: Some("app.handler".into()),
            timeout: Duration::from_secs(3),
            memory_size: 128,
            environment: [("STAGE".to_owned(), "test".to_owned())].into(),
            reserved_concurrency: None,
            dead_letter_queue: None,
            last_modified: "2025-01-01T00:00:00Z".parse().unwrap(),
        };
        let aliases = aliases.iter().map(|alias| (*alias).to_owned()).collect();
        self.locals.lock().unwrap().push(LocalFunction { name: name.into(), aliases, invoker, settings });
    }
}

fn is_there(name: &str) -> Result<bool, Unanswered> {
    match name.contains("silent") {
        true => Err(Unanswered(format!("{name} can't be asked for"))),
        false => Ok(!name.contains("missing")),
    }
}

#[async_trait]
impl Surroundings for World {
    fn region(&self) -> String {
        "us-east-1".into()
    }

    fn file(&self) -> FileMappings {
        let mappings = self.file.lock().unwrap().clone();
        FileMappings {
            file: PathBuf::from("/etc/pelton.yaml"),
            read_at: "2025-01-01T00:00:00Z".parse().unwrap(),
            mappings,
        }
    }

    fn upstream(&self) -> Option<String> {
        self.upstream.lock().unwrap().clone()
    }

    async fn has_function(&self, mapping: &Mapping) -> Result<bool, Unanswered> {
        is_there(&mapping.function_arn.to_string())
    }

    async fn has_source(&self, mapping: &Mapping) -> Result<bool, Unanswered> {
        is_there(&mapping.event_source.to_string())
    }
}

#[async_trait]
impl Functions for World {
    fn place(&self) -> Place {
        Place { partition: "aws".into(), region: "us-east-1".into(), account: "111111111111".into() }
    }

    fn local(&self, name: &str) -> Option<LocalFunction> {
        self.locals().into_iter().find(|local| local.name == name)
    }

    fn locals(&self) -> Vec<LocalFunction> {
        self.locals.lock().unwrap().clone()
    }

    async fn has_upstream(&self, function: &Arn) -> Result<bool, Unanswered> {
        self.asked.lock().unwrap().push(function.to_string());
        is_there(&function.to_string())
    }

    fn file_event_invoke_configs(&self) -> FileEventInvokeConfigs {
        let FileMappings { file, read_at, .. } = self.file();
        FileEventInvokeConfigs { file, read_at, configs: self.configs.lock().unwrap().clone() }
    }
}

/// Events go to local functions, else to the one that stands for all of the upstream.
struct Plans {
    world: Arc<World>,
    remote: Arc<FakeInvoker>,
}

#[async_trait]
impl EventPlans for Plans {
    async fn plan(&self, function: &FunctionName) -> Result<EventPlan, InvokeError> {
        let local = self.world.local(function.name());
        Ok(EventPlan {
            function_arn: function.as_str().parse().unwrap(),
            invoker: local.map_or_else(|| self.remote.clone() as Arc<dyn Invoker>, |local| local.invoker),
            maximum_retry_attempts: 0,
            maximum_event_age: Duration::from_secs(60),
            on_success: None,
            on_failure: None,
            dead_letter_queue: None,
            reserved_concurrency: None,
        })
    }
}

pub struct Api {
    pub address: SocketAddr,
    pub world: Arc<World>,
    pub status: StatusHandle,
    pub configs: EventInvokeConfigs,
    pub policies: Policies,
    /// Where events wait.
    pub queue: Arc<FakeEvents>,
    /// Gets the events of every function of the upstream.
    pub remote: Arc<FakeInvoker>,
    /// Local functions that run for clients who wait.
    pub under_way: TaskTracker,
    _events: Events,
    /// Changes are carried out while it is true.
    pub carries_out: watch::Sender<bool>,
    pub tasks: JoinSet<()>,
}

impl Api {
    pub async fn start() -> Self {
        Self::on(Ok(Arc::new(pelton_store::MemoryStore::new()))).await
    }

    pub async fn on(documents: Result<Arc<dyn Documents>, String>) -> Self {
        Self::listening("127.0.0.1:0", false, documents).await
    }

    pub async fn listening(
        address: &str,
        allow_unauthenticated: bool,
        documents: Result<Arc<dyn Documents>, String>,
    ) -> Self {
        Self::with(address, allow_unauthenticated, documents, None, None).await
    }

    /// `no_events`: why no event can be kept.
    pub async fn with(
        address: &str,
        allow_unauthenticated: bool,
        documents: Result<Arc<dyn Documents>, String>,
        no_events: Option<&str>,
        authentication: Option<Authentication>,
    ) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let world = Arc::new(World::default());
        let mut supervisor = Supervisor::new(Arc::new(SystemClock));
        let status = supervisor.status();
        let configs = EventInvokeConfigs::new(documents.clone(), world.clone());
        let policies = Policies::new(documents.clone(), world.clone());
        let queue = Arc::new(FakeEvents::default());
        let remote = Arc::new(FakeInvoker::scripted([]));
        let plans = Arc::new(Plans { world: world.clone(), remote: remote.clone() });
        let events = Events::start(queue.clone(), plans, Arc::new(SystemClock), 1.0, &status);
        let loaded = Mappings::load(documents, world.clone(), status.clone()).await.unwrap();
        let Loaded { mappings, work, changes, first } = loaded;
        let mut tasks = JoinSet::new();
        let (carries_out, gate) = watch::channel(true);
        for change in first {
            let outcome = put_into_force(&mut supervisor, &change);
            mappings.carried_out(&change, outcome).await;
        }
        tasks.spawn(control(supervisor, mappings.clone(), changes, gate));
        let under_way = TaskTracker::new();
        let api = LambdaApi {
            mappings,
            work,
            functions: world.clone(),
            events: no_events.map_or_else(|| Ok(events.door()), |reason| Err(reason.to_owned())),
            event_invoke_configs: configs.clone(),
            policies: policies.clone(),
            under_way: under_way.clone(),
            authentication,
            allow_unauthenticated,
        };
        let serving = serve(listener, status.clone(), Some(api), CancellationToken::new());
        tasks.spawn(async move { serving.await.unwrap() });
        Self {
            address,
            world,
            status,
            configs,
            policies,
            queue,
            remote,
            under_way,
            _events: events,
            carries_out,
            tasks,
        }
    }

    /// Sends a request, headers and all, and gives what comes back.
    pub async fn send(&self, request: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut bytes = Vec::new();
        tokio::time::timeout(LIMIT, stream.read_to_end(&mut bytes)).await.expect("an answer").unwrap();
        Answer::read(&bytes)
    }

    pub async fn raw(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: pelton\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
        );
        self.send(&[head.as_bytes(), body].concat()).await
    }

    pub async fn ask(&self, method: &str, path: &str, body: Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.raw(method, path, "", body.as_bytes()).await
    }

    pub async fn create(&self, fields: Value) -> Answer {
        self.ask("POST", MAPPINGS, fields).await
    }

    /// Creates a mapping that must be accepted, and gives its id.
    pub async fn created(&self, fields: Value) -> String {
        let answer = self.create(fields).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        answer.json()["UUID"].as_str().unwrap().to_owned()
    }

    pub async fn get(&self, id: &str) -> Answer {
        self.ask("GET", &format!("{MAPPINGS}/{id}"), Value::Null).await
    }

    pub async fn update(&self, id: &str, fields: Value) -> Answer {
        self.ask("PUT", &format!("{MAPPINGS}/{id}"), fields).await
    }

    pub async fn delete(&self, id: &str) -> Answer {
        self.ask("DELETE", &format!("{MAPPINGS}/{id}"), Value::Null).await
    }

    pub async fn list(&self, query: &str) -> Value {
        let answer = self.ask("GET", &format!("{MAPPINGS}?{query}"), Value::Null).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    pub async fn settles(&self, id: &str, state: &str) {
        pelton_testkit::eventually(state, LIMIT, async || self.get(id).await.json()["State"] == state).await;
    }

    pub async fn is_gone(&self, id: &str) {
        pelton_testkit::eventually("gone", LIMIT, async || self.get(id).await.status == 404).await;
    }

    /// Ids of what the engine knows.
    pub fn running(&self) -> Vec<(String, String)> {
        self.status.mappings().into_iter().map(|status| (status.uuid, status.state)).collect()
    }
}

/// As `pelton run` does it.
async fn control(
    mut supervisor: Supervisor,
    mappings: Mappings,
    mut changes: Changes,
    mut gate: watch::Receiver<bool>,
) {
    loop {
        let changes = changes.next().await;
        gate.wait_for(|carries_out| *carries_out).await.unwrap();
        supervisor.stop(changes.iter().map(|change| change.id), Duration::from_secs(5)).await;
        for change in &changes {
            let outcome = put_into_force(&mut supervisor, change);
            mappings.carried_out(change, outcome).await;
        }
    }
}

fn put_into_force(supervisor: &mut Supervisor, change: &Change) -> Result<(), String> {
    let Some(mapping) = change.to.clone() else {
        supervisor.forget(change.id);
        return Ok(());
    };
    if mapping.function.name() == "unusable" {
        return Err("it can't be run".into());
    }
    supervisor.start(Plan {
        mapping,
        source: Arc::new(FakeQueue::new(Duration::from_secs(30)).with_idle_wait(Duration::from_millis(50))),
        invoker: Arc::new(FakeInvoker::scripted([])),
        on_success: None,
        on_failure: None,
        store: None,
    });
    Ok(())
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn read(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("an HTTP answer");
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head: head.to_lowercase(), body: bytes[end + 4..].to_vec() }
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// Status, `x-amzn-ErrorType` and the body, of an error.
    pub fn error(&self) -> (u16, String, Value) {
        assert!(self.header("x-amzn-requestid").is_some_and(|id| id.len() == 36), "{self:?}");
        (self.status, self.header("x-amzn-errortype").expect("an error").to_owned(), self.json())
    }
}

pub fn queue(more: Value) -> Value {
    with(json!({ "EventSourceArn": QUEUE, "FunctionName": "work" }), more)
}

pub fn stream(more: Value) -> Value {
    with(json!({ "EventSourceArn": STREAM, "FunctionName": "work", "StartingPosition": "TRIM_HORIZON" }), more)
}

pub fn with(mut fields: Value, more: Value) -> Value {
    fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    fields
}

/// A mapping as a file has it.
pub fn of_a_file(fields: Value) -> Mapping {
    let mapping = pelton_config::check_mapping(fields.as_object().unwrap(), "us-east-1").unwrap();
    assert_eq!(mapping.id, MappingId::of(&mapping.event_source.to_string(), &mapping.function_arn.to_string()));
    mapping
}

/// An answer without what differs from run to run.
pub fn masked(mut shown: Value) -> Value {
    let id = shown["UUID"].as_str().unwrap().to_owned();
    assert_eq!(id, id.to_lowercase());
    let arn = shown["EventSourceMappingArn"].as_str().unwrap().replace(&id, "UUID");
    assert!(shown["LastModified"].as_f64().unwrap() > 1_700_000_000.0, "{shown}");
    shown["EventSourceMappingArn"] = json!(arn);
    shown["UUID"] = json!("UUID");
    shown["LastModified"] = json!("number");
    shown
}

//! What a file says, with every default filled in and every rule checked.
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use pelton_core::{Arn, DestinationArn, EventInvokeConfig, FunctionName, Mapping, MappingId};

use crate::asynchronous::LATEST;
use crate::authentication::Authentication;

/// Where Pelton listens unless the file says otherwise: `127.0.0.1:9400`.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9400);
/// How long a stop waits for invocations in flight unless the file says otherwise.
pub const DEFAULT_GRACE_PERIOD: Duration = Duration::from_secs(30);
/// Where the state is kept unless the file says otherwise, beside the file.
pub const DEFAULT_STATE_FILE: &str = "pelton.db";
/// How often a lease in a shared store is renewed unless the file says otherwise.
pub const DEFAULT_LEASE_RENEWAL: Duration = Duration::from_secs(5);

/// The good part of `pelton.yaml`.
#[derive(Debug, Clone, PartialEq)]
pub struct Configuration {
    /// `Endpoint`: of all services; `None` leaves it to `AWS_ENDPOINT_URL`, the profile, or AWS.
    pub endpoint: Option<String>,
    /// `Endpoints`: of single services, before `Endpoint`.
    pub endpoints: Endpoints,
    /// `Region`; `None` leaves it to `AWS_REGION` or the profile.
    pub region: Option<String>,
    /// `Listen`; default [`DEFAULT_LISTEN`].
    pub listen: SocketAddr,
    /// `AllowUnauthenticated`: serve Lambda's API to whoever can reach it; default false. Never with `authentication`.
    pub allow_unauthenticated: bool,
    /// `Authentication`: whose requests Lambda's API takes. `None`: everybody's; then `listen` is a loopback address or
    /// `allow_unauthenticated` is set.
    pub authentication: Option<Authentication>,
    /// `CaBundle`, absolute; `None` leaves it to `AWS_CA_BUNDLE`.
    pub ca_bundle: Option<PathBuf>,
    /// `GracePeriodSeconds`: 0..=900 s; default [`DEFAULT_GRACE_PERIOD`].
    pub grace_period: Duration,
    /// `State`: where checkpoints and leases of streams are kept; default SQLite in [`DEFAULT_STATE_FILE`].
    pub state: State,
    /// `Functions` with a program: the local processes, in the file's order. Names are unique.
    pub functions: Vec<Function>,
    /// `Functions`, local ones and others: what is set for their asynchronous invocations, in the file's order. Names are
    /// unique; entries that set nothing are left out.
    pub function_settings: Vec<FunctionSettings>,
    /// `AsyncQueue`: the standard SQS queue in which asynchronous invocations wait; `None`: in the place of `State`.
    pub async_queue: Option<Arn>,
    /// `AsyncInvocation.DelayScale`: what every delay and age of asynchronous invocation is multiplied by: 0.001..=1.0;
    /// default 1.0.
    pub delay_scale: f64,
    /// `EventSourceMappings`, in the file's order, disabled ones included. No two have the same source and function.
    pub mappings: Vec<Mapping>,
    /// `Tests`, in the file's order.
    pub tests: Vec<FilterTest>,
}

/// Where the state of streams is kept. Queues have none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// `Sqlite`: in a file.
    Sqlite {
        /// `Path`, absolute.
        path: PathBuf,
    },
    /// `Memory`: nowhere; it ends with the process.
    Memory,
    /// `DynamoDB`: in a table that several replicas share.
    DynamoDb {
        /// `Table`: its name.
        table: String,
        /// `LeaseRenewalSeconds`: 1..=60 s; default [`DEFAULT_LEASE_RENEWAL`]. A lease lasts two of these.
        lease_renewal: Duration,
    },
}

/// An event and which mappings are to let it through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterTest {
    /// `Name`.
    pub name: String,
    /// `EventSourceArn`: that of at least one mapping.
    pub event_source: Arn,
    /// The record as the function would see it.
    pub event: TestEvent,
    /// `MatchedBy`: mappings of that source.
    pub matched_by: BTreeSet<MappingId>,
}

impl Configuration {
    /// The local process that answers to a name, however it is qualified. `None`: the function is called through the
    /// Lambda Invoke API.
    pub fn local_function(&self, name: &FunctionName) -> Option<&Function> {
        self.functions.iter().find(|function| function.name == name.name())
    }

    /// What the file says of asynchronous invocations of a function, by its bare name and the version, alias or `$LATEST`
    /// that is invoked. It counts for every function of that name, whatever the account.
    pub fn event_invoke_config(&self, name: &str, qualifier: &str) -> Option<&EventInvokeConfig> {
        let configs = &self.settings_of(name)?.event_invoke_configs;
        configs.iter().find(|(of, _)| of == qualifier).map(|(_, config)| config)
    }

    /// The dead-letter queue that the file gives a function, by its bare name: an SQS queue or SNS topic.
    pub fn dead_letter_queue(&self, name: &str) -> Option<&DestinationArn> {
        self.settings_of(name)?.dead_letter_queue.as_ref()
    }

    fn settings_of(&self, name: &str) -> Option<&FunctionSettings> {
        self.function_settings.iter().find(|settings| settings.function.name() == name)
    }
}

/// What is set for the asynchronous invocations of a function: at least one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionSettings {
    /// `FunctionName`, without a qualifier.
    pub function: FunctionName,
    /// `DeadLetterConfig.TargetArn`: [`DestinationArn::Queue`] or [`DestinationArn::Topic`], not FIFO.
    pub dead_letter_queue: Option<DestinationArn>,
    /// `EventInvokeConfig`, each with its `Qualifier`: `$LATEST`, a version or an alias. Qualifiers are unique.
    pub event_invoke_configs: Vec<(String, EventInvokeConfig)>,
}

/// The record of a test, as JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TestEvent {
    /// `Event`, or the SQS message or Kinesis record around a `Body`.
    Record(String),
    /// `EventFile`, absolute; not looked at yet.
    File(PathBuf),
}

/// Endpoint URLs of single services; `None` where the file has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// `SQS`.
    pub sqs: Option<String>,
    /// `Lambda`.
    pub lambda: Option<String>,
    /// `SNS`.
    pub sns: Option<String>,
    /// `EventBridge`.
    pub eventbridge: Option<String>,
    /// `S3`.
    pub s3: Option<String>,
    /// `Kinesis`.
    pub kinesis: Option<String>,
    /// `DynamoDB`.
    pub dynamodb: Option<String>,
    /// `DynamoDBStreams`; where the file has none, that of `DynamoDB` applies.
    pub dynamodb_streams: Option<String>,
}

/// A function that runs as local processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// `FunctionName`: a bare name.
    pub name: String,
    /// What is started.
    pub program: Program,
    /// `Handler`, for `_HANDLER`. Always present with [`Program::Runtime`].
    pub handler: Option<String>,
    /// `CodeUri`: the processes' working directory, absolute; default the directory of the file.
    pub code_uri: PathBuf,
    /// `Concurrency`: processes, and so invocations at a time: 1..=1,000; default 1.
    pub concurrency: usize,
    /// `Timeout` of an invocation: 1..=900 s; default 3 s.
    pub timeout: Duration,
    /// `MemorySize` in MB, told to the function and not enforced: 128..=10,240; default 128.
    pub memory_size: u32,
    /// `Environment.Variables`.
    pub environment: BTreeMap<String, String>,
    /// `Watch`: restart when the code changes; default false.
    pub watch: bool,
    /// `Aliases`: names besides `$LATEST` by which it can be invoked, which mean `$LATEST`. Unique.
    pub aliases: Vec<String>,
    /// `ReservedConcurrentExecutions`: invocations at a time, across all who invoke it; 0: none, whoever invokes it.
    /// `None`: as many as `concurrency`.
    pub reserved_concurrency: Option<u32>,
}

impl Function {
    /// Whether a qualifier of it exists: `$LATEST`, or an alias.
    pub fn has(&self, qualifier: &str) -> bool {
        qualifier == LATEST || self.aliases.iter().any(|alias| alias == qualifier)
    }
}

/// What a local function starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// `Command`: a program and its arguments, at least the program, that speaks the Lambda Runtime API. The program
    /// is an absolute path or a name to look for in `PATH`.
    Command(Vec<String>),
    /// `Runtime`: an interpreter with Pelton's bootstrap.
    Runtime(Runtime),
}

/// An interpreter, and the version where one was named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Runtime {
    /// `python3.12` is `Some("3.12")`; `python3.x` is `None`.
    Python(Option<String>),
    /// `nodejs22.x` is `Some("22")`; `nodejs.x` is `None`.
    NodeJs(Option<String>),
}

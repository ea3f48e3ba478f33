//! What mappings and asynchronous events reach, made once for a configuration: SDK clients, destinations, and what Lambda
//! says of its functions.
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use pelton_aws::{Failure, classify};
use pelton_core::{
    Arn, Destination, DestinationArn, DestinationError, ErrorKind, ExecutionRecord, InvokeError, Invoker,
};
use pelton_destinations::Clients;
use pelton_invoke::LambdaInvoker;
use tokio::time::Instant;

use super::front_door::{FrontDoor, destination};
use super::functions::Functions;
use crate::aws::Aws;

/// How long it counts what Lambda said of a function.
const FRESH: Duration = Duration::from_secs(5);
/// How long Lambda is waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// Functions that are remembered, at most.
const REMEMBERED: usize = 1_000;

/// What a function's owner has set at Lambda.
#[derive(Debug, Clone, Default)]
pub struct Remote {
    /// `DeadLetterConfig.TargetArn`, as it was said.
    pub dead_letter_queue: Option<String>,
    /// `ReservedConcurrentExecutions`.
    pub reserved_concurrency: Option<u32>,
}

/// Clients and destinations of one configuration.
pub struct Outlets {
    aws: Aws,
    account: String,
    door: Arc<FrontDoor>,
    clients: Cache<String, Clients>,
    invokers: Cache<String, Arc<dyn Invoker>>,
    destinations: Cache<(Arn, Option<Arn>), Arc<dyn Destination>>,
    dead_letter_queues: Cache<String, Arc<dyn Destination>>,
    functions: Mutex<HashMap<Arn, (Instant, Remote)>>,
}

/// Values that are made once.
struct Cache<Key, Value>(Mutex<HashMap<Key, Value>>);

impl<Key: Eq + Hash, Value: Clone> Cache<Key, Value> {
    fn new() -> Self {
        Self(Mutex::new(HashMap::new()))
    }

    fn get(&self, key: Key, make: impl FnOnce() -> Value) -> Value {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_insert_with(make).clone()
    }
}

impl Outlets {
    /// `account` is that of functions which are named without one, local ones included.
    pub fn new(aws: Aws, account: String, door: Arc<FrontDoor>) -> Self {
        Self {
            aws,
            account,
            door,
            clients: Cache::new(),
            invokers: Cache::new(),
            destinations: Cache::new(),
            dead_letter_queues: Cache::new(),
            functions: Mutex::default(),
        }
    }

    pub fn aws(&self) -> &Aws {
        &self.aws
    }

    pub fn account(&self) -> &str {
        &self.account
    }

    /// The SDK clients of a region.
    pub fn clients(&self, region: &str) -> Clients {
        let aws = &self.aws;
        self.clients.get(region.to_owned(), || Clients {
            sqs: aws.sqs(region),
            sns: aws.sns(region),
            eventbridge: aws.eventbridge(region),
            lambda: aws.lambda(region),
            s3: aws.s3(region),
        })
    }

    /// What calls functions of a region through Lambda.
    pub fn invoker(&self, region: &str) -> Arc<dyn Invoker> {
        self.invokers.get(region.to_owned(), || Arc::new(LambdaInvoker::new(self.clients(region).lambda)))
    }

    /// A destination of a function in `home`. A local function, whatever its account, is one of `locals`.
    pub fn destination(
        &self,
        arn: &DestinationArn,
        home: &str,
        overflow: Option<&Arn>,
        locals: &Functions,
    ) -> Arc<dyn Destination> {
        if let DestinationArn::Function(function) = arn
            && locals.contains_key(function.resource().split(':').nth(1).unwrap_or_default())
            && let Some(local) = destination(&self.door, function, (self.aws.region(), &self.account))
        {
            return local;
        }
        let clients = self.clients(region(arn, home));
        let connect = || pelton_destinations::connect(&clients, arn, overflow);
        self.destinations.get((arn.arn().clone(), overflow.cloned()), connect)
    }

    /// A dead-letter queue of a function in `home`. One that can't be used takes nothing, and says why: the event stays.
    pub fn dead_letter_queue(&self, target: &str, home: &str) -> Arc<dyn Destination> {
        self.dead_letter_queues.get(target.to_owned(), || {
            let arn = target.parse().map_err(|error| format!("it is no ARN of a queue or topic: {error}"));
            let connected = arn.and_then(|arn: DestinationArn| {
                let clients = self.clients(region(&arn, home));
                pelton_destinations::connect_dead_letter_queue(&clients, &arn).map_err(|error| error.to_string())
            });
            connected.unwrap_or_else(|reason| Arc::new(Unusable { target: target.to_owned(), reason }))
        })
    }

    /// What Lambda says of a function, or said a moment ago.
    ///
    /// # Errors
    /// If the function is gone, or Lambda doesn't answer.
    pub async fn remote(&self, function: &Arn) -> Result<Remote, InvokeError> {
        let known = || self.functions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, remote)) = known().get(function)
            && at.elapsed() < FRESH
        {
            return Ok(remote.clone());
        }
        let remote = match tokio::time::timeout(PATIENCE, self.ask(function)).await {
            Ok(asked) => asked?,
            Err(_) => {
                let message = format!("GetFunctionConfiguration: no answer within {} s", PATIENCE.as_secs());
                return Err(InvokeError { function: function.to_string(), message, kind: ErrorKind::Transient });
            }
        };
        let mut known = known();
        if known.len() >= REMEMBERED {
            known.retain(|_, (at, _)| at.elapsed() < FRESH);
        }
        known.insert(function.clone(), (Instant::now(), remote.clone()));
        Ok(remote)
    }

    async fn ask(&self, function: &Arn) -> Result<Remote, InvokeError> {
        let lambda = self.clients(function.region()).lambda;
        let name = unqualified(function);
        let configuration = lambda.get_function_configuration().function_name(function.to_string()).send();
        let concurrency = lambda.get_function_concurrency().function_name(name).send();
        let (configuration, concurrency) = tokio::join!(configuration, concurrency);
        let configuration = match configuration {
            Ok(answer) => answer.dead_letter_config.and_then(|config| config.target_arn),
            Err(error) => {
                let Failure { kind, code, message, .. } = classify(&error);
                let failed = |kind| {
                    let message = format!("GetFunctionConfiguration: {message}");
                    InvokeError { function: function.to_string(), message, kind }
                };
                match code.as_deref() {
                    Some("ResourceNotFoundException") => return Err(failed(ErrorKind::Missing)),
                    // What isn't allowed here, or not known to an emulator such as SAM's, tells of no dead-letter queue.
                    _ if matches!(kind, ErrorKind::Refused | ErrorKind::Missing) => None,
                    _ => return Err(failed(kind)),
                }
            }
        };
        let target = configuration.filter(|arn| !arn.is_empty());
        Ok(Remote {
            dead_letter_queue: target,
            // Only a limit of 0 matters here, and a throttle says as much, only later.
            reserved_concurrency: concurrency
                .ok()
                .and_then(|answer| answer.reserved_concurrent_executions)
                .and_then(|limit| u32::try_from(limit).ok()),
        })
    }
}

/// A dead-letter queue that Lambda would not have taken.
struct Unusable {
    target: String,
    reason: String,
}

#[async_trait]
impl Destination for Unusable {
    async fn deliver(&self, _: &ExecutionRecord) -> Result<(), DestinationError> {
        let message = format!("the function's DeadLetterConfig can't be used, so its events stay: {}", self.reason);
        Err(DestinationError { destination: self.target.clone(), message, kind: ErrorKind::Refused })
    }
}

fn region<'a>(arn: &'a DestinationArn, home: &'a str) -> &'a str {
    match arn.arn().region() {
        "" => home,
        region => region,
    }
}

/// A function's ARN without its qualifier.
fn unqualified(function: &Arn) -> String {
    let text = function.to_string();
    text.splitn(8, ':').take(7).collect::<Vec<_>>().join(":")
}

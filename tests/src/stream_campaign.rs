//! Records that flow through the shards of a stream to a function while everything goes wrong, and what must hold in the
//! end.
mod account;
pub mod leases;
pub mod witness;

use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;
use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use pelton_core::SequenceNumber;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::{Backend, EventSource as _, Feed, Kind, Pelton, Queue, body};
use account::Account;
use witness::Witness;

/// Keys: enough for every lane of every shard.
const KEYS: u64 = 60;
/// How long the rest may take on a busy machine when nobody disturbs it any more.
const LIMIT: Duration = Duration::from_secs(90);

/// A stream, a function, a destination, and what was done so far.
#[derive(Debug)]
pub struct StreamCampaign {
    /// Where it is.
    pub backend: Backend,
    /// What is read.
    pub source: Feed,
    /// What is invoked.
    pub witness: Witness,
    /// Of so many records one always fails.
    pub failing_every: u64,
    /// What gets the records of what is given up.
    given_up: GivenUp,
    /// The numbers of what was put, in the order of the stream.
    order: Mutex<Vec<u64>>,
    kills: Mutex<Vec<Instant>>,
}

impl StreamCampaign {
    /// On a stream that exists. What is given up goes to a queue.
    pub async fn new(backend: Backend, source: Feed) -> Self {
        let given_up = GivenUp::Queue(backend.queue(30).await);
        let (witness, order, kills) = (Witness::default(), Mutex::default(), Mutex::default());
        Self { backend, source, witness, failing_every: 2_500, given_up, order, kills }
    }

    /// What is given up goes to a bucket.
    pub async fn with_bucket(self) -> Self {
        let bucket = Backend::name("given-up");
        self.backend.s3.create_bucket().bucket(&bucket).send().await.unwrap();
        Self { given_up: GivenUp::Bucket(bucket), ..self }
    }

    /// Of so many records one always fails.
    pub fn with_one_failing_of(self, failing_every: u64) -> Self {
        Self { failing_every, ..self }
    }

    /// Puts so many records more. Those of one call of the backend are ordered by their sequence numbers.
    pub async fn put(&self, count: u64) {
        let first = self.order.lock().unwrap().len() as u64;
        let numbers: Vec<u64> = (first..first + count).collect();
        let text = |number: &u64| json!({ "n": number, "do": self.what(*number) }).to_string();
        match &self.source {
            Feed::Kinesis(stream) => {
                for numbers in numbers.chunks(100) {
                    let put = stream.put_all(numbers.iter().map(|number| (name(*number), text(number)))).await;
                    let put = put.iter().map(|number| number.parse::<SequenceNumber>().unwrap());
                    let mut put: Vec<(SequenceNumber, u64)> = put.zip(numbers.iter().copied()).collect();
                    put.sort();
                    self.order.lock().unwrap().extend(put.into_iter().map(|(_, number)| number));
                }
            }
            Feed::DynamoDb(table) => {
                // Numbers in a row have different keys, as a call asks for.
                for numbers in numbers.chunks(25) {
                    let items = numbers.iter().map(|number| {
                        let (id, body) = (AttributeValue::S(name(*number)), AttributeValue::S(text(number)));
                        let put = PutRequest::builder().item("id", id).item("body", body).build().unwrap();
                        WriteRequest::builder().put_request(put).build()
                    });
                    let write = table.client.batch_write_item().request_items(&table.name, items.collect());
                    let left_out = write.send().await.unwrap().unprocessed_items.unwrap_or_default();
                    assert!(left_out.is_empty(), "{left_out:?}");
                    self.order.lock().unwrap().extend(numbers);
                }
            }
        }
    }

    /// A mapping on it, with more fields of its own.
    pub fn mapping(&self, more: Value) -> Value {
        let mut mapping = json!({
            "EventSourceArn": self.source.arn(), "FunctionName": "work", "StartingPosition": "TRIM_HORIZON",
            "BatchSize": 10, "ParallelizationFactor": 2, "FunctionResponseTypes": ["ReportBatchItemFailures"],
            "BisectBatchOnFunctionError": true, "MaximumRetryAttempts": 1,
            "DestinationConfig": { "OnFailure": { "Destination": self.given_up.arn() } },
        });
        mapping.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        mapping
    }

    /// A configuration with it and a new door of the function, and with other endpoints of single services.
    pub async fn configuration(&self, endpoints: Value) -> Value {
        let mut configuration = self.backend.configuration(&[], vec![self.mapping(json!({}))]);
        let own = configuration["Endpoints"].as_object_mut().unwrap();
        own.insert("Lambda".into(), json!(self.witness.door().await));
        own.extend(endpoints.as_object().unwrap().clone());
        configuration
    }

    /// Kills a process.
    pub fn kill(&self, pelton: &mut Pelton) {
        pelton.kill();
        self.kills.lock().unwrap().push(Instant::now());
    }

    /// How many records were put and not processed yet.
    pub fn left(&self) -> usize {
        self.order.lock().unwrap().len().saturating_sub(self.witness.done())
    }

    /// Waits until all is processed that doesn't always fail, and the rest is settled.
    pub async fn is_over(&self, pelton: &Pelton) {
        let failing = self.failing().len();
        pelton_testkit::eventually("all is processed", LIMIT, || async { self.left() <= failing }).await;
        pelton.has_settled(&self.source, 0).await;
    }

    fn failing(&self) -> BTreeSet<u64> {
        self.order.lock().unwrap().iter().copied().filter(|number| self.what(*number) == "fail").collect()
    }

    /// Sees that nothing is lost and that order was kept. Gives what is known for more.
    pub async fn account(&self) -> Account {
        let order = self.order.lock().unwrap().clone();
        let failing = self.failing();
        let invocations = self.witness.invocations();
        let account = Account {
            order,
            failing,
            given_up: self.recorded(&invocations).await,
            processed: self.witness.processed(),
            kills: self.kills.lock().unwrap().clone(),
            invocations,
        };
        account.nothing_is_lost();
        account.order_holds(key);
        account.keys_are_worked_on_once_at_a_time(key);
        account
    }

    /// The numbers of the records that have a record at the destination. Each was isolated.
    async fn recorded(&self, invocations: &[witness::Invocation]) -> BTreeSet<u64> {
        let records = invocations.iter().flat_map(|invocation| &invocation.records);
        let numbers: HashMap<&str, u64> = records.map(|(number, id)| (id.as_str(), *number)).collect();
        let kind = match self.source {
            Feed::Kinesis(_) => Kind::Kinesis,
            Feed::DynamoDb(_) => Kind::DynamoDb,
        };
        let mut recorded = BTreeSet::new();
        for record in self.given_up.records(&self.backend).await {
            assert_eq!(record["requestContext"]["condition"], "RetryAttemptsExhausted");
            let batch = &record[kind.batch_info()];
            assert_eq!(batch["batchSize"], 1, "{record}");
            recorded.insert(numbers[batch["startSequenceNumber"].as_str().unwrap()]);
        }
        recorded
    }

    /// What a record tells the function.
    fn what(&self, number: u64) -> &'static str {
        match number {
            _ if number % self.failing_every == self.failing_every / 2 => "fail",
            _ if number % 203 == 45 => "fail once",
            _ if number % 509 == 33 => "raise once",
            _ => "",
        }
    }
}

/// What gets the records of what is given up.
#[derive(Debug)]
enum GivenUp {
    Queue(Queue),
    Bucket(String),
}

impl GivenUp {
    fn arn(&self) -> String {
        match self {
            Self::Queue(queue) => queue.arn.clone(),
            Self::Bucket(bucket) => format!("arn:aws:s3:::{bucket}"),
        }
    }

    /// All that came, duplicates too.
    async fn records(&self, backend: &Backend) -> Vec<Value> {
        let mut records = Vec::new();
        match self {
            Self::Queue(queue) => loop {
                let received = queue.receive(1).await;
                if received.is_empty() {
                    break;
                }
                records.extend(received.iter().map(body));
            },
            Self::Bucket(bucket) => {
                let listing = backend.s3.list_objects_v2().bucket(bucket).send().await.unwrap();
                for object in listing.contents() {
                    let get = backend.s3.get_object().bucket(bucket).key(object.key().unwrap()).send().await.unwrap();
                    records.push(serde_json::from_slice(&get.body.collect().await.unwrap().into_bytes()).unwrap());
                }
            }
        }
        records
    }
}

/// Which key a record has.
fn key(number: u64) -> u64 {
    number % KEYS
}

fn name(number: u64) -> String {
    format!("key-{}", key(number))
}

//! 2,000 messages through a backend and a Lambda API that both go wrong, and what must hold in the end.
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pelton_testkit::fault_proxy::{Calls, FaultProxy, Rule};
use serde_json::{Value, json};

use crate::{Backend, LambdaServer, Pelton, Queue, body};

/// How many messages a campaign sends.
const MESSAGES: u64 = 2000;
/// Groups of a FIFO queue.
const GROUPS: u64 = 20;
/// The share of calls that go wrong.
const PERCENT: u64 = 20;
/// Seconds that messages stay hidden: less than the slow ones take, so that they must be kept hidden.
const VISIBILITY: u32 = 2;
/// How long all of it may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(90);

/// `PELTON_TEST_SEED`, or always the same. Shown when the test fails.
pub fn seed() -> u64 {
    let seed = std::env::var("PELTON_TEST_SEED").map_or(20_261_124, |seed| seed.parse().unwrap());
    eprintln!("PELTON_TEST_SEED={seed}");
    seed
}

/// A queue full of messages, a function, and proxies in front of both.
#[derive(Debug)]
pub struct Campaign {
    /// What is polled.
    pub queue: Queue,
    /// What gets the records of what is given up.
    pub given_up: Queue,
    /// What is invoked.
    pub function: LambdaServer,
    is_fifo: bool,
    queues: FaultProxy,
    functions: FaultProxy,
}

impl Campaign {
    /// On a standard queue.
    pub async fn standard(backend: &Backend, seed: u64) -> Self {
        Self::new(backend, backend.queue(VISIBILITY).await, false, seed).await
    }

    /// On a FIFO queue with 20 groups.
    pub async fn fifo(backend: &Backend, seed: u64) -> Self {
        Self::new(backend, backend.fifo_queue(VISIBILITY).await, true, seed).await
    }

    async fn new(backend: &Backend, queue: Queue, is_fifo: bool, seed: u64) -> Self {
        // A run has so few extensions that a fifth of them could be none.
        let extensions = Rule { operations: &["ChangeMessageVisibilityBatch"], ..Rule::everything(50) };
        let rules = vec![extensions, Rule::everything(PERCENT)];
        let function = LambdaServer::start().await;
        let campaign = Self {
            given_up: backend.queue(30).await,
            queues: FaultProxy::start(&backend.endpoint, seed, rules.clone()).await.unwrap(),
            functions: FaultProxy::start(&function.endpoint, seed, rules).await.unwrap(),
            is_fifo,
            function,
            queue,
        };
        let messages: Vec<(String, String)> = (0..MESSAGES)
            .map(|number| (group(number).to_string(), json!({ "n": number, "do": campaign.what(number) }).to_string()))
            .collect();
        if is_fifo {
            campaign.queue.send_to_groups(messages.iter().map(|(group, body)| (group.as_str(), body.clone()))).await;
        } else {
            campaign.queue.send_all(messages.into_iter().map(|(_, body)| body)).await;
        }
        campaign
    }

    /// What a message tells the function. In a group only the last one always fails: what comes behind a message that
    /// fails is given back with it, as often as it, and would be given up with it.
    fn what(&self, number: u64) -> &'static str {
        match number {
            _ if self.always_fails(number) => "fail",
            _ if number % 250 == 130 => "slow",
            _ if number % 97 == 45 => "fail once",
            _ => "",
        }
    }

    fn always_fails(&self, number: u64) -> bool {
        if self.is_fifo { number + GROUPS >= MESSAGES } else { number % 100 == 99 }
    }

    /// Starts Pelton on it.
    pub async fn start(&self) -> Pelton {
        Pelton::run(json!({
            "Endpoint": self.queues.endpoint,
            "Endpoints": { "Lambda": self.functions.endpoint },
            "EventSourceMappings": [{
                "EventSourceArn": self.queue.arn, "FunctionName": "work", "MaximumRetryAttempts": 3,
                "FunctionResponseTypes": ["ReportBatchItemFailures"],
                "DestinationConfig": { "OnFailure": { "Destination": self.given_up.arn } },
            }],
        }))
        .await
    }

    /// Waits until the queue is empty: every message was processed or given up. One behind a failing message of its
    /// group may be given up with it, without the function ever having looked at it.
    pub async fn is_over(&self) {
        self.queue.is_drained_within(LIMIT).await;
    }

    /// Each message was processed at least once; those that always fail have their record; groups kept their order.
    pub async fn nothing_is_lost(&self) {
        let records = self.records().await;
        let processed: BTreeSet<u64> = self.function.processed().into_iter().collect();
        let failing: BTreeSet<u64> = (0..MESSAGES).filter(|number| self.always_fails(*number)).collect();
        let without_record: Vec<_> = failing.difference(&records).collect();
        assert!(without_record.is_empty(), "given up without a record: {without_record:?}");
        let lost: Vec<_> =
            (0..MESSAGES).filter(|number| !processed.contains(number) && !records.contains(number)).collect();
        assert!(lost.is_empty(), "neither processed nor recorded: {lost:?}");
        let given_up: Vec<_> = records.iter().filter(|number| !processed.contains(number)).collect();
        // Faults use up attempts too, so that one or the other may be given up with those that always fail.
        assert!(given_up.len() <= failing.len() + MESSAGES as usize / 100, "given up: {given_up:?}");
        if self.is_fifo {
            self.order_holds(&records);
        }
    }

    /// Within a group no message is processed for the first time before each of its predecessors was, except for those
    /// that were given up. What was processed once may come again.
    fn order_holds(&self, given_up: &BTreeSet<u64>) {
        let mut done = BTreeSet::new();
        for number in self.function.processed() {
            if done.insert(number) {
                let early = (0..number).find(|before| {
                    group(*before) == group(number) && !done.contains(before) && !given_up.contains(before)
                });
                assert_eq!(early, None, "message {number} came before its predecessor");
            }
        }
    }

    /// The messages that have a record.
    async fn records(&self) -> BTreeSet<u64> {
        let mut numbers = BTreeSet::new();
        loop {
            let received = self.given_up.receive(1).await;
            if received.is_empty() {
                return numbers;
            }
            for record in received.iter().map(body) {
                assert_eq!(record["requestContext"]["condition"], "RetriesExhausted");
                for message in record["requestPayload"]["Records"].as_array().unwrap() {
                    let message: Value = serde_json::from_str(message["body"].as_str().unwrap()).unwrap();
                    numbers.insert(message["n"].as_u64().unwrap());
                }
            }
        }
    }

    /// Faults have hit each kind of call that Pelton makes in a run.
    pub fn faults_happened(&self) {
        let mut calls: BTreeMap<String, Calls> = self.queues.calls();
        calls.extend(self.functions.calls());
        for operation in
            ["ReceiveMessage", "DeleteMessageBatch", "ChangeMessageVisibilityBatch", "SendMessage", "Invoke"]
        {
            assert!(calls.get(operation).is_some_and(|calls| calls.faults() > 0), "{operation}: {calls:#?}");
        }
        eprintln!("{calls:?}");
    }
}

fn group(number: u64) -> u64 {
    number % GROUPS
}

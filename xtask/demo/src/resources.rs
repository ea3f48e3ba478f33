//! The demo's queues, topic and bus: made, and removed again.
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
    StreamSpecification, StreamViewType, TableStatus,
};
use aws_sdk_eventbridge::types::Target;
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{PutRecordsRequestEntry, StreamStatus};
use aws_sdk_sqs::types::{QueueAttributeName, SendMessageBatchRequestEntry};
use serde_json::{Value, json};
use tokio::time::Instant;

/// What a stream or a table may take to be there.
const CREATION_LIMIT: Duration = Duration::from_secs(30);

/// Where the demo plays.
pub struct Account {
    pub sqs: aws_sdk_sqs::Client,
    sns: aws_sdk_sns::Client,
    eventbridge: aws_sdk_eventbridge::Client,
    kinesis: aws_sdk_kinesis::Client,
    dynamodb: aws_sdk_dynamodb::Client,
    /// Begins every name, so that two demos don't meet.
    pub prefix: String,
    pub region: String,
    made: Vec<Made>,
}

/// Something that is to be removed.
#[derive(Debug)]
enum Made {
    /// By its URL.
    Queue(String),
    Topic(String),
    Bus(String),
    Rule(String),
    Target(String),
    Stream(String),
    Table(String),
    /// The files of an SQLite database.
    State(PathBuf),
}

/// A queue.
#[derive(Debug, Clone)]
pub struct Queue {
    pub url: String,
    pub arn: String,
}

/// What the configuration of the quickstart example names, and the queues behind its topic and its bus.
pub struct Resources {
    pub orders: Queue,
    pub payments: Queue,
    pub dead: Queue,
    pub done: Queue,
    pub given_up: Queue,
    pub failed_inbox: Queue,
    pub bus_inbox: Queue,
}

impl Account {
    /// The endpoint, region and credentials of the environment.
    pub async fn new() -> Self {
        let config = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
        let region = config.region().map_or("us-east-1", |region| region.as_ref()).to_owned();
        let config = config.into_builder().region(aws_config::Region::new(region.clone())).build();
        let id = uuid::Uuid::new_v4().simple().to_string();
        Self {
            sqs: aws_sdk_sqs::Client::new(&config),
            sns: aws_sdk_sns::Client::new(&config),
            eventbridge: aws_sdk_eventbridge::Client::new(&config),
            kinesis: aws_sdk_kinesis::Client::new(&config),
            dynamodb: aws_sdk_dynamodb::Client::new(&config),
            prefix: format!("pelton-demo-{}", &id[..8]),
            region,
            made: Vec::new(),
        }
    }

    /// Makes everything. Whatever was made is known to [`Account::clean_up`], also if this fails or is cancelled.
    pub async fn create(&mut self) -> anyhow::Result<Resources> {
        println!("\n==> creating queues, a topic and a bus named {}-…", self.prefix);
        let visibility = (QueueAttributeName::VisibilityTimeout, "2".to_owned());
        let dead = self.queue("orders-dead", &[]).await?;
        let redrive = json!({"deadLetterTargetArn": dead.arn, "maxReceiveCount": 3}).to_string();
        let redrive = (QueueAttributeName::RedrivePolicy, redrive);
        // Lets the topic and the bus write to their queues, which AWS asks for.
        let open = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sqs:SendMessage",
            "Resource": "*", "Principal": {"Service": ["sns.amazonaws.com", "events.amazonaws.com"]}}]});
        let open = (QueueAttributeName::Policy, open.to_string());
        let resources = Resources {
            orders: self.queue("orders", &[visibility.clone(), redrive]).await?,
            payments: self.queue("payments", &[visibility]).await?,
            dead,
            done: self.queue("done", &[]).await?,
            given_up: self.queue("given-up", &[]).await?,
            failed_inbox: self.queue("failed-inbox", std::slice::from_ref(&open)).await?,
            bus_inbox: self.queue("bus-inbox", &[open]).await?,
        };
        self.topic_to(&resources.failed_inbox).await?;
        self.bus_to(&resources.bus_inbox).await?;
        Ok(resources)
    }

    pub async fn queue(&mut self, name: &str, attributes: &[(QueueAttributeName, String)]) -> anyhow::Result<Queue> {
        let mut call = self.sqs.create_queue().queue_name(format!("{}-{name}", self.prefix));
        for (name, value) in attributes {
            call = call.attributes(name.clone(), value);
        }
        let answer = call.send().await.with_context(|| format!("creating queue {name}"))?;
        let url = answer.queue_url().context("CreateQueue gave no URL")?.to_owned();
        self.made.push(Made::Queue(url.clone()));
        let call = self.sqs.get_queue_attributes().queue_url(&url).attribute_names(QueueAttributeName::QueueArn);
        let attributes = call.send().await.context("reading the queue's ARN")?;
        let arn = attributes.attributes().and_then(|all| all.get(&QueueAttributeName::QueueArn));
        Ok(Queue { url, arn: arn.context("the queue has no ARN")?.clone() })
    }

    async fn topic_to(&mut self, inbox: &Queue) -> anyhow::Result<()> {
        let topic = self.sns.create_topic().name(format!("{}-failed", self.prefix)).send().await;
        let topic = topic.context("creating the topic")?.topic_arn().context("CreateTopic gave no ARN")?.to_owned();
        self.made.push(Made::Topic(topic.clone()));
        let subscribe = self.sns.subscribe().topic_arn(&topic).protocol("sqs").endpoint(&inbox.arn);
        subscribe.send().await.context("subscribing to the topic")?;
        Ok(())
    }

    async fn bus_to(&mut self, inbox: &Queue) -> anyhow::Result<()> {
        let bus = format!("{}-bus", self.prefix);
        self.eventbridge.create_event_bus().name(&bus).send().await.context("creating the bus")?;
        self.made.push(Made::Bus(bus.clone()));
        let pattern = json!({"source": ["lambda"]}).to_string();
        let rule = self.eventbridge.put_rule().name(&bus).event_bus_name(&bus).event_pattern(pattern);
        rule.send().await.context("creating the rule")?;
        self.made.push(Made::Rule(bus.clone()));
        let target = Target::builder().id("inbox").arn(&inbox.arn).build()?;
        let targets = self.eventbridge.put_targets().rule(&bus).event_bus_name(&bus).targets(target);
        let answer = targets.send().await.context("adding the rule's target")?;
        ensure!(answer.failed_entry_count() == 0, "the rule's target was refused: {:?}", answer.failed_entries());
        self.made.push(Made::Target(bus));
        Ok(())
    }

    /// Where Pelton keeps its checkpoints.
    pub fn state(&mut self) -> PathBuf {
        let path = std::env::temp_dir().join(format!("{}.db", self.prefix));
        self.made.push(Made::State(path.clone()));
        path
    }

    /// Where Pelton keeps its events.
    pub fn events_state(&mut self) -> PathBuf {
        let path = std::env::temp_dir().join(format!("{}-events.db", self.prefix));
        self.made.push(Made::State(path.clone()));
        path
    }

    /// A Kinesis stream of two shards with some readings in it, by their sensors.
    pub async fn stream(&mut self, name: &str, readings: &[(String, Value)]) -> anyhow::Result<()> {
        let name = format!("{}-{name}", self.prefix);
        self.kinesis.create_stream().stream_name(&name).shard_count(2).send().await.context("creating the stream")?;
        self.made.push(Made::Stream(name.clone()));
        let started = Instant::now();
        loop {
            let summary = self.kinesis.describe_stream_summary().stream_name(&name).send().await;
            let summary = summary.context("looking at the stream")?.stream_description_summary;
            if summary.is_some_and(|summary| *summary.stream_status() == StreamStatus::Active) {
                break;
            }
            ensure!(started.elapsed() < CREATION_LIMIT, "the stream is not active");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let entry = |(sensor, reading): &(String, Value)| {
            PutRecordsRequestEntry::builder().partition_key(sensor).data(Blob::new(reading.to_string())).build()
        };
        let entries: Vec<_> = readings.iter().map(entry).collect::<Result<_, _>>()?;
        let put = self.kinesis.put_records().stream_name(&name).set_records(Some(entries)).send().await;
        ensure!(put.context("putting readings")?.failed_record_count() == Some(0), "readings were refused");
        Ok(())
    }

    /// A table with a stream, and items in it. Gives the stream's ARN.
    pub async fn table(&mut self, name: &str, items: &[(String, String)]) -> anyhow::Result<String> {
        let name = format!("{}-{name}", self.prefix);
        let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash).build()?;
        let id = AttributeDefinition::builder().attribute_name("id").attribute_type(ScalarAttributeType::S).build()?;
        let stream = StreamSpecification::builder().stream_enabled(true).stream_view_type(StreamViewType::NewImage);
        let table = self.dynamodb.create_table().table_name(&name).key_schema(key).attribute_definitions(id);
        let table = table.billing_mode(BillingMode::PayPerRequest).stream_specification(stream.build()?).send().await;
        self.made.push(Made::Table(name.clone()));
        let arn = table.context("creating the table")?.table_description.and_then(|table| table.latest_stream_arn);
        let started = Instant::now();
        loop {
            let table =
                self.dynamodb.describe_table().table_name(&name).send().await.context("looking at the table")?;
            if table.table.is_some_and(|table| table.table_status == Some(TableStatus::Active)) {
                break;
            }
            ensure!(started.elapsed() < CREATION_LIMIT, "the table is not active");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        for (id, offset) in items {
            let text = |text: &String| AttributeValue::S(text.clone());
            let put = self.dynamodb.put_item().table_name(&name).item("id", text(id)).item("offset", text(offset));
            put.send().await.context("putting an item")?;
        }
        arn.context("the table has no stream")
    }

    /// Sends messages, ten a call.
    pub async fn send(&self, queue: &Queue, messages: Vec<Value>) -> anyhow::Result<()> {
        for chunk in messages.chunks(10) {
            let mut call = self.sqs.send_message_batch().queue_url(&queue.url);
            for (i, message) in chunk.iter().enumerate() {
                let entry = SendMessageBatchRequestEntry::builder().id(i.to_string()).message_body(message.to_string());
                call = call.entries(entry.build()?);
            }
            let sent = call.send().await.context("sending messages")?;
            ensure!(sent.failed().is_empty(), "messages were refused: {:?}", sent.failed());
        }
        Ok(())
    }

    /// How many messages a queue holds.
    pub async fn count(&self, queue: &Queue) -> anyhow::Result<usize> {
        let name = QueueAttributeName::ApproximateNumberOfMessages;
        let call = self.sqs.get_queue_attributes().queue_url(&queue.url).attribute_names(name.clone());
        let attributes = call.send().await.context("counting messages")?;
        let count = attributes.attributes().and_then(|all| all.get(&name)?.parse().ok());
        count.context("the queue doesn't say how many messages it holds")
    }

    /// Removes what was made, last things first; says what can't be removed.
    pub async fn clean_up(&mut self) {
        println!("==> removing queues, topic, bus, stream and table");
        while let Some(made) = self.made.pop() {
            if let Err(error) = self.remove(&made).await {
                println!("    could not remove {made:?}: {error:#}");
            }
        }
    }

    async fn remove(&self, made: &Made) -> anyhow::Result<()> {
        match made {
            Made::Queue(url) => {
                self.sqs.delete_queue().queue_url(url).send().await?;
            }
            Made::Topic(topic) => {
                self.sns.delete_topic().topic_arn(topic).send().await?;
            }
            Made::Bus(bus) => {
                self.eventbridge.delete_event_bus().name(bus).send().await?;
            }
            Made::Stream(stream) => {
                self.kinesis.delete_stream().stream_name(stream).send().await?;
            }
            Made::Table(table) => {
                self.dynamodb.delete_table().table_name(table).send().await?;
            }
            Made::State(path) => {
                for suffix in ["", "-wal", "-shm", ".lock"] {
                    // Not all of them need be there.
                    let _ = std::fs::remove_file(format!("{}{suffix}", path.display()));
                }
            }
            Made::Rule(bus) => {
                self.eventbridge.delete_rule().name(bus).event_bus_name(bus).send().await?;
            }
            Made::Target(bus) => {
                self.eventbridge.remove_targets().rule(bus).event_bus_name(bus).ids("inbox").send().await?;
            }
        }
        Ok(())
    }
}

impl Resources {
    /// The account that everything is in.
    pub fn account(&self) -> &str {
        self.orders.arn.split(':').nth(4).unwrap_or_default()
    }
}

//! Queues of a test's own, and replicas that work on one.
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::QueueAttributeName;
use pelton_aws::{Aws, Service, Settings};
use pelton_core::{AsyncEvent, EventQueue as _, FunctionName, SystemClock};
use pelton_source_async::SqsEventQueue;
use pelton_testkit::event_queue_suite::new_event;
use tokio::time::timeout;

/// Of the queues that a test has wait until their messages are visible again.
pub const SHORT: u32 = 3;
/// Longer than any test.
pub const LONG: u32 = 120;
/// What every condition holds within.
pub const LIMIT: Duration = Duration::from_secs(30);

/// Runs each test on both backends.
macro_rules! on_both {
    ($($test:ident),* $(,)?) => {
        mod on_localstack {
            $(#[tokio::test] async fn $test() { super::$test(&pelton_testkit::backend::localstack()).await; })*
        }
        mod on_ministack {
            $(#[tokio::test] async fn $test() { super::$test(&pelton_testkit::backend::ministack()).await; })*
        }
    };
}
pub(crate) use on_both;

pub struct Queue {
    pub client: Client,
    pub config: aws_config::SdkConfig,
    pub arn: String,
    pub url: String,
}

pub async fn config(endpoint: &str) -> aws_config::SdkConfig {
    let settings =
        Settings { endpoint: Some(endpoint.into()), region: Some("us-east-1".into()), ..Settings::default() };
    let config = Aws::new(settings).await.unwrap().config(Service::Sqs, "us-east-1");
    let credentials = aws_sdk_sqs::config::Credentials::new("test", "test", None, None, "test");
    let provider = aws_sdk_sqs::config::SharedCredentialsProvider::new(credentials);
    config.into_builder().credentials_provider(provider).build()
}

impl Queue {
    pub async fn new(endpoint: &str, visibility_timeout: u32) -> Self {
        Self::with(endpoint, visibility_timeout, None).await
    }

    /// With a dead-letter queue after so many receives.
    pub async fn with(endpoint: &str, visibility_timeout: u32, redrive: Option<(&Self, u32)>) -> Self {
        let config = config(endpoint).await;
        let client = Client::new(&config);
        let name = format!("pelton-{:032x}", fastrand::u128(..));
        let timeout = visibility_timeout.to_string();
        let mut create =
            client.create_queue().queue_name(&name).attributes(QueueAttributeName::VisibilityTimeout, timeout);
        if let Some((dead, most)) = redrive {
            let policy = format!(r#"{{"deadLetterTargetArn":"{}","maxReceiveCount":"{most}"}}"#, dead.arn);
            create = create.attributes(QueueAttributeName::RedrivePolicy, policy);
        }
        let url = create.send().await.unwrap().queue_url.unwrap();
        let arn = format!("arn:aws:sqs:us-east-1:000000000000:{name}");
        Self { client, config, arn, url }
    }

    pub fn replica(&self) -> SqsEventQueue {
        self.replica_of(&self.config)
    }

    pub fn replica_of(&self, config: &aws_config::SdkConfig) -> SqsEventQueue {
        SqsEventQueue::start(config, self.arn.parse().unwrap(), Duration::from_secs(1), Arc::new(SystemClock))
    }

    /// Messages in it: all, and those that are hidden or delayed.
    pub async fn count(&self) -> (u32, u32) {
        use QueueAttributeName::{
            ApproximateNumberOfMessages as Visible, ApproximateNumberOfMessagesDelayed as Delayed,
            ApproximateNumberOfMessagesNotVisible as Hidden,
        };
        let call = self.client.get_queue_attributes().queue_url(&self.url);
        let call = call.attribute_names(Visible).attribute_names(Hidden).attribute_names(Delayed);
        let attributes = call.send().await.unwrap().attributes.unwrap();
        let of = |name| attributes.get(&name).map_or(0, |count: &String| count.parse::<u32>().unwrap());
        let hidden = of(Hidden) + of(Delayed);
        (of(Visible) + hidden, hidden)
    }

    /// Receives messages: how often each was received, this time included, and its receipt.
    pub async fn receive(&self) -> Vec<(String, String)> {
        let name = aws_sdk_sqs::types::MessageSystemAttributeName::ApproximateReceiveCount;
        let call = self.client.receive_message().queue_url(&self.url).max_number_of_messages(10).wait_time_seconds(1);
        let call = call.message_system_attribute_names(name.clone()).visibility_timeout(60);
        let messages = call.send().await.unwrap().messages.unwrap_or_default();
        let of = |message: &aws_sdk_sqs::types::Message| {
            (message.attributes().unwrap()[&name].clone(), message.receipt_handle().unwrap().to_owned())
        };
        messages.iter().map(of).collect()
    }

    /// Shows a message to everybody again.
    pub async fn show(&self, receipt: &str) {
        let show = self.client.change_message_visibility().queue_url(&self.url).receipt_handle(receipt);
        show.visibility_timeout(0).send().await.unwrap();
    }

    /// Waits until it has so many messages.
    pub async fn has(&self, messages: u32) {
        let what = format!("{messages} messages in the queue");
        pelton_testkit::eventually(&what, LIMIT, || async { self.count().await.0 == messages }).await;
    }
}

/// An event that is accepted, and due, now.
pub fn event_now(function: &FunctionName) -> AsyncEvent {
    let now = jiff::Timestamp::now();
    AsyncEvent { accepted_at: now, due_at: now, ..new_event(function, 0) }
}

/// Waits for events of a function, and takes them.
pub async fn arrived(queue: &SqsEventQueue, function: &FunctionName) -> Vec<AsyncEvent> {
    let arrival = async {
        loop {
            let due = queue.take(function, jiff::Timestamp::now(), 100).await.unwrap();
            if !due.events.is_empty() {
                return due.events;
            }
            match due.next {
                Some(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                None => while queue.arrival().await != *function {},
            }
        }
    };
    timeout(LIMIT, arrival).await.expect("an event arrives")
}

//! The demo's queues, topic and bus: made, and removed again.
use anyhow::Context as _;
use aws_sdk_sqs::types::{QueueAttributeName, SendMessageBatchRequestEntry};
use serde_json::{Value, json};

/// A queue.
#[derive(Debug, Clone)]
pub struct Queue {
    pub url: String,
    pub arn: String,
}

/// Everything the demo needs at the endpoint.
pub struct Resources {
    pub sqs: aws_sdk_sqs::Client,
    sns: aws_sdk_sns::Client,
    eventbridge: aws_sdk_eventbridge::Client,
    /// Begins every name, so that two demos don't meet.
    pub prefix: String,
    pub region: String,
    pub orders: Queue,
    pub payments: Queue,
    pub dead: Queue,
    pub done: Queue,
    pub given_up: Queue,
    pub failed_inbox: Queue,
    pub bus_inbox: Queue,
    topic: String,
}

impl Resources {
    /// Makes them.
    pub async fn create() -> anyhow::Result<Self> {
        let config = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
        let region = config.region().map_or("us-east-1", |region| region.as_ref()).to_owned();
        let config = config.into_builder().region(aws_config::Region::new(region.clone())).build();
        let sqs = aws_sdk_sqs::Client::new(&config);
        let sns = aws_sdk_sns::Client::new(&config);
        let eventbridge = aws_sdk_eventbridge::Client::new(&config);
        let id = uuid::Uuid::new_v4().simple().to_string();
        let prefix = format!("pelton-demo-{}", &id[..8]);
        println!("\n==> creating queues, a topic and a bus named {prefix}-…");

        let queue = async |name: &str, attributes: &[(QueueAttributeName, String)]| -> anyhow::Result<Queue> {
            let mut call = sqs.create_queue().queue_name(format!("{prefix}-{name}"));
            for (name, value) in attributes {
                call = call.attributes(name.clone(), value);
            }
            let url = call.send().await.with_context(|| format!("creating queue {name}"))?;
            let url = url.queue_url().context("CreateQueue gave no URL")?.to_owned();
            let call = sqs.get_queue_attributes().queue_url(&url).attribute_names(QueueAttributeName::QueueArn);
            let attributes = call.send().await.context("reading the queue's ARN")?;
            let arn = attributes.attributes().and_then(|it| it.get(&QueueAttributeName::QueueArn));
            Ok(Queue { url, arn: arn.context("the queue has no ARN")?.clone() })
        };
        let visibility = (QueueAttributeName::VisibilityTimeout, "2".to_owned());
        let dead = queue("orders-dead", &[]).await?;
        let redrive = json!({"deadLetterTargetArn": dead.arn, "maxReceiveCount": 3}).to_string();
        let redrive = (QueueAttributeName::RedrivePolicy, redrive);
        // Lets the topic and the bus write to their queues, which AWS asks for.
        let open = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sqs:SendMessage",
            "Resource": "*", "Principal": {"Service": ["sns.amazonaws.com", "events.amazonaws.com"]}}]});
        let open = (QueueAttributeName::Policy, open.to_string());
        let failed_inbox = queue("failed-inbox", std::slice::from_ref(&open)).await?;
        let bus_inbox = queue("bus-inbox", &[open]).await?;

        let topic = sns.create_topic().name(format!("{prefix}-failed")).send().await.context("creating the topic")?;
        let topic = topic.topic_arn().context("CreateTopic gave no ARN")?.to_owned();
        let subscribe = sns.subscribe().topic_arn(&topic).protocol("sqs").endpoint(&failed_inbox.arn);
        subscribe.send().await.context("subscribing to the topic")?;

        let bus = format!("{prefix}-bus");
        eventbridge.create_event_bus().name(&bus).send().await.context("creating the bus")?;
        let pattern = json!({"source": ["lambda"]}).to_string();
        let rule = eventbridge.put_rule().name(&bus).event_bus_name(&bus).event_pattern(pattern);
        rule.send().await.context("creating the rule")?;
        let target = aws_sdk_eventbridge::types::Target::builder().id("inbox").arn(&bus_inbox.arn).build()?;
        let targets = eventbridge.put_targets().rule(&bus).event_bus_name(&bus).targets(target);
        targets.send().await.context("adding the rule's target")?;

        Ok(Self {
            orders: queue("orders", &[visibility.clone(), redrive]).await?,
            payments: queue("payments", &[visibility]).await?,
            done: queue("done", &[]).await?,
            given_up: queue("given-up", &[]).await?,
            dead,
            failed_inbox,
            bus_inbox,
            topic,
            prefix: prefix.clone(),
            region,
            sns,
            eventbridge,
            sqs: sqs.clone(),
        })
    }

    /// The account that everything is in.
    pub fn account(&self) -> &str {
        self.orders.arn.split(':').nth(4).unwrap_or_default()
    }

    /// Sends messages, ten a call.
    pub async fn send(&self, queue: &Queue, messages: Vec<Value>) -> anyhow::Result<()> {
        for (number, chunk) in messages.chunks(10).enumerate() {
            let mut call = self.sqs.send_message_batch().queue_url(&queue.url);
            for (i, message) in chunk.iter().enumerate() {
                let id = format!("{number}-{i}");
                let entry = SendMessageBatchRequestEntry::builder().id(id).message_body(message.to_string());
                call = call.entries(entry.build()?);
            }
            let sent = call.send().await.context("sending messages")?;
            anyhow::ensure!(sent.failed().is_empty(), "messages were refused: {:?}", sent.failed());
        }
        Ok(())
    }

    /// How many messages a queue holds.
    pub async fn count(&self, queue: &Queue) -> anyhow::Result<usize> {
        let name = QueueAttributeName::ApproximateNumberOfMessages;
        let call = self.sqs.get_queue_attributes().queue_url(&queue.url).attribute_names(name.clone());
        let attributes = call.send().await.context("counting messages")?;
        let count = attributes.attributes().and_then(|it| it.get(&name)?.parse().ok());
        count.context("the queue doesn't say how many messages it holds")
    }

    /// Removes them; what can't be removed is named.
    pub async fn delete(&self) {
        let bus = format!("{}-bus", self.prefix);
        let mut left = Vec::new();
        let targets = self.eventbridge.remove_targets().rule(&bus).event_bus_name(&bus).ids("inbox");
        left.extend(targets.send().await.err().map(|_| format!("targets of rule {bus}")));
        let rule = self.eventbridge.delete_rule().name(&bus).event_bus_name(&bus).send().await;
        left.extend(rule.err().map(|_| format!("rule {bus}")));
        let deleted = self.eventbridge.delete_event_bus().name(&bus).send().await;
        left.extend(deleted.err().map(|_| format!("bus {bus}")));
        let deleted = self.sns.delete_topic().topic_arn(&self.topic).send().await;
        left.extend(deleted.err().map(|_| format!("topic {}", self.topic)));
        let queues =
            [&self.orders, &self.payments, &self.dead, &self.done, &self.given_up, &self.failed_inbox, &self.bus_inbox];
        for queue in queues {
            let deleted = self.sqs.delete_queue().queue_url(&queue.url).send().await;
            left.extend(deleted.err().map(|_| format!("queue {}", queue.arn)));
        }
        if !left.is_empty() {
            println!("    could not remove: {}", left.join(", "));
        }
    }
}

//! What only streams have, and what only queues have.
use std::time::Duration;

use jiff::Timestamp;
use pelton_core::StreamSettings;

use crate::event_source::{EventSource, Kind};
use crate::section::Section;
use crate::starting_position;
use crate::wire::EventSourceMapping;

/// The shortest `MaximumRecordAgeInSeconds` but none.
const SHORTEST_RECORD_AGE: i32 = 60;

/// Field of a stream, what to do where it stands at a queue.
const OF_STREAMS: &[(&str, &str)] = &[
    ("StartingPositionTimestamp", "remove it: a queue is read from its oldest message on"),
    ("ParallelizationFactor", "remove it; ScalingConfig.MaximumConcurrency limits a queue's invocations"),
    ("BisectBatchOnFunctionError", "remove it; FunctionResponseTypes: [ReportBatchItemFailures] isolates bad messages"),
    ("MaximumRecordAgeInSeconds", "remove it; the queue's retention period limits the age of its messages"),
    ("TumblingWindowInSeconds", "remove it; MaximumBatchingWindowInSeconds gathers a queue's messages"),
];

/// The settings of a stream. `None` for a queue, and if something of them is wrong, now or before.
pub(crate) fn check(
    wire: &EventSourceMapping,
    source: &EventSource,
    now: Timestamp,
    section: &mut Section<'_>,
) -> Option<StreamSettings> {
    if !source.kind.is_stream() {
        refuse_at_a_queue(section);
        return None;
    }
    refuse_at_a_stream(source.kind, section);
    let maximum_record_age = match wire.maximum_record_age_in_seconds {
        Some(seconds @ 0..SHORTEST_RECORD_AGE) => {
            let message =
                "MaximumRecordAgeInSeconds must be either -1 (forever) or between 60 and 604800 (inclusive)".to_owned();
            let fix = format!("write 60 or more instead of {seconds}, or -1 for no limit");
            section.problem("MaximumRecordAgeInSeconds", message, fix);
            None
        }
        seconds => seconds.and_then(|seconds| u64::try_from(seconds).ok()).map(Duration::from_secs),
    };
    let timestamp = wire.starting_position_timestamp.as_deref();
    let starting_position = starting_position::check(wire.starting_position, timestamp, source, now, section)?;
    Some(StreamSettings {
        starting_position,
        parallelization_factor: wire.parallelization_factor.unwrap_or(1) as usize,
        bisect_batch_on_function_error: wire.bisect_batch_on_function_error.unwrap_or(false),
        maximum_record_age,
        tumbling_window: Duration::from_secs(wire.tumbling_window_in_seconds.unwrap_or(0).into()),
        poll_interval: wire.poll_interval_milliseconds.map(|interval| Duration::from_millis(interval.into())),
    })
}

fn refuse_at_a_queue(section: &mut Section<'_>) {
    let is_written = |section: &Section<'_>, field: &str| section.node.at(field).is_some();
    if is_written(section, "StartingPosition") {
        let message = "StartingPosition is not valid for SQS event sources.";
        section.problem("StartingPosition", message, "remove it: a queue is read from its oldest message on");
    }
    for (field, fix) in OF_STREAMS {
        if is_written(section, field) {
            section.problem(field, unsupported(field), *fix);
        }
    }
    if is_written(section, "PollIntervalMilliseconds") {
        let message = "PollIntervalMilliseconds is for streams: a queue is asked all the time, and answers when it has \
                       messages";
        section.problem("PollIntervalMilliseconds", message, "remove it");
    }
}

fn refuse_at_a_stream(kind: Kind, section: &mut Section<'_>) {
    if section.node.at("ScalingConfig").is_some() {
        let fix = "remove it; ParallelizationFactor says how many batches of a shard run at a time";
        section.problem("ScalingConfig", unsupported("ScalingConfig"), fix);
    }
    if section.node.at("VisibilityHeartbeat").is_some() {
        let message = "VisibilityHeartbeat is for queues: records of a stream are never hidden";
        section.problem("VisibilityHeartbeat", message, "remove it");
    }
    if kind == Kind::KinesisConsumer && section.node.at("PollIntervalMilliseconds").is_some() {
        let message = "PollIntervalMilliseconds is for streams that are polled: to a consumer, records are pushed";
        section.problem("PollIntervalMilliseconds", message, "remove it, or name the stream instead of its consumer");
    }
}

/// AWS's sentence for a field that the kind of source doesn't have.
fn unsupported(field: &str) -> String {
    format!("Unsupported {field} parameter for given event source mapping type.")
}

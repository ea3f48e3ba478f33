//! The rules of `StartingPosition` and `StartingPositionTimestamp`.
use jiff::Timestamp;
use jiff::civil::DateTime;
use pelton_core::StartingPosition;

use crate::event_source::{EventSource, Kind};
use crate::section::Section;
use crate::wire;

const POSITION: &str = "StartingPosition";
const TIMESTAMP: &str = "StartingPositionTimestamp";
const FORMS: &str = "write seconds since 1970, such as 1735689600, or a date and time with its offset from UTC, such \
                     as 2025-01-01T00:00:00Z";

/// Checks the two fields of a stream. `None` if something is wrong with them, now or before.
pub(crate) fn check(
    position: Option<wire::StartingPosition>,
    timestamp: Option<&str>,
    source: &EventSource,
    now: Timestamp,
    section: &mut Section<'_>,
) -> Option<StartingPosition> {
    let is_written = |field: &str| section.node.at(field).is_some();
    let (position_is_written, timestamp_is_written) = (is_written(POSITION), is_written(TIMESTAMP));
    let Some(position) = position else {
        if !position_is_written {
            // Of all of AWS's texts of this kind the only one with a full stop (spec 12.1).
            let message = "1 validation error detected: Value null at 'startingPosition' failed to satisfy constraint: \
                           Member must not be null.";
            let fix =
                "add StartingPosition: TRIM_HORIZON for the oldest records there are, or LATEST for those to come";
            section.problem(POSITION, message, fix);
        }
        return None;
    };
    match position {
        wire::StartingPosition::AtTimestamp if source.kind == Kind::DynamoDbStream => {
            let message = format!("Unsupported starting position for arn type: {}", source.arn);
            section.problem(
                POSITION,
                message,
                "write TRIM_HORIZON or LATEST: DynamoDB streams can't be read from a time on",
            );
            None
        }
        wire::StartingPosition::AtTimestamp if !timestamp_is_written => {
            section.problem(POSITION, "Need to specify a timestamp", "add StartingPositionTimestamp");
            None
        }
        wire::StartingPosition::AtTimestamp => match past(timestamp?, now) {
            Ok(at) => Some(StartingPosition::AtTimestamp(at)),
            Err(Unusable { message, fix }) => {
                section.problem(TIMESTAMP, message, fix);
                None
            }
        },
        wire::StartingPosition::TrimHorizon | wire::StartingPosition::Latest if timestamp_is_written => {
            let message = "StartingPositionTimestamp has a meaning only with StartingPosition: AT_TIMESTAMP";
            section.problem(TIMESTAMP, message, "remove it, or write StartingPosition: AT_TIMESTAMP");
            None
        }
        wire::StartingPosition::TrimHorizon => Some(StartingPosition::TrimHorizon),
        wire::StartingPosition::Latest => Some(StartingPosition::Latest),
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Unusable {
    message: String,
    fix: &'static str,
}

/// A time that isn't in the future: AWS refuses one that is.
fn past(text: &str, now: Timestamp) -> Result<Timestamp, Unusable> {
    let shown = crate::problem::shortened(text);
    let unusable = |message: String, fix| Err(Unusable { message, fix });
    let in_the_future = || format!("StartingPositionTimestamp cannot be in the future: it is now {now:.0}");
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    let at = match text.parse::<f64>() {
        Ok(seconds) if is_number && seconds < 0.0 => return unusable(format!("{shown} is a time before 1970"), FORMS),
        Ok(seconds) if is_number => {
            // To the millisecond, as Kinesis has it. What is too large for an integer is the largest one.
            match Timestamp::from_millisecond((seconds * 1000.0).round() as i64) {
                Ok(at) if at <= now => at,
                _ => return unusable(in_the_future(), "write seconds since 1970, not milliseconds, that have gone by"),
            }
        }
        _ => match text.parse::<Timestamp>() {
            Ok(at) => at,
            Err(_) if text.parse::<DateTime>().is_ok() => {
                let fix = "add the time and its offset, such as T00:00:00Z for midnight in UTC or T00:00:00+02:00";
                return unusable(format!("the time '{shown}' has no offset from UTC"), fix);
            }
            Err(_) => return unusable(format!("'{shown}' is no time"), FORMS),
        },
    };
    match at <= now {
        true => Ok(at),
        false => unusable(in_the_future(), "write a time that has gone by, or StartingPosition: LATEST"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn now() -> Timestamp {
        "2025-06-01T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn reads_what_the_sdks_and_templates_write() {
        for (text, at) in [
            ("0", "1970-01-01T00:00:00Z"),
            ("1735689600", "2025-01-01T00:00:00Z"),
            ("1735689600.123", "2025-01-01T00:00:00.123Z"),
            ("1.7356896E9", "2025-01-01T00:00:00Z"),
            ("2025-01-01T00:00:00Z", "2025-01-01T00:00:00Z"),
            ("2025-01-01 01:00:00.5+01:00", "2025-01-01T00:00:00.5Z"),
            ("2025-06-01T12:00:00Z", "2025-06-01T12:00:00Z"),
        ] {
            assert_eq!(past(text, now()), Ok(at.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn says_what_is_wrong_with_a_time() {
        let future = "StartingPositionTimestamp cannot be in the future: it is now 2025-06-01T12:00:00Z";
        for (text, message) in [
            ("", "'' is no time"),
            ("yesterday", "'yesterday' is no time"),
            ("inf", "'inf' is no time"),
            ("NaN", "'NaN' is no time"),
            ("-1", "-1 is a time before 1970"),
            ("1e999", future),
            ("1735689600000", future),
            ("2025-06-01T12:00:01Z", future),
            ("2025-01-01", "the time '2025-01-01' has no offset from UTC"),
            ("2025-01-01T00:00:00", "the time '2025-01-01T00:00:00' has no offset from UTC"),
        ] {
            assert_eq!(past(text, now()).unwrap_err().message, message, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_time_that_is_taken_has_gone_by(text in "\\PC{0,12}|[0-9TZ:.+eE-]{0,30}") {
            if let Ok(at) = past(&text, now()) {
                prop_assert!(at <= now() && at.as_millisecond() > -86_400_000_000_000_000, "{}", at);
            }
        }
    }
}

//! Functions that are invoked asynchronously as a table of text.
use std::time::Duration;

use jiff::Timestamp;
use pelton_engine::FunctionStatus;

use super::table::{age, printable, resource};
use crate::columns::columns;
use crate::lasting::lasting;

const HEADINGS: [&str; 10] = [
    "FUNCTION",
    "WAITING",
    "IN FLIGHT",
    "AGE",
    "RECEIVED",
    "RETRIES",
    "DROPPED",
    "DELIVERED",
    "DEAD-LETTERED",
    "LAST ERROR",
];
/// Columns of numbers are aligned to the right.
const NUMBERS: [usize; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

/// One line a function; nothing if there is none.
pub fn functions(functions: &[FunctionStatus], now: Timestamp) -> String {
    if functions.is_empty() {
        return String::new();
    }
    let mut lines = vec![HEADINGS.map(String::from).to_vec()];
    lines.extend(functions.iter().map(|function| line(function, now)));
    format!("\n{}", columns(&lines, &NUMBERS))
}

fn line(function: &FunctionStatus, now: Timestamp) -> Vec<String> {
    let last_error = function.last_error.as_ref();
    let oldest = function.age_seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    vec![
        resource(&function.function_arn),
        function.waiting.to_string(),
        function.in_flight.to_string(),
        oldest.map_or_else(|| "-".into(), lasting),
        function.received.to_string(),
        function.retries.to_string(),
        function.dropped.to_string(),
        (function.reported_successes + function.reported_failures).to_string(),
        function.dead_lettered.to_string(),
        last_error.map_or_else(|| "-".into(), |last| format!("{} ({})", printable(&last.message), age(last.at, now))),
    ]
}

#[cfg(test)]
mod tests {
    use pelton_engine::LastError;

    use super::*;

    #[test]
    fn a_line_tells_of_each_function() {
        let now: Timestamp = "2026-01-01T00:01:00Z".parse().unwrap();
        let mut work = FunctionStatus {
            function_arn: "arn:aws:lambda:us-east-1:000000000000:function:work:$LATEST".into(),
            waiting: 3,
            in_flight: 1,
            age_seconds: Some(61.5),
            received: 10,
            invocations: 9,
            errors: 5,
            throttles: 0,
            retries: 4,
            dropped: 1,
            reported_successes: 4,
            reported_failures: 1,
            dead_lettered: 1,
            destination_delivery_failures: 0,
            dead_letter_errors: 0,
            last_error: None,
        };
        assert_eq!(functions(&[], now), "");
        let shown = functions(std::slice::from_ref(&work), now);
        let [empty, headings, line] = shown.lines().collect::<Vec<_>>()[..] else { panic!("{shown}") };
        assert_eq!(empty, "");
        assert_eq!(headings.split_whitespace().collect::<Vec<_>>().join(" "), HEADINGS.join(" "));
        assert_eq!(line.split_whitespace().collect::<Vec<_>>()[..3], ["work:$LATEST", "3", "1"]);
        assert!(line.split_whitespace().collect::<Vec<_>>().join(" ").ends_with("10 4 1 5 1 -"), "{line}");

        work.last_error =
            Some(LastError { message: "no\u{1b}[2J answer".into(), at: "2026-01-01T00:00:00Z".parse().unwrap() });
        let shown = functions(&[work], now);
        assert!(shown.trim_end().ends_with("no [2J answer (60 s ago)") || shown.contains("no [2J answer ("), "{shown}");
    }
}

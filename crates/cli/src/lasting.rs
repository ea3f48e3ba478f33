//! Durations in words.
use std::time::Duration;

/// `0 s`, `2.1 s`, `59 s`, `3 min`, `5 h` or `2 d`.
pub fn lasting(duration: Duration) -> String {
    match duration.as_secs() {
        0..10 if duration.subsec_millis() >= 100 => {
            format!("{}.{} s", duration.as_secs(), duration.subsec_millis() / 100)
        }
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min", seconds / 60),
        seconds @ 3600..86_400 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_told_in_the_unit_that_fits() {
        for (millis, words) in [
            (0, "0 s"),
            (99, "0 s"),
            (100, "0.1 s"),
            (2_199, "2.1 s"),
            (3_000, "3 s"),
            (10_900, "10 s"),
            (59_999, "59 s"),
            (3_599_000, "59 min"),
            (86_399_000, "23 h"),
            (259_200_000, "3 d"),
        ] {
            assert_eq!(lasting(Duration::from_millis(millis)), words);
        }
    }
}

//! The end of one invocation's log, as a caller gets it who asks with `X-Amz-Log-Type: Tail`.
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::failure::Failure;

/// "The last 4 KB of the execution log" (Invoke, `LogResult`).
const LONGEST: usize = 4 * 1024;

/// What a process writes while it runs one invocation, as far as it can be part of the tail.
#[derive(Debug)]
pub struct InvocationLog {
    started_at: Instant,
    output: Vec<u8>,
}

impl InvocationLog {
    /// The invocation begins now.
    pub fn begin() -> Self {
        Self { started_at: Instant::now(), output: Vec::new() }
    }

    /// Adds what was written. Keeps at most twice the tail.
    pub fn push(&mut self, written: &[u8]) {
        self.output.extend_from_slice(&written[written.len().saturating_sub(LONGEST)..]);
        if self.output.len() > 2 * LONGEST {
            self.output.drain(..self.output.len() - LONGEST);
        }
    }

    /// The invocation has ended. Lambda's lines stand around the output, without the memory that was used, which nobody
    /// has measured.
    pub fn end(self, request_id: &str, memory_size_megabytes: u32, failure: Option<&Failure>) -> Bytes {
        let took = self.started_at.elapsed();
        let mut log = format!("START RequestId: {request_id} Version: $LATEST\n").into_bytes();
        log.extend_from_slice(&self.output);
        if !log.ends_with(b"\n") {
            log.push(b'\n');
        }
        let words = failure.and_then(|failure| failure.log_line(request_id));
        let status = failure.and_then(Failure::report_status).map(|status| format!("\t{status}")).unwrap_or_default();
        log.extend(words.unwrap_or_default().bytes());
        let report = format!(
            "END RequestId: {request_id}\nREPORT RequestId: {request_id}\tDuration: {:.2} ms\tBilled Duration: {} ms\tMemory \
             Size: {memory_size_megabytes} MB{status}\n",
            took.as_secs_f64() * 1_000.0,
            billed(took)
        );
        log.extend_from_slice(report.as_bytes());
        cut(log)
    }
}

/// Started milliseconds count whole.
fn billed(took: Duration) -> u128 {
    took.as_micros().div_ceil(1_000).max(1)
}

/// The last 4 KB, without the rest of a character that is cut in two.
fn cut(log: Vec<u8>) -> Bytes {
    let mut start = log.len().saturating_sub(LONGEST);
    if start > 0 {
        let is_continuation = |byte: &&u8| **byte & 0b1100_0000 == 0b1000_0000;
        start += log[start..].iter().take(3).take_while(is_continuation).count();
    }
    Bytes::from(log).slice(start..)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    async fn tail(parts: &[&[u8]], failure: Option<&Failure>) -> String {
        let mut log = InvocationLog::begin();
        for part in parts {
            log.push(part);
        }
        tokio::time::advance(Duration::from_micros(12_341)).await;
        String::from_utf8(log.end("r-1", 256, failure).to_vec()).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn stands_between_lambdas_lines() {
        let end = "END RequestId: r-1\nREPORT RequestId: r-1\tDuration: 12.34 ms\tBilled Duration: 13 ms\tMemory Size: 256 MB";
        let start = "START RequestId: r-1 Version: $LATEST\n";
        assert_eq!(tail(&[], None).await, format!("{start}{end}\n"));
        assert_eq!(tail(&[b"one\ntw", b"o\n"], None).await, format!("{start}one\ntwo\n{end}\n"));
        assert_eq!(tail(&[b"no newline"], None).await, format!("{start}no newline\n{end}\n"));
        let late = Failure::TimedOut(Duration::from_secs(3));
        assert_eq!(
            tail(&[b"one\n"], Some(&late)).await,
            format!("{start}one\nRequestId: r-1 Error: Task timed out after 3.00 seconds\n{end}\tStatus: timeout\n")
        );
        let reported = Failure::Reported(Bytes::from_static(b"{}"));
        assert_eq!(tail(&[b"one\n"], Some(&reported)).await, format!("{start}one\n{end}\n"));
    }

    #[tokio::test(start_paused = true)]
    async fn is_the_last_4_kb() {
        let mut log = String::new();
        for number in 0..2_000 {
            log += &format!("line {number}\n");
        }
        let tail = tail(&[log.as_bytes()], None).await;
        assert_eq!(tail.len(), 4_096);
        let (lines, end) = tail.split_once("END RequestId").unwrap();
        assert!(log.ends_with(lines), "{lines}");
        assert!(end.ends_with("Memory Size: 256 MB\n"), "{end}");
    }

    #[tokio::test(start_paused = true)]
    async fn no_character_is_cut_in_two() {
        for shift in 0..4 {
            let text = format!("{}{}", "x".repeat(shift), "😀".repeat(2_000));
            let tail = tail(&[text.as_bytes()], None).await;
            assert!((4_093..=4_096).contains(&tail.len()), "{}", tail.len());
        }
    }

    proptest! {
        #[test]
        fn in_whatever_parts_it_is_written_the_tail_is_the_same(
            parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..3_000), 0..8),
        ) {
            let (mut piecemeal, mut whole) = (InvocationLog::begin(), InvocationLog::begin());
            for part in &parts {
                piecemeal.push(part);
                prop_assert!(piecemeal.output.len() <= 2 * LONGEST);
            }
            whole.push(&parts.concat());
            let kept = |log: InvocationLog| log.output[log.output.len().saturating_sub(LONGEST)..].to_vec();
            prop_assert_eq!(kept(piecemeal), kept(whole));
        }
    }
}

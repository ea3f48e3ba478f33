//! A function's stdout and stderr, line by line into the log.
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// A longer line is cut; the rest of it is read but not kept.
const LONGEST_LINE_BYTES: usize = 64 * 1024;

/// The invocation that lines belong to: the latest one that the process was given. A line written just before an
/// answer may be read after it, so the id stays until the next invocation.
#[derive(Debug, Clone, Default)]
pub struct CurrentRequest(Arc<Mutex<Option<String>>>);

impl CurrentRequest {
    pub fn set(&self, request_id: &str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(request_id.to_owned());
    }

    fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Reads until the pipe closes, whatever comes, so that a full pipe never blocks the function.
pub async fn forward(pipe: impl AsyncRead + Unpin, stream: &'static str, function: String, request: CurrentRequest) {
    read_lines(pipe, |line| {
        let request_id = request.get();
        tracing::info!(target: "pelton::function", function, request_id, stream, "{line}");
    })
    .await;
}

async fn read_lines(mut pipe: impl AsyncRead + Unpin, mut emit: impl FnMut(&str)) {
    let mut chunk = vec![0; 16 * 1024];
    let mut line = Line::default();
    // An error ends the stream just as its end does: there is nobody to write any more.
    while let Ok(length @ 1..) = pipe.read(&mut chunk).await {
        for part in chunk[..length].split_inclusive(|byte| *byte == b'\n') {
            match part.strip_suffix(b"\n") {
                Some(end) => {
                    line.extend(end);
                    line.emit(&mut emit);
                }
                None => line.extend(part),
            }
        }
    }
    line.emit(&mut emit);
}

#[derive(Default)]
struct Line {
    bytes: Vec<u8>,
    cut: usize,
}

impl Line {
    fn extend(&mut self, part: &[u8]) {
        let kept = part.len().min(LONGEST_LINE_BYTES - self.bytes.len());
        self.bytes.extend_from_slice(&part[..kept]);
        self.cut += part.len() - kept;
    }

    fn emit(&mut self, emit: &mut impl FnMut(&str)) {
        let text = String::from_utf8_lossy(&self.bytes);
        let text = text.strip_suffix('\r').unwrap_or(&text);
        match self.cut {
            0 if text.is_empty() => {}
            0 => emit(text),
            cut => emit(&format!("{text}… ({cut} bytes more)")),
        }
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    async fn lines(bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        read_lines(bytes, |line| lines.push(line.to_owned())).await;
        lines
    }

    #[tokio::test]
    async fn splits_lines_and_keeps_the_last_one_without_a_newline() {
        assert_eq!(lines(b"one\r\n\ntwo\nthree").await, ["one", "two", "three"]);
    }

    #[tokio::test]
    async fn replaces_what_is_not_utf8() {
        assert_eq!(lines(b"a\xff\xfeb\n").await, ["a\u{fffd}\u{fffd}b"]);
    }

    #[tokio::test]
    async fn cuts_a_line_that_is_too_long() {
        let mut bytes = vec![b'x'; LONGEST_LINE_BYTES + 5];
        bytes.extend_from_slice(b"\nnext\n");
        let lines = lines(&bytes).await;
        assert!(lines[0].ends_with("x… (5 bytes more)"), "{}", &lines[0][LONGEST_LINE_BYTES - 5..]);
        assert_eq!(lines[1], "next");
    }

    proptest! {
        #[test]
        fn any_bytes_give_lines_without_newlines(bytes in proptest::collection::vec(any::<u8>(), 0..500)) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            for line in runtime.block_on(lines(&bytes)) {
                prop_assert!(!line.contains('\n'));
            }
        }
    }
}

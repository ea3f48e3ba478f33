//! A function's stdout and stderr: line by line into the log, and into the log of the invocation that asks for it.
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::net::unix::pipe;

use super::failure::Failure;
use super::log_tail::InvocationLog;

/// A longer line is cut; the rest of it is read but not kept.
const LONGEST_LINE_BYTES: usize = 64 * 1024;
const CHUNK_BYTES: usize = 16 * 1024;
/// The most that a pipe holds (`/proc/sys/fs/pipe-max-size`), so that a process that never stops writing can't keep
/// anybody busy for ever.
const LARGEST_PIPE_BYTES: usize = 1024 * 1024;

/// What one process writes. A process writes before it answers, but the pipe may be read after the answer. So whoever
/// begins or ends an invocation reads first what the pipes hold: every line then belongs to its own invocation.
#[derive(Debug)]
pub struct Output {
    function: String,
    current: Arc<Mutex<Current>>,
    streams: Vec<Arc<Stream>>,
}

/// The invocation that lines belong to: the latest one that the process was given. What a process writes afterwards
/// still carries its id, until the next one.
#[derive(Debug, Default)]
struct Current {
    request_id: Option<String>,
    log: Option<InvocationLog>,
}

/// One pipe.
#[derive(Debug)]
pub struct Stream {
    name: &'static str,
    function: String,
    pipe: pipe::Receiver,
    current: Arc<Mutex<Current>>,
    /// Locked from a read to the end of its lines, which keeps them in order.
    line: Mutex<Line>,
}

impl Output {
    /// Of a process that isn't there yet.
    pub fn new(function: &str) -> Self {
        Self { function: function.to_owned(), current: Arc::default(), streams: Vec::new() }
    }

    /// Takes a pipe of a new process. Somebody has to [`Stream::forward`] it.
    pub fn attach(&mut self, name: &'static str, pipe: OwnedFd) -> io::Result<Arc<Stream>> {
        let stream = Arc::new(Stream {
            name,
            function: self.function.clone(),
            pipe: pipe::Receiver::from_owned_fd(pipe)?,
            current: Arc::clone(&self.current),
            line: Mutex::default(),
        });
        self.streams.push(Arc::clone(&stream));
        Ok(stream)
    }

    /// Forgets the pipes of a process that is gone.
    pub fn detach(&mut self) {
        self.streams.clear();
    }

    /// What is written from now on belongs to this invocation.
    pub fn begin(&self, request_id: &str, wants_log: bool) {
        self.catch_up();
        let log = wants_log.then(InvocationLog::begin);
        *lock(&self.current) = Current { request_id: Some(request_id.to_owned()), log };
    }

    /// The tail of the current invocation's log, if it was wanted. What is written later is no part of it.
    pub fn end(&self, memory_size_megabytes: u32, failure: Option<&Failure>) -> Option<Bytes> {
        // Nothing to catch up with for those who don't ask.
        lock(&self.current).log.as_ref()?;
        self.catch_up();
        let mut current = lock(&self.current);
        let log = current.log.take()?;
        Some(log.end(current.request_id.as_deref().unwrap_or_default(), memory_size_megabytes, failure))
    }

    fn catch_up(&self) {
        for stream in &self.streams {
            stream.catch_up();
        }
    }
}

impl Stream {
    /// Reads until the pipe closes, whatever comes, so that a full pipe never blocks the function.
    pub async fn forward(&self) {
        let mut chunk = vec![0; CHUNK_BYTES];
        // An error ends the stream just as its end does: there is nobody to write any more.
        while self.pipe.readable().await.is_ok() {
            let mut line = lock(&self.line);
            match self.pipe.try_read(&mut chunk) {
                Ok(length @ 1..) => self.take(&mut line, &chunk[..length]),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Ok(_) | Err(_) => break,
            }
        }
        lock(&self.line).end(&mut |text| self.emit(text));
    }

    /// Reads what the pipe holds at this moment, and waits for nothing.
    fn catch_up(&self) {
        let mut line = lock(&self.line);
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut read = 0;
        while read < LARGEST_PIPE_BYTES {
            // Not `try_read`: it may not have heard yet that there is something.
            match rustix::io::read(&self.pipe, &mut chunk) {
                Ok(length @ 1..) => {
                    read += length;
                    self.take(&mut line, &chunk[..length]);
                }
                Err(rustix::io::Errno::INTR) => {}
                // Empty; or at its end, which the other reader sees as well.
                Ok(_) | Err(_) => return,
            }
        }
    }

    fn take(&self, line: &mut Line, bytes: &[u8]) {
        if let Some(log) = &mut lock(&self.current).log {
            log.push(bytes);
        }
        line.feed(bytes, &mut |text| self.emit(text));
    }

    fn emit(&self, line: &str) {
        let request_id = lock(&self.current).request_id.clone();
        let (function, stream) = (&self.function, self.name);
        tracing::info!(target: "pelton::function", function, request_id, stream, "{line}");
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A line that isn't complete.
#[derive(Debug, Default)]
struct Line {
    bytes: Vec<u8>,
    cut: usize,
}

impl Line {
    fn feed(&mut self, bytes: &[u8], emit: &mut impl FnMut(&str)) {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            match part.strip_suffix(b"\n") {
                Some(end) => {
                    self.extend(end);
                    self.end(emit);
                }
                None => self.extend(part),
            }
        }
    }

    fn extend(&mut self, part: &[u8]) {
        let kept = part.len().min(LONGEST_LINE_BYTES - self.bytes.len());
        self.bytes.extend_from_slice(&part[..kept]);
        self.cut += part.len() - kept;
    }

    fn end(&mut self, emit: &mut impl FnMut(&str)) {
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
    use std::io::Write as _;

    use super::*;
    use proptest::prelude::*;

    fn lines(bytes: &[u8]) -> Vec<String> {
        lines_of(&[bytes])
    }

    fn lines_of(parts: &[&[u8]]) -> Vec<String> {
        let (mut line, mut lines) = (Line::default(), Vec::new());
        for part in parts {
            line.feed(part, &mut |text| lines.push(text.to_owned()));
        }
        line.end(&mut |text| lines.push(text.to_owned()));
        lines
    }

    #[test]
    fn splits_lines_and_keeps_the_last_one_without_a_newline() {
        assert_eq!(lines(b"one\r\n\ntwo\nthree"), ["one", "two", "three"]);
    }

    #[test]
    fn replaces_what_is_not_utf8() {
        assert_eq!(lines(b"a\xff\xfeb\n"), ["a\u{fffd}\u{fffd}b"]);
    }

    #[test]
    fn cuts_a_line_that_is_too_long() {
        let mut bytes = vec![b'x'; LONGEST_LINE_BYTES + 5];
        bytes.extend_from_slice(b"\nnext\n");
        let lines = lines(&bytes);
        assert!(lines[0].ends_with("x… (5 bytes more)"), "{}", &lines[0][LONGEST_LINE_BYTES - 5..]);
        assert_eq!(lines[1], "next");
    }

    /// A pipe that nobody reads but who begins or ends an invocation.
    fn output() -> (io::PipeWriter, Output) {
        let (reader, writer) = io::pipe().unwrap();
        let mut output = Output::new("work");
        output.attach("stdout", reader.into()).unwrap();
        (writer, output)
    }

    fn tail(output: &Output) -> String {
        let tail = String::from_utf8(output.end(128, None).unwrap().to_vec()).unwrap();
        let (_, rest) = tail.split_once('\n').unwrap();
        rest.split_once("END ").unwrap().0.to_owned()
    }

    #[tokio::test]
    async fn what_is_written_before_the_end_is_in_the_log_though_nobody_has_read_it() {
        let (mut writer, output) = output();
        output.begin("1", true);
        // As much as a pipe holds.
        writer.write_all(&[b'x'; 60_000]).unwrap();
        writer.write_all(b"\nlast").unwrap();
        assert_eq!(tail(&output), "last\n", "the x are the rest of a line");
        assert_eq!(output.end(128, None), None, "it is told once");
    }

    #[tokio::test]
    async fn what_is_written_before_the_beginning_is_not_in_the_log() {
        let (mut writer, output) = output();
        output.begin("1", false);
        writer.write_all(b"of the first\n").unwrap();
        assert_eq!(output.end(128, None), None, "it wasn't wanted");
        output.begin("2", true);
        writer.write_all(b"of the second\n").unwrap();
        assert_eq!(tail(&output), "of the second\n");
        writer.write_all(b"late\n").unwrap();
        output.begin("3", true);
        assert_eq!(tail(&output), "");
    }

    #[tokio::test]
    async fn a_pipe_that_is_closed_is_no_trouble() {
        let (mut writer, mut output) = output();
        output.begin("1", true);
        writer.write_all(b"last words").unwrap();
        drop(writer);
        assert_eq!(tail(&output), "last words\n");
        output.detach();
        output.begin("2", true);
        assert_eq!(tail(&output), "");
    }

    proptest! {
        #[test]
        fn any_bytes_give_the_same_lines_in_whatever_parts_they_come(
            bytes in proptest::collection::vec(any::<u8>(), 0..500),
            cut in 0..500usize,
        ) {
            let lines = lines(&bytes);
            let (start, end) = bytes.split_at(cut.min(bytes.len()));
            prop_assert_eq!(lines_of(&[start, end]), lines.clone());
            for line in lines {
                prop_assert!(!line.contains('\n'));
            }
        }
    }
}

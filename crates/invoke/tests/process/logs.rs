//! What a function prints goes to the log.
use std::io;
use std::sync::{Arc, Mutex, Once};

use serde_json::Value;
use tracing_subscriber::fmt::MakeWriter;

use crate::support::{Code, eventually, invoke};

/// Keeps log lines as JSON. Tests run on one thread each, which is where the subscriber listens.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn listen(&self) -> tracing::subscriber::DefaultGuard {
        // Without one for all threads, a thread on which nobody listens can switch a line off for those on which
        // somebody does (tracing asks the current thread only while it knows of a single subscriber).
        static EVERYWHERE: Once = Once::new();
        EVERYWHERE.call_once(|| tracing::subscriber::set_global_default(tracing_subscriber::registry()).unwrap());
        let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_writer(self.clone()).finish();
        tracing::subscriber::set_default(subscriber)
    }

    /// The lines that the function printed.
    fn lines(&self) -> Vec<Value> {
        let bytes = self.0.lock().unwrap().clone();
        String::from_utf8(bytes)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .filter(|line: &Value| line["target"] == "pelton::function")
            .collect()
    }

    fn line(&self, message: &str) -> Option<Value> {
        self.lines().into_iter().find(|line| line["message"] == message)
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn lines_carry_function_and_request() {
    let log = Log::default();
    let _listening = log.listen();
    let code = Code::python(
        r#"
import logging, sys
print("loading")

def handler(event, context):
    print("to stdout " + event)
    print("to stderr " + event, file=sys.stderr)
    logging.getLogger().warning("logged " + event)
    if event == "two":
        sys.stdout.write("no newline at the end")
"#,
    );
    let function = code.start().await;
    for event in ["one", "two"] {
        let request_id = invoke(&function, format!("\"{event}\"")).await.request_id;
        for (text, stream) in [("to stdout", "stdout"), ("to stderr", "stderr")] {
            let message = format!("{text} {event}");
            eventually("the line is in the log", || log.line(&message).is_some()).await;
            let line = log.line(&message).unwrap();
            assert_eq!((&line["function"], &line["stream"]), (&"work".into(), &stream.into()));
            assert_eq!(line["request_id"], request_id.as_str());
        }
        let logged = format!("\t{request_id}\tlogged {event}");
        eventually("the logger's line is there", || {
            log.lines().iter().any(|line| line["message"].as_str().unwrap().ends_with(&logged))
        })
        .await;
    }
    let loading = log.line("loading").unwrap();
    assert_eq!(loading.get("request_id"), None, "printed outside of invocations");
    function.shutdown(crate::support::PATIENCE).await;
    assert!(log.line("no newline at the end").is_some(), "the last words are not lost");
}

#[tokio::test]
async fn garbage_on_stdout_is_only_log() {
    let log = Log::default();
    let _listening = log.listen();
    let code = Code::python(
        r#"
import os

def handler(event, context):
    os.write(1, b"HTTP/1.1 200 OK\r\n\r\n{\"statusCode\": 500}\n\xff\xfe\x00\n")
    os.write(2, b"y" * 3_000_000 + b"\n")
    return "fine"
"#,
    );
    let function = code.start().await;
    let response = invoke(&function, "{}").await;
    assert_eq!((response.function_error, &response.payload[..]), (None, &b"\"fine\""[..]));
    eventually("invalid UTF-8 is replaced", || log.line("\u{fffd}\u{fffd}\0").is_some()).await;
    eventually("a long line is cut", || {
        log.lines().iter().any(|line| line["message"].as_str().unwrap().ends_with("y… (2934464 bytes more)"))
    })
    .await;
}

#[tokio::test]
async fn much_output_blocks_nothing() {
    let code = Code::python(
        "def handler(event, context):\n    for i in range(100_000):\n        print('line', i)\n    return 'done'\n",
    );
    assert_eq!(&invoke(&code.start().await, "{}").await.payload[..], b"\"done\"");
}

#[tokio::test]
async fn a_traceback_is_logged() {
    let log = Log::default();
    let _listening = log.listen();
    let code = Code::python("def handler(event, context):\n    raise ValueError('no stock')\n");
    invoke(&code.start().await, "{}").await;
    eventually("the error is in the log", || log.line("[ERROR] ValueError: no stock").is_some()).await;
    eventually("its place is in the log", || log.line("    raise ValueError('no stock')").is_some()).await;
}

//! The log of one invocation, for who asks for it.
use std::time::Duration;

use bytes::Bytes;
use pelton_core::{Call, Response};

use crate::support::{Code, Started, try_call};

const PRINTS: &str = r#"
import sys, threading, time
print("loading")

def handler(event, context):
    for text in event.get("out", []):
        print(text)
    for text in event.get("err", []):
        print(text, file=sys.stderr)
    if "lines" in event:
        for number in range(event["lines"]):
            print("line", number)
    if "fail" in event:
        raise ValueError(event["fail"])
    if "exit" in event:
        sys.stdout.write("last words")
        sys.exit(event["exit"])
    if "sleep" in event:
        time.sleep(event["sleep"])
    return 1
"#;

async fn with_log(function: &Started, event: impl Into<Bytes>) -> Response {
    try_call(function, Call { wants_log: true, ..Call::with(event.into()) }).await.unwrap()
}

/// The lines of the tail, the figures of the last replaced by `#`.
fn lines(response: &Response) -> Vec<String> {
    let tail = String::from_utf8(response.log_tail.clone().unwrap().to_vec()).unwrap();
    assert!(tail.len() <= 4_096 && tail.ends_with('\n'), "{tail}");
    let mut lines: Vec<String> = tail.lines().map(|line| line.replace(&response.request_id, "ID")).collect();
    let report = lines.pop().unwrap();
    let figure = |field: &str| -> f64 {
        let (_, rest) = report.split_once(field).unwrap();
        rest.split_once(" ms").unwrap().0.parse().unwrap()
    };
    let (duration, billed) = (figure("\tDuration: "), figure("\tBilled Duration: "));
    assert!(duration > 0.0 && billed >= duration && billed < duration + 1.1, "{report}");
    lines.push(report.replace(&format!("{duration:.2} ms"), "# ms").replace(&format!("{billed} ms"), "# ms"));
    lines
}

const START: &str = "START RequestId: ID Version: $LATEST";
const END: &str = "END RequestId: ID";
const REPORT: &str = "REPORT RequestId: ID\tDuration: # ms\tBilled Duration: # ms\tMemory Size: 256 MB";

#[tokio::test]
async fn holds_what_the_invocation_wrote_and_lambdas_lines() {
    let function = Code::python(PRINTS).start().await;
    let response = with_log(&function, r#"{"out":["größe","two"]}"#).await;
    assert_eq!(lines(&response), [START, "größe", "two", END, REPORT]);
    assert_eq!(lines(&with_log(&function, r#"{"err":["to stderr"]}"#).await), [START, "to stderr", END, REPORT]);
    assert_eq!(lines(&with_log(&function, "{}").await), [START, END, REPORT]);
}

#[tokio::test]
async fn only_who_asks_gets_it() {
    let function = Code::python(PRINTS).start().await;
    let response = try_call(&function, Call::with(Bytes::from_static(b"{\"out\":[\"one\"]}"))).await.unwrap();
    assert_eq!(response.log_tail, None);
    assert_eq!(lines(&with_log(&function, "{}").await), [START, END, REPORT], "nothing of the one before");
}

/// With the pipes still full of it when the next one begins.
#[tokio::test]
async fn no_invocation_sees_anothers_log() {
    let function = Code::python(PRINTS).with(|settings| settings.concurrency = 2).start().await;
    let rounds = |name: &'static str| {
        let function = &function;
        async move {
            for round in 0..40 {
                let (one, two) = (format!("{name} {round} a"), format!("{name} {round} b"));
                if round % 3 == 1 {
                    let event = format!("{{\"out\":[\"unasked {name} {round}\"],\"lines\":2000}}");
                    assert_eq!(try_call(function, Call::with(event.into())).await.unwrap().log_tail, None);
                }
                let event = format!("{{\"out\":[\"{one}\",\"{two}\"]}}");
                assert_eq!(lines(&with_log(function, event).await), [START, &one, &two, END, REPORT]);
            }
        }
    };
    tokio::join!(rounds("x"), rounds("y"));
}

#[tokio::test]
async fn is_the_last_4_kb() {
    let function = Code::python(PRINTS).start().await;
    let response = with_log(&function, r#"{"lines":100000}"#).await;
    assert_eq!(response.log_tail.as_ref().map(Bytes::len), Some(4_096));
    let lines = lines(&response);
    assert_eq!(lines[lines.len() - 3..], ["line 99999", END, REPORT]);
    for (line, number) in lines[1..lines.len() - 2].iter().rev().zip((0..100_000).rev()) {
        assert_eq!(*line, format!("line {number}"));
    }
}

#[tokio::test]
async fn says_how_an_invocation_failed() {
    let function = Code::python(PRINTS).timeout(Duration::from_secs(2)).start().await;
    let failed = lines(&with_log(&function, r#"{"fail":"no stock"}"#).await);
    assert_eq!(failed[..2], [START, "[ERROR] ValueError: no stock"]);
    assert!(failed.contains(&"    raise ValueError(event[\"fail\"])".to_owned()), "{failed:?}");
    assert_eq!(failed[failed.len() - 2..], [END, REPORT]);

    let exited = lines(&with_log(&function, r#"{"exit":3}"#).await);
    let error = "RequestId: ID Error: Runtime exited with error: exit status 3";
    let report = format!("{REPORT}\tStatus: error\tError Type: Runtime.ExitError");
    assert_eq!(exited, [START, "last words", error, "Runtime.ExitError", END, &report]);

    let late = lines(&with_log(&function, r#"{"out":["asleep"],"sleep":600}"#).await);
    let error = "RequestId: ID Error: Task timed out after 2.00 seconds";
    assert_eq!(late, [START, "asleep", error, END, &format!("{REPORT}\tStatus: timeout")]);
}

#[tokio::test]
async fn a_node_function_has_one_too() {
    let text =
        "exports.handler = async () => { console.log('one'); console.error('two'); process.stdout.write('three') }";
    let function = Code::new("nodejs20.x", "index.js", text, "index.handler").start().await;
    for _ in 0..20 {
        let mut lines = lines(&with_log(&function, "{}").await);
        assert_eq!(
            (lines.remove(0), lines.pop().unwrap(), lines.pop().unwrap()),
            (START.into(), REPORT.into(), END.into())
        );
        let text = lines.concat();
        assert!(text.contains("one") && text.contains("two") && text.contains("three"), "{lines:?}");
    }
}

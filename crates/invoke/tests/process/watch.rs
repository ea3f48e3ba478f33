//! Processes follow their code.
use std::time::Duration;

use serde_json::json;

use crate::support::{Code, eventually, json as parse, result, until};

const ONE: &str = "def handler(event, context):\n    return 1\n";
const TWO: &str = "def handler(event, context):\n    return 2\n";

#[tokio::test]
async fn an_idle_process_is_restarted_when_its_code_changes() {
    let code = Code::python(ONE).with(|settings| settings.watch = true);
    let function = code.start().await;
    assert_eq!(result(&function, "{}").await, 1);
    code.write("app.py", TWO);
    until(&function, "the process is restarted", |status| status.restarts >= 1 && status.running == 1).await;
    assert_eq!(result(&function, "{}").await, 2);
    assert_eq!(function.status().restarts, 1, "a burst of events is one restart");
}

#[tokio::test]
async fn a_busy_process_ends_its_invocation_first() {
    let slow =
        |answer| format!("import time\ndef handler(event, context):\n    time.sleep(event)\n    return {answer}\n");
    let code = Code::python(&slow(1)).with(|settings| settings.watch = true);
    let function = code.start().await;
    result(&function, "0").await;
    let (answer, ()) = tokio::join!(result(&function, "2"), async {
        until(&function, "the invocation runs", |status| status.busy == 1).await;
        code.write("app.py", &slow(2));
    });
    assert_eq!(answer, 1);
    until(&function, "the process is restarted", |status| status.restarts == 1).await;
    assert_eq!(result(&function, "0").await, 2);
}

#[tokio::test]
async fn code_that_is_repaired_is_taken_up() {
    let code = Code::python("def handler(:\n").with(|settings| settings.watch = true);
    let function = code.start().await;
    // Until the pauses between starts are long.
    until(&function, "it fails several times", |status| status.restarts >= 4).await;
    code.write("app.py", ONE);
    let mut answer = json!(null);
    for _ in 0..10 {
        let response = crate::support::invoke(&function, "{}").await;
        answer = parse(&response);
        if response.function_error.is_none() {
            break;
        }
    }
    assert_eq!(answer, 1);
}

#[tokio::test]
async fn unwatched_code_changes_nothing() {
    let code = Code::python(ONE);
    let function = code.start().await;
    assert_eq!(result(&function, "{}").await, 1);
    code.write("app.py", TWO);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(result(&function, "{}").await, 1);
    assert_eq!(function.status().restarts, 0);
}

#[tokio::test]
async fn a_folder_that_is_replaced_is_followed() {
    let code = Code::new("python3", "build/app.py", ONE, "app.handler").with(|settings| {
        settings.watch = true;
        if let pelton_invoke::Launch::Runtime { code_uri, .. } = &mut settings.launch {
            *code_uri = "build".into();
        }
    });
    let function = code.start().await;
    assert_eq!(result(&function, "{}").await, 1);
    std::fs::remove_dir_all(code.path().join("build")).unwrap();
    code.write("build/app.py", TWO);
    until(&function, "the process is restarted", |status| status.restarts >= 1).await;
    eventually("it is up", || function.status().running == 1).await;
    assert_eq!(result(&function, "{}").await, 2);
}

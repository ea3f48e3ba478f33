//! Processes that crash, hang, and come and go.
use std::sync::Arc;
use std::time::Duration;

use pelton_core::{ErrorKind, FunctionName, Invoker};
use pelton_invoke::{Launch, ProcessFunction, StartError};
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::support::{Code, PATIENCE, error, eventually, invoke, is_alive, json as parse, result, try_invoke, until};

/// Does what the event says, and tells which process it is.
const OBEDIENT: &str = r#"
import os, signal, subprocess, sys, time

def handler(event, context):
    if "exit" in event:
        os._exit(event["exit"])
    if "signal" in event:
        os.kill(os.getpid(), event["signal"])
    if "raise_exit" in event:
        sys.exit(event["raise_exit"])
    if "spin" in event:
        while True:
            pass
    if "sleep" in event:
        time.sleep(event["sleep"])
    if "meet" in event:
        open("met-%d" % os.getpid(), "w").close()
        while len([name for name in os.listdir() if name.startswith("met-")]) < event["meet"]:
            time.sleep(0.01)
    if "child" in event:
        return [os.getpid(), subprocess.Popen(["sh", "-c", "sleep 600 & echo $!; wait"], stdout=subprocess.PIPE).stdout.readline().decode().strip()]
    return os.getpid()
"#;

#[tokio::test]
async fn a_process_that_ends_in_mid_invocation_is_a_function_error_and_is_replaced() {
    let function = Code::python(OBEDIENT).start().await;
    let mut process = result(&function, "{}").await;
    for (event, reason) in [
        (r#"{"exit":1}"#, "Runtime exited with error: exit status 1"),
        (r#"{"exit":0}"#, "Runtime exited without providing a reason"),
        (r#"{"signal":9}"#, "Runtime exited with error: signal: killed"),
        (r#"{"raise_exit":7}"#, "Runtime exited with error: exit status 7"),
    ] {
        let start = Instant::now();
        let response = invoke(&function, event).await;
        assert_eq!(response.function_error.as_deref(), Some("Unhandled"));
        assert_eq!(
            parse(&response),
            json!({
                "errorType": "Runtime.ExitError",
                "errorMessage": format!("RequestId: {} Error: {reason}", response.request_id),
            })
        );
        assert!(start.elapsed() < Duration::from_secs(10), "a crash is noticed when it happens");
        let next = result(&function, "{}").await;
        assert_ne!(next, process, "a new process");
        process = next;
    }
    assert_eq!(function.status().restarts, 4);
}

#[tokio::test]
async fn a_process_that_hangs_is_killed_and_replaced() {
    for event in [r#"{"sleep":600}"#, r#"{"spin":true}"#] {
        let function = Code::python(OBEDIENT).timeout(Duration::from_secs(1)).start().await;
        let process = result(&function, "{}").await;
        let start = Instant::now();
        let response = invoke(&function, event).await;
        assert!(start.elapsed() >= Duration::from_secs(1), "{:?}", start.elapsed());
        assert_eq!(response.function_error.as_deref(), Some("Unhandled"));
        assert_eq!(
            parse(&response),
            json!({
                "errorType": "Sandbox.Timedout",
                "errorMessage": format!("RequestId: {} Error: Task timed out after 1.00 seconds", response.request_id),
            })
        );
        assert_ne!(result(&function, "{}").await, process);
        assert!(!is_alive(&process));
    }
}

#[tokio::test]
async fn invocations_run_at_the_same_time_on_as_many_processes_as_configured() {
    let code = Code::python(OBEDIENT).with(|settings| settings.concurrency = 3);
    let function = code.start().await;
    // Each waits for the others, so they end only if they run at the same time.
    let meet = r#"{"meet":3}"#;
    let (first, second, third) =
        tokio::join!(result(&function, meet), result(&function, meet), result(&function, meet));
    assert!(first != second && second != third && first != third, "each on a process of its own");
}

#[tokio::test]
async fn a_caller_without_a_slot_waits_for_a_process() {
    let code = Code::python(OBEDIENT).with(|settings| settings.concurrency = 2);
    let function = Arc::new(code.start().await);
    assert_eq!(function.slots().available_permits(), 2);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let function = Arc::clone(&function);
        calls.spawn(async move { result(&function, r#"{"sleep":0.05}"#).await });
    }
    let processes: std::collections::BTreeSet<_> = calls.join_all().await.iter().map(ToString::to_string).collect();
    assert_eq!(processes.len(), 2, "both processes work");
    assert_eq!(function.slots().available_permits(), 2, "the slots are the caller's");
}

#[tokio::test]
async fn a_function_that_never_starts_is_started_more_and_more_slowly() {
    let code = Code::python("import os\nwith open('starts', 'a') as starts:\n    starts.write('x')\nos._exit(5)\n");
    let function = code.start().await;
    let starts = || std::fs::read(code.path().join("starts")).unwrap_or_default().len();
    eventually("it is started again", || starts() >= 3).await;
    let (before, start) = (starts(), Instant::now());
    eventually("it is started again and again", || starts() >= before + 3).await;
    // Without pauses, three starts take three times the start of an interpreter, well below this.
    assert!(start.elapsed() >= Duration::from_millis(400), "three more starts within {:?}", start.elapsed());
    assert!(function.status().restarts >= 5);
    let problem = error(&function, "{}").await;
    assert_eq!(problem["errorType"], "Runtime.ExitError");
}

#[tokio::test]
async fn a_function_that_crashes_now_and_then_is_replaced_at_once() {
    let function = Code::python(OBEDIENT).start().await;
    for _ in 0..3 {
        error(&function, r#"{"exit":1}"#).await;
        let start = Instant::now();
        result(&function, "{}").await;
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    }
}

#[tokio::test]
async fn without_a_process_an_invocation_ends_with_an_error_that_says_why() {
    let code = Code::command(&["./run.sh"]).timeout(Duration::from_secs(1));
    code.write("run.sh", "#!/bin/sh\nexit 1\n");
    std::fs::set_permissions(code.path().join("run.sh"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let function = code.start().await;
    // Built anew, and not there for a while: not the events' fault.
    std::fs::remove_file(code.path().join("run.sh")).unwrap();
    until(&function, "it can't be started", |status| {
        status.last_error.as_deref().is_some_and(|error| error.starts_with("could not be started"))
    })
    .await;
    let problem = try_invoke(&function, "{}").await.unwrap_err();
    assert_eq!(problem.kind, ErrorKind::Transient);
    assert!(problem.message.contains("no process took the invocation within 10 s (0 running)"), "{problem}");
    assert!(problem.message.contains("could not be started"), "{problem}");
}

#[tokio::test]
async fn an_initialisation_that_hangs_is_the_invocations_error() {
    let code = Code::python("import time\ntime.sleep(600)\n").timeout(Duration::from_secs(2));
    let function = code.start().await;
    let response = loop {
        match try_invoke(&function, "{}").await {
            Ok(response) => break response,
            Err(problem) => assert_eq!(problem.kind, ErrorKind::Transient),
        }
    };
    assert_eq!(parse(&response)["errorType"], "Sandbox.Timedout");
}

#[tokio::test]
async fn a_slow_initialisation_gets_the_functions_own_timeout_the_second_time() {
    let code = Code::python("import time\ntime.sleep(11)\ndef handler(event, context):\n    return 'up'\n");
    let function = code.start().await;
    assert_eq!(result(&function, "{}").await, "up");
    assert_eq!(function.status().restarts, 1);
}

#[tokio::test]
async fn nothing_is_left_after_a_shutdown() {
    let code = Code::python(OBEDIENT);
    let function = code.start().await;
    let processes = result(&function, r#"{"child":true}"#).await;
    let grandchild = json!(processes[1].as_str().unwrap().parse::<u32>().unwrap());
    assert!(is_alive(&processes[0]) && is_alive(&grandchild));
    function.shutdown(Duration::from_secs(10)).await;
    assert_eq!(function.status().running, 0);
    assert!(!is_alive(&processes[0]));
    eventually("the grandchild is gone", || !is_alive(&grandchild)).await;
    let refused = try_invoke(&function, "{}").await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Transient);
}

#[tokio::test]
async fn the_children_of_a_shell_go_with_it() {
    let code = Code::command(&["sh", "-c", "sleep 600 & echo $! > child; wait"]);
    let function = code.start().await;
    let mut child = String::new();
    eventually("the shell has a child", || {
        child = std::fs::read_to_string(code.path().join("child")).unwrap_or_default();
        child.ends_with('\n')
    })
    .await;
    let child = json!(child.trim().parse::<u32>().unwrap());
    assert!(is_alive(&child));
    drop(function);
    eventually("the shell's child is gone", || !is_alive(&child)).await;
}

#[tokio::test]
async fn a_shutdown_lets_the_invocation_end() {
    let function = Code::python(OBEDIENT).start().await;
    result(&function, "{}").await;
    let (answer, ()) = tokio::join!(result(&function, r#"{"sleep":1}"#), async {
        until(&function, "the invocation runs", |status| status.busy == 1).await;
        function.shutdown(PATIENCE).await;
    });
    assert!(answer.is_number());
}

#[tokio::test]
async fn a_shutdown_doesnt_wait_longer_than_its_grace() {
    let function = Code::python(OBEDIENT).start().await;
    let process = result(&function, "{}").await;
    let start = Instant::now();
    let (answer, ()) = tokio::join!(try_invoke(&function, r#"{"sleep":600}"#), async {
        until(&function, "the invocation runs", |status| status.busy == 1).await;
        function.shutdown(Duration::from_millis(300)).await;
    });
    assert_eq!(answer.unwrap_err().kind, ErrorKind::Transient);
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert!(!is_alive(&process));
}

#[tokio::test]
async fn a_cancellation_ends_everything_at_once() {
    let code = Code::python(OBEDIENT);
    let cancellation = CancellationToken::new();
    let function = code.start_until(cancellation.clone()).await;
    let process = result(&function, "{}").await;
    cancellation.cancel();
    eventually("the process is gone", || !is_alive(&process)).await;
}

#[tokio::test]
async fn an_idle_process_uses_no_time() {
    let function = Code::python(OBEDIENT).start().await;
    let process = result(&function, "{}").await;
    let ticks = || {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
        let fields: Vec<_> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    };
    let before = ticks();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(ticks() - before <= 1, "a process that waits for work does nothing");
}

#[tokio::test]
async fn what_can_not_be_started_is_refused() {
    let code = Code::python(OBEDIENT);
    let start = async |change: &dyn Fn(&mut pelton_invoke::ProcessSettings)| {
        let mut settings = code.settings.clone();
        change(&mut settings);
        ProcessFunction::start(settings, CancellationToken::new()).await.err().unwrap()
    };
    assert!(matches!(start(&|settings| settings.concurrency = 0).await, StartError::Setting { .. }));
    assert!(matches!(start(&|settings| settings.timeout = Duration::ZERO).await, StartError::Setting { .. }));
    assert!(matches!(start(&|settings| settings.timeout = Duration::from_secs(901)).await, StartError::Setting { .. }));
    assert!(matches!(start(&|settings| settings.account = Some("12".into())).await, StartError::Setting { .. }));
    assert!(matches!(
        start(&|settings| settings.working_directory = "/no/such".into()).await,
        StartError::Folder { .. }
    ));
    let program = start(&|settings| settings.launch = Launch::Command(vec!["no-such-program".into()])).await;
    assert!(matches!(program, StartError::Program { .. }));
}

#[tokio::test]
async fn however_its_name_is_qualified_it_is_the_same_processes() {
    let function = Code::python(OBEDIENT).start().await;
    let invoker: &dyn Invoker = &*function;
    for name in ["work", "work:live", "arn:aws:lambda:us-east-1:000000000000:function:work"] {
        let name: FunctionName = name.parse().unwrap();
        assert_eq!(invoker.invoke(&name, "{}".into()).await.unwrap().function_error, None);
        assert_eq!(invoker.slots(&name).unwrap().available_permits(), 1);
    }
    function.shutdown(PATIENCE).await;
    assert_eq!(function.status().running, 0);
}

//! Asynchronous invocations: what is accepted, and what reaches the function (spec 9).
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use pelton_core::ErrorKind;
use pelton_store::MemoryStore;
use pelton_testkit::{EventFault, FakeInvoker, Reply, eventually};
use serde_json::{Value, json};

use crate::invoke::{FUNCTIONS, constraint, refused};
use crate::support::{Answer, Api, LIMIT};

const EVENT: &str = "x-amz-invocation-type: Event\r\n";
const STEM: &str = "arn:aws:lambda:us-east-1:111111111111:function:";

async fn send(api: &Api, name: &str, headers: &str, body: &[u8]) -> Answer {
    api.raw("POST", &format!("{FUNCTIONS}/{name}"), &format!("{EVENT}{headers}"), body).await
}

fn is_accepted(answer: &Answer) -> String {
    assert_eq!((answer.status, answer.text().as_str()), (202, ""), "{answer:?}");
    assert_eq!(answer.header("x-amz-executed-version"), None);
    answer.header("x-amzn-requestid").expect("an id").to_owned()
}

#[tokio::test]
async fn an_event_reaches_its_function_as_it_came() {
    let api = Api::start().await;
    let local = Arc::new(FakeInvoker::scripted([]));
    api.world.add_local("work", &["live"], local.clone());
    for (name, function) in [("work:live", &local), ("other", &api.remote)] {
        let context = "eyJjdXN0b20iOnt9fQ==";
        let headers = format!("x-amz-client-context: {context}\r\nx-amzn-trace-id: Root=1-67a-9c;Lineage=1:a:3\r\n");
        let id = is_accepted(&send(&api, &format!("{name}/invocations"), &headers, b"{\"a\" :  1}").await);
        eventually("an invocation", LIMIT, async || !function.seen().is_empty()).await;
        let call = function.seen().pop().unwrap().call;
        assert_eq!(call.payload.as_ref(), b"{\"a\" :  1}");
        assert_eq!(call.request_id.map(|id| id.to_string()), Some(id));
        assert_eq!(call.client_context.as_deref(), Some(context));
        assert_eq!(call.trace_header.as_deref(), Some("Root=1-67a-9c;Lineage=1:a:4"));
    }
    eventually("nothing left", LIMIT, async || api.queue.is_empty()).await;
}

/// Events of one function wait in one line, whichever form its name had.
#[tokio::test]
async fn an_event_is_of_a_qualified_arn() {
    let api = Api::start().await;
    let refusing = || Arc::new(FakeInvoker::scripted(vec![Reply::Refuses(ErrorKind::Transient); 20]));
    api.world.add_local("work", &["live"], refusing());
    for (name, function) in [
        ("work", "work:$LATEST"),
        ("222222222222:function:work", "work:$LATEST"),
        ("work:$LATEST", "work:$LATEST"),
        ("arn:aws:lambda:us-east-1:111111111111:function:work:live", "work:live"),
    ] {
        let id = is_accepted(&send(&api, &format!("{name}/invocations"), "", b"").await);
        let (event, _) = api.queue.kept().into_iter().find(|(event, _)| event.id.to_string() == id).expect("it waits");
        assert_eq!((event.function.to_string(), event.payload.as_ref()), (format!("{STEM}{function}"), &b"{}"[..]));
    }
}

#[tokio::test]
async fn invoke_async_is_the_same_with_another_path() {
    let api = Api::start().await;
    for slash in ["", "/"] {
        let path = format!("/2014-11-13/functions/other/invoke-async{slash}");
        is_accepted(&api.raw("POST", &path, "", b"{\"n\":1}").await);
    }
    eventually("both", LIMIT, async || api.remote.seen().len() == 2).await;
    let (status, kind, _) = api.raw("POST", "/2014-11-13/functions/a%20b/invoke-async/", "", b"").await.error();
    assert_eq!((status, kind.as_str()), (400, "validationexception"));
    let (status, kind, body) = api.raw("POST", "/2014-11-13/functions/missing/invoke-async/", "", b"").await.error();
    assert_eq!((status, kind.as_str()), (404, "resourcenotfoundexception"));
    assert_eq!(body["Message"], format!("Function not found: {STEM}missing:$LATEST"));
}

#[tokio::test]
async fn a_function_that_is_not_there_gets_no_events() {
    let api = Api::start().await;
    api.world.add_local("work", &["live"], Arc::new(FakeInvoker::scripted([])));
    for (name, arn) in [
        ("missing", "missing:$LATEST"),
        ("missing:1", "missing:1"),
        ("other?Qualifier=missing", "other:missing"),
        ("work:2", "work:2"),
        ("no.such", "no.such:$LATEST"),
    ] {
        let (name, query) = name.split_once('?').unwrap_or((name, ""));
        let answer = send(&api, &format!("{name}/invocations?{query}"), "", b"not even json").await.error();
        let message = format!("Function not found: {STEM}{arn}");
        let expected = refused(404, "ResourceNotFoundException", json!({ "Type": "User", "Message": message }));
        assert_eq!(answer, expected);
    }
    let elsewhere = "arn:aws:lambda:eu-west-1:111111111111:function:other/invocations";
    let message = "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')";
    let expected = refused(404, "ResourceNotFoundException", json!({ "Type": "User", "Message": message }));
    assert_eq!(send(&api, elsewhere, "", b"{}").await.error(), expected);
    assert!(api.queue.is_empty());
}

/// One that is there isn't asked for each time; one that isn't is.
#[tokio::test]
async fn functions_that_are_there_are_known_for_some_seconds() {
    let api = Api::start().await;
    let asked = |name: &str| api.world.asked.lock().unwrap().iter().filter(|arn| arn.ends_with(name)).count();
    for _ in 0..3 {
        is_accepted(&send(&api, "other/invocations", "", b"{}").await);
        assert_eq!(send(&api, "missing/invocations", "", b"{}").await.status, 404);
    }
    assert_eq!((asked(":other"), asked(":missing")), (1, 3));
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(6)).await;
    tokio::time::resume();
    is_accepted(&send(&api, "other/invocations", "", b"{}").await);
    assert_eq!(asked(":other"), 2);
}

#[tokio::test]
async fn what_cannot_be_asked_for_or_kept_is_not_accepted() {
    let api = Api::start().await;
    let reason = format!("The function can't be looked for: {STEM}silent can't be asked for");
    let unavailable =
        |message: &str| refused(503, "ServiceException", json!({ "Type": "Service", "Message": message }));
    assert_eq!(send(&api, "silent/invocations", "", b"{}").await.error(), unavailable(&reason));
    api.queue.inject([EventFault::Add]);
    let reason = "The event could not be kept, because the queue of asynchronous invocations can't be reached or is too \
                  busy: invoke again.";
    assert_eq!(send(&api, "other/invocations", "", b"{}").await.error(), unavailable(reason));
    assert!(api.queue.is_empty());
    let documents = Ok(Arc::new(MemoryStore::new()) as Arc<_>);
    let without = Api::with("127.0.0.1:0", false, documents, Some("set State to a file."), None).await;
    let reason = "Pelton takes no asynchronous invocations, because it can't keep them: set State to a file.";
    assert_eq!(send(&without, "other/invocations", "", b"{}").await.error(), unavailable(reason));
}

#[tokio::test]
async fn events_have_their_own_limit() {
    let api = Api::start().await;
    let limit = 1_024 * 1_024;
    let text = |length: usize| format!("\"{}\"", "x".repeat(length - 2)).into_bytes();
    is_accepted(&send(&api, "other/invocations", "", &text(limit)).await);
    for path in [format!("{FUNCTIONS}/other/invocations"), "/2014-11-13/functions/other/invoke-async/".to_owned()] {
        let message = "1048577 byte payload is too large for the Event invocation type (limit 1048576 bytes)";
        let expected = refused(413, "RequestEntityTooLargeException", json!({ "Message": message }));
        assert_eq!(api.raw("POST", &path, EVENT, &text(limit + 1)).await.error(), expected);
    }
    let message = "Request must be smaller than 6291456 bytes for the InvokeFunction operation";
    let expected = refused(413, "RequestEntityTooLargeException", json!({ "Message": message }));
    assert_eq!(send(&api, "other/invocations", "", &text(6 * limit + 1)).await.error(), expected);
}

#[tokio::test]
async fn qualifiers_of_another_form_are_refused() {
    let api = Api::start().await;
    let pattern = r"\$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+";
    let rest = format!(
        "Value 'a b' at 'qualifier' failed to satisfy constraint: Member must satisfy regular expression pattern: {pattern}"
    );
    assert_eq!(send(&api, "other/invocations?Qualifier=a%20b", "", b"{}").await.error(), constraint(&rest));
    is_accepted(&send(&api, "other/invocations?Qualifier=", "", b"{}").await);
}

#[tokio::test]
async fn eight_hundred_at_once_are_all_executed_once() {
    let api = Api::start().await;
    let numbers = futures_util::stream::iter(0..800);
    let sending = numbers.map(async |number: u32| {
        is_accepted(&send(&api, "other/invocations", "", number.to_string().as_bytes()).await)
    });
    let ids: BTreeSet<String> = sending.buffer_unordered(800).collect().await;
    assert_eq!(ids.len(), 800);
    eventually("all", LIMIT, async || api.queue.is_empty()).await;
    let seen = api.remote.seen();
    let executed: BTreeSet<String> = seen.iter().map(|call| call.call.request_id.unwrap().to_string()).collect();
    let events: BTreeSet<u64> = seen.iter().filter_map(|call| Value::as_u64(&call.event)).collect();
    assert_eq!((seen.len(), executed), (800, ids));
    assert_eq!(events, (0..800).collect());
}

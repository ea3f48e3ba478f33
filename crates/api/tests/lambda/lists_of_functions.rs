//! `ListFunctions`: local functions and those of the upstream in one list.
use std::sync::Arc;

use pelton_testkit::FakeInvoker;
use serde_json::{Value, json};

use crate::support::Api;
use crate::upstream::Scripted;

const FUNCTIONS: &str = "/2015-03-31/functions";

async fn with_locals(names: &[&str]) -> Api {
    let api = Api::start().await;
    for name in names {
        api.world.add_local(name, &["live"], Arc::new(FakeInvoker::scripted([])));
    }
    api
}

fn page(names: &[&str], marker: Option<&str>) -> (u16, String) {
    let functions: Vec<Value> = names.iter().map(|name| json!({ "FunctionName": name, "Theirs": true })).collect();
    let mut page = json!({ "Functions": functions, "More": 1 });
    if let Some(marker) = marker {
        page["NextMarker"] = json!(marker);
    }
    (200, page.to_string())
}

/// The names of a page, those of the upstream in brackets, and its marker.
async fn list(api: &Api, query: &str) -> (Vec<String>, Option<String>) {
    let answer = api.ask("GET", &format!("{FUNCTIONS}{query}"), Value::Null).await;
    assert_eq!(answer.status, 200, "{query}: {answer:?}");
    let shown = answer.json();
    let name = |function: &Value| {
        let name = function["FunctionName"].as_str().unwrap();
        if function["Theirs"] == true { format!("({name})") } else { name.to_owned() }
    };
    let names = shown["Functions"].as_array().unwrap().iter().map(name).collect();
    (names, shown.get("NextMarker").map(|marker| marker.as_str().unwrap().to_owned()))
}

/// Follows the markers to the end.
async fn all(api: &Api, query: &str) -> Vec<Vec<String>> {
    let (mut pages, mut marker) = (Vec::new(), None::<String>);
    loop {
        let query = match &marker {
            None => query.to_owned(),
            Some(marker) => format!("{query}&Marker={}", marker.replace(':', "%3A").replace('/', "%2F")),
        };
        let (names, next) = list(api, &query).await;
        pages.push(names);
        match next {
            None => return pages,
            next => marker = next,
        }
    }
}

#[tokio::test]
async fn without_an_upstream_the_local_functions_are_all_there_is() {
    let api = with_locals(&["c", "a", "b"]).await;
    assert_eq!(list(&api, "").await, (vec!["a".into(), "b".into(), "c".into()], None));
    assert_eq!(list(&api, "/?MaxItems=3").await.1, None);
    assert_eq!(all(&api, "?MaxItems=2").await, [vec!["a", "b"], vec!["c"]]);
    assert_eq!(all(&api, "?MaxItems=1").await, [["a"], ["b"], ["c"]]);
    assert_eq!(list(&api, "?MasterRegion=ALL").await, (Vec::new(), None));
}

#[tokio::test]
async fn in_a_list_a_function_has_no_state() {
    let api = with_locals(&["a"]).await;
    let bare = "arn:aws:lambda:us-east-1:111111111111:function:a";
    for (query, arn) in [("", bare.to_owned()), ("?FunctionVersion=ALL", format!("{bare}:$LATEST"))] {
        let list = api.ask("GET", &format!("{FUNCTIONS}{query}"), Value::Null).await.json();
        let mut alone = api.ask("GET", &format!("{FUNCTIONS}/a/configuration"), Value::Null).await.json();
        let fields = alone.as_object_mut().unwrap();
        assert_eq!(
            (fields.remove("State"), fields.remove("LastUpdateStatus")),
            (Some("Active".into()), Some("Successful".into()))
        );
        alone["FunctionArn"] = json!(arn);
        assert_eq!(list, json!({ "Functions": [alone] }), "{query}");
    }
}

#[tokio::test]
async fn local_functions_come_first_and_the_upstreams_pages_follow_by_its_own_markers() {
    let api = with_locals(&["b", "a"]).await;
    let upstream = Scripted::of(
        &api,
        vec![
            page(&["x"], Some("arn:aws:lambda:us-east-1:1:function:x/y+")),
            page(&["y", "z"], Some("2")),
            page(&[], None),
        ],
    )
    .await;
    let pages = all(&api, "?FunctionVersion=ALL").await;
    assert_eq!(pages, [vec!["a", "b", "(x)"], vec!["(y)", "(z)"], vec![]]);
    assert_eq!(
        upstream.lines(),
        [
            "GET /2015-03-31/functions?FunctionVersion=ALL",
            "GET /2015-03-31/functions?FunctionVersion=ALL&Marker=arn%3Aaws%3Alambda%3Aus-east-1%3A1%3Afunction%3Ax%2Fy+",
            "GET /2015-03-31/functions?FunctionVersion=ALL&Marker=2",
        ]
    );
}

#[tokio::test]
async fn a_page_never_has_more_than_was_asked_for() {
    let api = with_locals(&["a", "b", "c"]).await;
    let upstream = Scripted::of(&api, vec![page(&["x"], Some("1")), page(&["y", "z"], None)]).await;
    let pages = all(&api, "?MaxItems=2").await;
    assert_eq!(pages, [vec!["a", "b"], vec!["c", "(x)"], vec!["(y)", "(z)"]]);
    let lines = ["GET /2015-03-31/functions?MaxItems=1", "GET /2015-03-31/functions?MaxItems=2&Marker=1"];
    assert_eq!(upstream.lines(), lines);

    let api = with_locals(&["a", "b"]).await;
    let upstream = Scripted::of(&api, vec![page(&["x", "y"], None)]).await;
    assert_eq!(
        all(&api, "?MaxItems=2").await,
        [["a", "b"], ["(x)", "(y)"]],
        "the upstream's begin on a page of their own"
    );
    assert_eq!(upstream.lines(), ["GET /2015-03-31/functions?MaxItems=2"]);
}

#[tokio::test]
async fn a_page_has_at_most_fifty_local_functions() {
    let names: Vec<String> = (0..120).map(|index| format!("f{index:03}")).collect();
    let api = with_locals(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let upstream = Scripted::of(&api, vec![page(&["x"], None), page(&["x"], None)]).await;
    for query in ["?MaxItems=10000", "?"] {
        let pages = all(&api, query).await;
        assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [50, 50, 21], "{query}");
        assert_eq!(pages.concat()[..120], names);
    }
    assert_eq!(upstream.lines(), ["GET /2015-03-31/functions?MaxItems=30", "GET /2015-03-31/functions"]);
}

/// A function that is removed between two pages takes no other with it.
#[tokio::test]
async fn a_marker_outlives_its_function() {
    let api = with_locals(&["a", "b", "c"]).await;
    let (_, marker) = list(&api, "?MaxItems=2").await;
    api.world.locals.lock().unwrap().retain(|local| local.name != "b");
    let query = format!("?MaxItems=2&Marker={}", marker.unwrap());
    assert_eq!(list(&api, &query).await, (vec!["c".into()], None));
}

#[tokio::test]
async fn what_a_local_function_hides_is_not_listed() {
    let api = with_locals(&["a"]).await;
    let _upstream = Scripted::of(&api, vec![page(&["a", "x"], Some("1")), page(&["y", "a"], None)]).await;
    assert_eq!(all(&api, "?").await, [vec!["a", "(x)"], vec!["(y)"]]);
}

#[tokio::test]
async fn the_upstreams_own_words_stay_and_its_errors_are_the_answer() {
    let api = with_locals(&["a"]).await;
    let refusal = json!({ "Message": "no" }).to_string();
    let upstream =
        Scripted::of(&api, vec![page(&[], None), (403, refusal.clone()), (200, "<html>".into()), (200, "{}".into())])
            .await;
    let answer = api.raw("GET", FUNCTIONS, "accept-encoding: gzip\r\nauthorization: AWS4 x\r\n", b"").await;
    assert_eq!(answer.json()["More"], 1);
    let asked = upstream.asked().remove(0).to_lowercase();
    assert!(asked.contains("authorization: aws4 x") && !asked.contains("accept-encoding"), "{asked}");
    let refused = api.ask("GET", FUNCTIONS, Value::Null).await;
    assert_eq!((refused.status, refused.header("x-amzn-errortype")), (403, Some("fromupstream")));
    assert_eq!(refused.text(), refusal);
    for reason in ["expected value", "it has no Functions."] {
        let (status, kind, body) = api.ask("GET", FUNCTIONS, Value::Null).await.error();
        assert_eq!((status, kind.as_str()), (502, "serviceexception"));
        let message = body["Message"].as_str().unwrap();
        assert!(
            message.contains("answers ListFunctions with what can't be read") && message.contains(reason),
            "{message}"
        );
    }
    *api.world.upstream.lock().unwrap() = Some("http://127.0.0.1:1".into());
    assert_eq!(
        api.ask("GET", FUNCTIONS, Value::Null).await.status,
        502,
        "half a list is not passed off as a whole one"
    );
}

#[tokio::test]
async fn without_local_functions_the_list_is_the_upstreams_alone() {
    let api = Api::start().await;
    let upstream = Scripted::of(&api, vec![(200, "anything".into())]).await;
    assert_eq!(api.ask("GET", &format!("{FUNCTIONS}/?MaxItems=x&&y"), Value::Null).await.text(), "anything");
    assert_eq!(upstream.lines(), ["GET /2015-03-31/functions/?MaxItems=x&&y"]);
}

//! Resource-based policies of local functions: their bodies, their words, and what they allow.
use std::sync::Arc;

use pelton_api::Policies;
use pelton_config::Principal;
use pelton_core::{Arn, Documents};
use pelton_store::{MemoryStore, SqliteStore};
use pelton_testkit::FakeInvoker;
use serde_json::{Value, json};
use tokio::sync::Barrier;

use crate::slow::Slow;
use crate::support::{Answer, Api, with};
use crate::upstream::Scripted;

const POLICY: &str = "/2015-03-31/functions/work/policy";
const WORK: &str = "arn:aws:lambda:us-east-1:111111111111:function:work";
const TOPIC: &str = "arn:aws:sns:us-east-1:111111111111:topic";

async fn with_locals() -> Api {
    on(Arc::new(MemoryStore::new())).await
}

async fn on(store: Arc<dyn Documents>) -> Api {
    let api = Api::on(Ok(store)).await;
    api.world.add_local("work", &["live"], Arc::new(FakeInvoker::scripted([])));
    api
}

fn permission(sid: &str, more: Value) -> Value {
    let fields = json!({ "StatementId": sid, "Action": "lambda:InvokeFunction", "Principal": "sns.amazonaws.com" });
    with(fields, more)
}

async fn add(api: &Api, query: &str, fields: Value) -> Answer {
    api.ask("POST", &format!("{POLICY}{query}"), fields).await
}

async fn added(api: &Api, query: &str, fields: Value) {
    let answer = add(api, query, fields).await;
    assert_eq!(answer.status, 201, "{answer:?}");
}

async fn get(api: &Api, query: &str) -> Answer {
    api.ask("GET", &format!("{POLICY}{query}"), Value::Null).await
}

async fn sids(api: &Api, query: &str) -> Vec<String> {
    let answer = get(api, query).await;
    if answer.status == 404 {
        return Vec::new();
    }
    let policy: Value = serde_json::from_str(answer.json()["Policy"].as_str().unwrap()).unwrap();
    policy["Statement"].as_array().unwrap().iter().map(|one| one["Sid"].as_str().unwrap().to_owned()).collect()
}

async fn revision_of(api: &Api, path: &str) -> String {
    let shown = api.ask("GET", &format!("/2015-03-31/functions/{path}"), Value::Null).await.json();
    shown["RevisionId"].as_str().unwrap().to_owned()
}

fn user(kind: &str, message: &str) -> (u16, String, Value) {
    let (status, member) = match kind {
        "resourcenotfoundexception" => (404, "Message"),
        "resourceconflictexception" => (409, "message"),
        "preconditionfailedexception" => (412, "message"),
        _ => (400, "message"),
    };
    (status, kind.to_owned(), json!({ "Type": "User", member: message }))
}

fn not_found(message: &str) -> (u16, String, Value) {
    user("resourcenotfoundexception", message)
}

#[tokio::test]
async fn a_permission_is_added_shown_and_removed() {
    let api = with_locals().await;
    assert_eq!(get(&api, "").await.error(), not_found("The resource you requested does not exist."));
    let statement = format!(
        r#"{{"Sid":"s3","Effect":"Allow","Principal":{{"Service":"s3.amazonaws.com"}},"Action":"lambda:InvokeFunction","Resource":"{WORK}","Condition":{{"StringEquals":{{"AWS:SourceAccount":"111111111111"}},"ArnLike":{{"AWS:SourceArn":"arn:aws:s3:::bucket"}}}}}}"#
    );
    let more =
        json!({ "Principal": "s3.amazonaws.com", "SourceArn": "arn:aws:s3:::bucket", "SourceAccount": "111111111111" });
    let answer = add(&api, "", permission("s3", more)).await;
    assert_eq!((answer.status, answer.json()), (201, json!({ "Statement": statement })));
    let second = format!(
        r#"{{"Sid":"me","Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::222222222222:root"}},"Action":"lambda:*","Resource":"{WORK}"}}"#
    );
    let more = json!({ "Principal": "222222222222", "Action": "lambda:*" });
    assert_eq!(add(&api, "/", permission("me", more)).await.json(), json!({ "Statement": second }));
    let policy = format!(r#"{{"Version":"2012-10-17","Id":"default","Statement":[{statement},{second}]}}"#);
    let revision = revision_of(&api, "work/configuration").await;
    for query in ["", "/?Qualifier=%24LATEST"] {
        let answer = get(&api, query).await;
        assert_eq!((answer.status, answer.json()), (200, json!({ "Policy": policy, "RevisionId": revision })));
    }
    let removed = api.ask("DELETE", &format!("{POLICY}/s3"), Value::Null).await;
    assert_eq!((removed.status, removed.text().as_str()), (204, ""));
    assert!(removed.header("x-amzn-requestid").is_some());
    assert_eq!(sids(&api, "").await, ["me"]);
    let unknown = api.ask("DELETE", &format!("{POLICY}/s3"), Value::Null).await.error();
    assert_eq!(unknown, not_found("Statement s3 is not found in resource policy."));
    assert_eq!(api.ask("DELETE", &format!("{POLICY}/me"), Value::Null).await.status, 204);
    assert_eq!(get(&api, "").await.error(), not_found("The resource you requested does not exist."));
    let none = api.ask("DELETE", &format!("{POLICY}/me"), Value::Null).await.error();
    assert_eq!(none, not_found("No policy is associated with the given resource."));
}

#[tokio::test]
async fn principals_are_written_as_aws_writes_them() {
    let api = with_locals().await;
    for (index, (principal, expected)) in [
        ("*", json!("*")),
        ("arn:aws:iam::222222222222:role/r", json!({ "AWS": "arn:aws:iam::222222222222:role/r" })),
        ("events.amazonaws.com", json!({ "Service": "events.amazonaws.com" })),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = add(&api, "", permission(&format!("s{index}"), json!({ "Principal": principal }))).await;
        let statement: Value = serde_json::from_str(answer.json()["Statement"].as_str().unwrap()).unwrap();
        assert_eq!(statement["Principal"], expected);
    }
    let invalid = "The provided principal was invalid. Please check the principal and try again.";
    for principal in ["me", "arn:aws:iam::222222222222:user/*", "arn:aws:sts::222222222222:assumed-role/r/s", "o-1"] {
        let answer = add(&api, "", permission("invalid", json!({ "Principal": principal }))).await;
        assert_eq!(answer.error(), user("invalidparametervalueexception", invalid), "{principal}");
    }
}

#[tokio::test]
async fn each_qualifier_has_its_own_policy() {
    let api = with_locals().await;
    added(&api, "", permission("same", json!({}))).await;
    added(&api, "?Qualifier=live", permission("same", json!({}))).await;
    let policy = get(&api, "?Qualifier=live").await.json()["Policy"].as_str().unwrap().to_owned();
    assert!(policy.contains(&format!(r#""Resource":"{WORK}:live""#)), "{policy}");
    assert_eq!(api.ask("DELETE", &format!("{POLICY}/same"), Value::Null).await.status, 204);
    assert_eq!((sids(&api, "").await.len(), sids(&api, "?Qualifier=live").await.len()), (0, 1));
    let latest = "We currently do not support adding policies for $LATEST.";
    let refused = add(&api, "?Qualifier=%24LATEST", permission("s", json!({}))).await.error();
    assert_eq!(refused, user("invalidparametervalueexception", latest));
    for (qualifier, message) in
        [("other", format!("Cannot find alias arn: {WORK}:other")), ("7", format!("Function not found: {WORK}:7"))]
    {
        let query = format!("?Qualifier={qualifier}");
        assert_eq!(add(&api, &query, permission("s", json!({}))).await.error(), not_found(&message));
        let removed = api.ask("DELETE", &format!("{POLICY}/s{query}"), Value::Null).await.error();
        assert_eq!(removed, not_found(&message));
        assert_eq!(get(&api, &query).await.error(), not_found("The resource you requested does not exist."));
    }
}

#[tokio::test]
async fn a_statement_id_is_there_once() {
    let api = with_locals().await;
    added(&api, "", permission("s", json!({}))).await;
    let message = "The statement id (s) provided already exists. Please provide a new statement id, or remove the \
                   existing statement.";
    let again = add(&api, "", permission("s", json!({ "Principal": "*" }))).await.error();
    assert_eq!(again, user("resourceconflictexception", message));
    assert_eq!(sids(&api, "").await, ["s"]);
}

#[tokio::test]
async fn a_revision_that_is_not_the_latest_is_refused() {
    let api = with_locals().await;
    let message = "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to \
                   retrieve the latest Revision Id";
    let stale = user("preconditionfailedexception", message);
    for (query, path) in [("", "work/configuration"), ("?Qualifier=live", "work/aliases/live")] {
        let first = revision_of(&api, path).await;
        let wrong = add(&api, query, permission("s", json!({ "RevisionId": "wrong" }))).await;
        assert_eq!(wrong.error(), stale);
        added(&api, query, permission("s", json!({ "RevisionId": first }))).await;
        let second = revision_of(&api, path).await;
        assert_eq!(get(&api, query).await.json()["RevisionId"], second);
        assert_ne!(first, second);
        let again = add(&api, query, permission("t", json!({ "RevisionId": first }))).await;
        assert_eq!(again.error(), stale);
        let remove = |revision: &str| {
            let separator = if query.is_empty() { '?' } else { '&' };
            format!("{POLICY}/s{query}{separator}RevisionId={revision}")
        };
        assert_eq!(api.ask("DELETE", &remove(&first), Value::Null).await.error(), stale);
        assert_eq!(api.ask("DELETE", &remove(&second), Value::Null).await.status, 204);
        let third = revision_of(&api, path).await;
        assert!(third != first && third != second, "an empty policy isn't what it was before");
    }
}

#[tokio::test]
async fn what_breaks_awss_model_is_refused_in_its_words() {
    let api = with_locals().await;
    let arn_pattern = r"arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\-])+:((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1})?:(\d{12})?:(.*)";
    let pattern = |pattern: &str| format!("Member must satisfy regular expression pattern: {pattern}");
    let long = "s".repeat(101);
    for (field, member, value, constraint) in [
        ("StatementId", "statementId", "a b", pattern("([a-zA-Z0-9-_]+)")),
        ("StatementId", "statementId", "a.b", pattern("([a-zA-Z0-9-_]+)")),
        ("StatementId", "statementId", "", "Member must have length greater than or equal to 1".into()),
        ("StatementId", "statementId", &long, "Member must have length less than or equal to 100".into()),
        ("Action", "action", "InvokeFunction", pattern("(lambda:[*]|lambda:[a-zA-Z]+|[*])")),
        ("Action", "action", "lambda:Invoke*", pattern("(lambda:[*]|lambda:[a-zA-Z]+|[*])")),
        ("Principal", "principal", "a b", pattern(r"[^\s]+")),
        ("SourceArn", "sourceArn", "topic", pattern(arn_pattern)),
        ("SourceAccount", "sourceAccount", "1", pattern(r"\d{12}")),
    ] {
        let message = format!(
            "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {constraint}"
        );
        let expected = (400, "validationexception".to_owned(), json!({ "message": message }));
        assert_eq!(add(&api, "", permission("s", json!({ field: value }))).await.error(), expected);
    }
    let null = |member: &str| format!("Value null at '{member}' failed to satisfy constraint: Member must not be null");
    let message = ["statementId", "action", "principal"].map(null).join("; ");
    let message = format!("3 validation errors detected: {message}");
    let expected = (400, "validationexception".to_owned(), json!({ "message": message }));
    assert_eq!(add(&api, "", json!({})).await.error(), expected);
    let removed = api.ask("DELETE", &format!("{POLICY}/a%20b"), Value::Null).await.error();
    let message = "1 validation error detected: Value 'a b' at 'statementId' failed to satisfy constraint: Member must \
                   satisfy regular expression pattern: ([a-zA-Z0-9-_.]+)";
    assert_eq!(removed, (400, "validationexception".into(), json!({ "message": message })));
    let (status, kind, _) = add(&api, "", permission("s", json!({ "SourceArn": 1 }))).await.error();
    assert_eq!((status, kind.as_str()), (400, "serializationexception"));
    assert_eq!(sids(&api, "").await, [""; 0]);
}

#[tokio::test]
async fn what_would_never_count_is_refused() {
    let api = with_locals().await;
    for (field, value, message) in [
        (
            "PrincipalOrgID",
            json!("o-1234567890"),
            "PrincipalOrgID is not supported, because Pelton knows of no organization: leave it out.",
        ),
        (
            "EventSourceToken",
            json!("t"),
            "EventSourceToken is not supported, because nothing that calls Pelton has a token: leave it out.",
        ),
        (
            "FunctionUrlAuthType",
            json!("NONE"),
            "FunctionUrlAuthType is not supported, because local functions have no URL: leave it out.",
        ),
        (
            "InvokedViaFunctionUrl",
            json!(true),
            "InvokedViaFunctionUrl is not supported, because local functions have no URL: leave it out.",
        ),
        (
            "Action",
            json!("lambda:InvokeFunctionUrl"),
            "The action lambda:InvokeFunctionUrl is not supported, because local functions have no URL: use lambda:InvokeFunction.",
        ),
        ("Effect", json!("Deny"), "Effect is no field of AddPermission."),
    ] {
        let refused = add(&api, "", permission("s", json!({ field: value }))).await.error();
        assert_eq!(refused, user("invalidparametervalueexception", message));
    }
    assert_eq!(sids(&api, "").await, [""; 0]);
}

#[tokio::test]
async fn a_policy_has_its_greatest_length() {
    let api = with_locals().await;
    let role = format!("arn:aws:iam::222222222222:role/{}", "r".repeat(1_900));
    for index in 0..9 {
        added(&api, "", permission(&format!("s{index}"), json!({ "Principal": role }))).await;
    }
    let length = get(&api, "").await.json()["Policy"].as_str().unwrap().len();
    let more = length.div_ceil(9);
    let (status, kind, body) = add(&api, "", permission("last", json!({ "Principal": role }))).await.error();
    assert_eq!((status, kind.as_str()), (400, "policylengthexceededexception"));
    let message = body["message"].as_str().unwrap();
    let size: usize = message.split(['(', ')']).nth(1).unwrap().parse().unwrap();
    assert!(size.abs_diff(length + more) < 64, "{size}");
    assert_eq!(
        body,
        json!({ "Type": "User", "message": format!("The final policy size ({size}) is bigger than the limit (20480).") })
    );
    assert_eq!(sids(&api, "").await.len(), 9);
}

#[tokio::test]
async fn policies_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pelton.db");
    let store = Arc::new(SqliteStore::open(&path).await.unwrap());
    let mut api = on(store.clone()).await;
    added(&api, "", permission("s", json!({ "SourceArn": TOPIC }))).await;
    added(&api, "?Qualifier=live", permission("t", json!({}))).await;
    let before = [get(&api, "").await.json(), get(&api, "?Qualifier=live").await.json()];
    api.tasks.shutdown().await;
    store.close().await;
    let api = on(Arc::new(SqliteStore::open(&path).await.unwrap())).await;
    assert_eq!([get(&api, "").await.json(), get(&api, "?Qualifier=live").await.json()], before);
}

#[tokio::test]
async fn without_a_store_there_are_none_and_the_reason_is_said() {
    let api = Api::on(Err("the store can't be created".into())).await;
    api.world.add_local("work", &[], Arc::new(FakeInvoker::scripted([])));
    assert_eq!(get(&api, "").await.status, 404);
    let message = "Policies can't be made or changed through the API: the store can't be created";
    let expected = (503, "serviceexception".to_owned(), json!({ "Type": "Service", "Message": message }));
    assert_eq!(add(&api, "", permission("s", json!({}))).await.error(), expected);
    assert_eq!(api.ask("GET", "/2015-03-31/functions/work", Value::Null).await.status, 200);
}

/// Of two changes at a time none is lost, whichever process makes them.
#[tokio::test]
async fn changes_at_the_same_time_are_all_made() {
    let store = Arc::new(Slow::default());
    let (one, other) = (on(store.clone()).await, on(store.clone()).await);
    let both_at_once = || {
        let both_have_read = Arc::new(Barrier::new(2));
        store.barriers.lock().unwrap().extend([both_have_read.clone(), both_have_read]);
    };
    both_at_once();
    tokio::join!(added(&one, "", permission("a", json!({}))), added(&other, "", permission("b", json!({}))));
    let mut there = sids(&one, "").await;
    there.sort();
    assert_eq!(there, ["a", "b"]);
    both_at_once();
    let path = format!("{POLICY}/a");
    let (removed, ()) =
        tokio::join!(one.ask("DELETE", &path, Value::Null), added(&other, "", permission("c", json!({}))));
    assert_eq!((removed.status, sids(&one, "").await), (204, vec!["b".to_owned(), "c".to_owned()]));
    both_at_once();
    let twice = permission("d", json!({}));
    let (first, second) = tokio::join!(add(&one, "", twice.clone()), add(&other, "", twice));
    let mut statuses = [first.status, second.status];
    statuses.sort();
    assert_eq!(statuses, [201, 409], "an id is there once");
}

#[tokio::test]
async fn of_other_functions_policies_are_the_upstreams() {
    let api = with_locals().await;
    let upstream = Scripted::of(&api, vec![(201, "theirs".into()), (200, "theirs".into()), (204, String::new())]).await;
    let path = "/2015-03-31/functions/other/policy";
    let fields = json!({ "PrincipalOrgID": "o-1234567890" });
    assert_eq!(api.ask("POST", path, fields.clone()).await.text(), "theirs");
    assert_eq!(api.ask("GET", &format!("{path}?Qualifier=1"), Value::Null).await.text(), "theirs");
    assert_eq!(api.ask("DELETE", &format!("{path}/s?RevisionId=x"), Value::Null).await.status, 204);
    let lines = [format!("POST {path}"), format!("GET {path}?Qualifier=1"), format!("DELETE {path}/s?RevisionId=x")];
    assert_eq!(upstream.lines(), lines);
    assert!(upstream.asked()[0].ends_with(&fields.to_string()));
}

async fn allowed(policies: &Policies, caller: &str, function: &str, source: Option<&str>) -> bool {
    let caller = match caller.parse::<Arn>() {
        Ok(arn) => Principal::Iam(arn),
        Err(_) => Principal::Service(caller.to_owned()),
    };
    let function: Arn = function.parse().unwrap();
    policies.allow(&caller, "lambda:InvokeFunction", &function, source, None).await.unwrap()
}

#[tokio::test]
async fn whom_a_policy_allows_is_allowed_until_it_is_removed() {
    let api = with_locals().await;
    let policies = &api.policies;
    let (sns, me) = ("sns.amazonaws.com", "arn:aws:iam::222222222222:user/me");
    assert!(!allowed(policies, sns, WORK, Some(TOPIC)).await);
    added(&api, "", permission("topic", json!({ "SourceArn": TOPIC }))).await;
    added(&api, "?Qualifier=live", permission("me", json!({ "Principal": "222222222222" }))).await;
    assert!(allowed(policies, sns, WORK, Some(TOPIC)).await);
    assert!(!allowed(policies, sns, WORK, None).await);
    assert!(!allowed(policies, me, WORK, Some(TOPIC)).await);
    assert!(!allowed(policies, sns, &format!("{WORK}:live"), Some(TOPIC)).await);
    assert!(!allowed(policies, sns, &format!("{WORK}:$LATEST"), Some(TOPIC)).await);
    assert!(allowed(policies, me, &format!("{WORK}:live"), None).await);
    let elsewhere = WORK.replace("111111111111", "222222222222");
    assert!(allowed(policies, sns, &elsewhere, Some(TOPIC)).await, "a local function is there whatever the account");
    assert!(!allowed(policies, sns, &WORK.replace("work", "other"), Some(TOPIC)).await);
    assert_eq!(api.ask("DELETE", &format!("{POLICY}/topic"), Value::Null).await.status, 204);
    assert!(!allowed(policies, sns, WORK, Some(TOPIC)).await);
}

#[tokio::test]
async fn a_policy_that_cannot_be_read_allows_nothing_and_is_an_error() {
    let store = Arc::new(MemoryStore::new());
    let text = r#"{"Version":"2012-10-17","Id":"default","Statement":[{"Sid":"s","Effect":"Deny"}]}"#;
    assert!(store.put_document("policy", "111111111111:us-east-1:work:.LATEST", text, 0).await.unwrap());
    let api = on(store).await;
    let caller = Principal::Service("sns.amazonaws.com".into());
    let answer = api.policies.allow(&caller, "lambda:InvokeFunction", &WORK.parse().unwrap(), None, None).await;
    assert!(answer.unwrap_err().to_string().contains("the policy of"));
    let (status, kind, _) = get(&api, "").await.error();
    assert_eq!((status, kind.as_str()), (500, "serviceexception"));
    assert_eq!(add(&api, "", permission("t", json!({}))).await.status, 500);
}

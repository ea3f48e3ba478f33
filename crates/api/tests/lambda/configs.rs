//! Event invoke configs: their shapes, what puts and updates do, and for which events they count (spec 11).
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use pelton_api::{EventInvokeConfigs, FileEventInvokeConfig};
use pelton_core::{Arn, Document, Documents, EventInvokeConfig, StoreError};
use pelton_store::MemoryStore;
use pelton_testkit::{FakeInvoker, eventually};
use serde_json::{Value, json};
use tokio::sync::Barrier;

use crate::invoke::refused;
use crate::slow::Slow;
use crate::support::{Answer, Api, LIMIT};

pub const QUEUE: &str = "arn:aws:sqs:us-east-1:111111111111:reports";
pub const STEM: &str = "arn:aws:lambda:us-east-1:111111111111:function:";

pub fn path(name: &str) -> String {
    let (name, query) = name.split_once('?').map_or((name, String::new()), |(name, query)| (name, format!("?{query}")));
    format!("/2019-09-25/functions/{name}/event-invoke-config{query}")
}

pub async fn put(api: &Api, name: &str, fields: Value) -> Answer {
    api.ask("PUT", &path(name), fields).await
}

pub async fn update(api: &Api, name: &str, fields: Value) -> Answer {
    api.ask("POST", &path(name), fields).await
}

pub async fn get(api: &Api, name: &str) -> Answer {
    api.ask("GET", &path(name), Value::Null).await
}

pub async fn delete(api: &Api, name: &str) -> Answer {
    api.ask("DELETE", &path(name), Value::Null).await
}

async fn list(api: &Api, name: &str, query: &str) -> Answer {
    api.ask("GET", &format!("/2019-09-25/functions/{name}/event-invoke-config/list?{query}"), Value::Null).await
}

pub fn none(arn: &str) -> (u16, String, Value) {
    let message = format!("The function {STEM}{arn} doesn't have an EventInvokeConfig");
    refused(404, "ResourceNotFoundException", json!({ "Type": "User", "Message": message }))
}

/// A config as it is shown, without its time.
fn shown(answer: &Answer) -> Value {
    assert_eq!(answer.status, 200, "{answer:?}");
    let mut shown = answer.json();
    assert!(shown["LastModified"].as_f64().unwrap() > 1_700_000_000.0, "{shown}");
    shown.as_object_mut().unwrap().remove("LastModified");
    shown
}

fn config(function: &str, on_success: Value, on_failure: Value, more: Value) -> Value {
    let mut config = json!({
        "FunctionArn": format!("{STEM}{function}"),
        "DestinationConfig": { "OnSuccess": on_success, "OnFailure": on_failure },
    });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    config
}

fn to(arn: &str) -> Value {
    json!({ "Destination": arn })
}

async fn of(api: &Api, function: &str) -> EventInvokeConfig {
    api.configs.of(&format!("{STEM}{function}").parse().unwrap()).await.unwrap()
}

#[tokio::test]
async fn a_put_replaces_all_and_an_update_what_it_names() {
    let api = Api::start().await;
    api.world.add_local("work", &["live"], Arc::new(FakeInvoker::scripted([])));
    for name in ["work", "remote"] {
        let latest = format!("{name}:$LATEST");
        let fields = json!({
            "MaximumRetryAttempts": 1, "MaximumEventAgeInSeconds": 21600, "DestinationConfig": { "OnFailure": to(QUEUE) },
        });
        let expected = config(
            &latest,
            json!({}),
            to(QUEUE),
            json!({ "MaximumRetryAttempts": 1, "MaximumEventAgeInSeconds": 21600 }),
        );
        for _ in 0..2 {
            assert_eq!(shown(&put(&api, name, fields.clone()).await), expected);
        }
        assert_eq!(shown(&get(&api, name).await), expected);
        assert_eq!(shown(&get(&api, &format!("{name}?Qualifier=%24LATEST")).await), expected);
        let expected = config(
            &latest,
            json!({}),
            to(QUEUE),
            json!({ "MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 21600 }),
        );
        assert_eq!(shown(&update(&api, name, json!({ "MaximumRetryAttempts": 0 })).await), expected);
        let destinations = json!({ "DestinationConfig": { "OnSuccess": to(QUEUE) } });
        let expected = config(
            &latest,
            to(QUEUE),
            json!({}),
            json!({ "MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 21600 }),
        );
        assert_eq!(shown(&update(&api, name, destinations).await), expected);
        let expected = config(&latest, json!({}), json!({}), json!({ "MaximumRetryAttempts": 2 }));
        assert_eq!(shown(&put(&api, name, json!({ "MaximumRetryAttempts": 2 })).await), expected);
        // Also without a destination it is a destination setting.
        for side in ["OnSuccess", "OnFailure"] {
            for nothing in [json!({}), to("")] {
                let fields = json!({ "DestinationConfig": { side: nothing } });
                assert_eq!(shown(&put(&api, name, fields).await), config(&latest, json!({}), json!({}), json!({})));
            }
        }
        assert_eq!(shown(&get(&api, name).await), config(&latest, json!({}), json!({}), json!({})));
    }
}

#[tokio::test]
async fn each_qualifier_has_its_own() {
    let api = Api::start().await;
    let retries = |attempts: u32| json!({ "MaximumRetryAttempts": attempts });
    for (name, function) in [
        ("work", "work:$LATEST"),
        ("work:live", "work:live"),
        ("work?Qualifier=1", "work:1"),
        ("111111111111:function:work:$LATEST?Qualifier=%24LATEST", "work:$LATEST"),
        ("arn%3Aaws%3Alambda%3Aus-east-1%3A111111111111%3Afunction%3Awork%3A2", "work:2"),
    ] {
        let expected = config(function, json!({}), json!({}), retries(1));
        assert_eq!(shown(&put(&api, name, retries(1)).await), expected, "{name}");
        assert_eq!(shown(&get(&api, name).await), expected, "{name}");
    }
    assert_eq!(get(&api, "work:3").await.error(), none("work:3"));
    let all = list(&api, "work", "").await.json();
    let listed = |page: &Value| -> Vec<String> {
        let configs = page["FunctionEventInvokeConfigs"].as_array().unwrap();
        configs.iter().map(|it| it["FunctionArn"].as_str().unwrap().replace(STEM, "")).collect()
    };
    assert_eq!(listed(&all), ["work:$LATEST", "work:1", "work:2", "work:live"]);
    assert_eq!(all.get("NextMarker"), None);
    let (mut pages, mut marker) = (Vec::new(), String::new());
    for _ in 0..4 {
        let page = list(&api, "work", &format!("MaxItems=1&Marker={}", marker.replace('$', "%24"))).await.json();
        pages.extend(listed(&page));
        marker = page["NextMarker"].as_str().unwrap_or_default().to_owned();
    }
    assert_eq!((pages, marker.as_str()), (listed(&all), ""));
    // Another function's, whose name begins alike, are not among them.
    assert_eq!(put(&api, "wor", retries(0)).await.status, 200);
    assert_eq!(listed(&list(&api, "wor", "").await.json()), ["wor:$LATEST"]);
    assert_eq!(list(&api, "nothing", "").await.json(), json!({ "FunctionEventInvokeConfigs": [] }));
    let deleted = delete(&api, "work").await;
    assert_eq!((deleted.status, deleted.text().as_str()), (204, ""));
    assert_eq!(delete(&api, "work").await.error(), none("work:$LATEST"));
    assert_eq!(listed(&list(&api, "work", "").await.json()), ["work:1", "work:2", "work:live"]);
}

#[tokio::test]
async fn what_is_set_counts_for_events_at_once() {
    let api = Api::start().await;
    api.world.add_local("work", &["live"], Arc::new(FakeInvoker::scripted([])));
    for name in ["work", "remote"] {
        assert_eq!(of(&api, &format!("{name}:$LATEST")).await, EventInvokeConfig::default());
        let fields = json!({
            "MaximumRetryAttempts": 1, "MaximumEventAgeInSeconds": 90,
            "DestinationConfig": { "OnSuccess": to(QUEUE), "OnFailure": to("arn:aws:s3:::failures") },
        });
        assert_eq!(put(&api, name, fields).await.status, 200);
        let expected = EventInvokeConfig {
            maximum_retry_attempts: Some(1),
            maximum_event_age: Some(Duration::from_secs(90)),
            on_success: Some(QUEUE.parse().unwrap()),
            on_failure: Some("arn:aws:s3:::failures".parse().unwrap()),
        };
        assert_eq!(of(&api, &format!("{name}:$LATEST")).await, expected);
        assert_eq!(of(&api, name).await, expected);
        assert_eq!(of(&api, &format!("{name}:live")).await, EventInvokeConfig::default());
        for retries in [0, 2, 1] {
            assert_eq!(update(&api, name, json!({ "MaximumRetryAttempts": retries })).await.status, 200);
            assert_eq!(of(&api, name).await.maximum_retry_attempts, Some(retries));
        }
        assert_eq!(delete(&api, name).await.status, 204);
        assert_eq!(of(&api, name).await, EventInvokeConfig::default());
    }
    // A local function is one and the same for every account.
    assert_eq!(put(&api, "222222222222:function:work", json!({ "MaximumRetryAttempts": 0 })).await.status, 200);
    assert_eq!(of(&api, "work:$LATEST").await.maximum_retry_attempts, Some(0));
    let elsewhere: Arn = "arn:aws:lambda:us-east-1:333333333333:function:work:$LATEST".parse().unwrap();
    assert_eq!(api.configs.of(&elsewhere).await.unwrap().maximum_retry_attempts, Some(0));
}

#[tokio::test]
async fn they_survive_restarts_and_are_shared() {
    let store = Arc::new(MemoryStore::new());
    let (first, second) = (Api::on(Ok(store.clone())).await, Api::on(Ok(store)).await);
    assert_eq!(of(&second, "remote:$LATEST").await, EventInvokeConfig::default());
    let made = put(&first, "remote", json!({ "MaximumRetryAttempts": 1 })).await;
    assert_eq!(get(&second, "remote").await.json(), made.json());
    tokio::time::pause();
    tokio::time::advance(Duration::from_millis(1_100)).await;
    tokio::time::resume();
    assert_eq!(of(&second, "remote:$LATEST").await.maximum_retry_attempts, Some(1));
    assert_eq!(update(&second, "remote", json!({ "MaximumEventAgeInSeconds": 60 })).await.status, 200);
    let both = json!({ "MaximumRetryAttempts": 1, "MaximumEventAgeInSeconds": 60 });
    assert_eq!(shown(&get(&first, "remote").await), config("remote:$LATEST", json!({}), json!({}), both));
}

/// Of two changes at a time none is lost.
#[tokio::test]
async fn updates_at_the_same_time_are_made_on_top_of_each_other() {
    let store = Arc::new(Slow::default());
    let api = Api::on(Ok(store.clone())).await;
    assert_eq!(put(&api, "remote", json!({ "DestinationConfig": {} })).await.status, 200);
    let both_have_read = Arc::new(Barrier::new(2));
    store.barriers.lock().unwrap().extend([both_have_read.clone(), both_have_read]);
    let (one, other) = tokio::join!(
        update(&api, "remote", json!({ "MaximumRetryAttempts": 1 })),
        update(&api, "remote", json!({ "MaximumEventAgeInSeconds": 60 })),
    );
    assert_eq!((one.status, other.status), (200, 200));
    let both = json!({ "MaximumRetryAttempts": 1, "MaximumEventAgeInSeconds": 60 });
    assert_eq!(shown(&get(&api, "remote").await), config("remote:$LATEST", json!({}), json!({}), both));
}

#[tokio::test]
async fn what_was_read_before_a_change_is_not_remembered_after_it() {
    let store = Arc::new(Slow::default());
    let api = Api::on(Ok(store.clone())).await;
    let has_read = Arc::new(Barrier::new(2));
    store.barriers.lock().unwrap().push_back(has_read.clone());
    let changing = async {
        eventually("a read", LIMIT, async || store.barriers.lock().unwrap().is_empty()).await;
        assert_eq!(put(&api, "remote", json!({ "MaximumRetryAttempts": 1 })).await.status, 200);
        has_read.wait().await;
    };
    let (before, ()) = tokio::join!(of(&api, "remote"), changing);
    assert_eq!(before.maximum_retry_attempts, None);
    assert_eq!(of(&api, "remote").await.maximum_retry_attempts, Some(1));
}

#[tokio::test]
async fn those_of_the_file_show_and_are_left_to_the_file() {
    let api = Api::start().await;
    assert_eq!(put(&api, "remote", json!({ "MaximumRetryAttempts": 2 })).await.status, 200);
    let of_file = |qualifier: &str, attempts: u32| FileEventInvokeConfig {
        name: "remote".into(),
        qualifier: qualifier.into(),
        config: EventInvokeConfig {
            maximum_retry_attempts: Some(attempts),
            on_failure: Some(QUEUE.parse().unwrap()),
            ..EventInvokeConfig::default()
        },
    };
    *api.world.configs.lock().unwrap() = vec![of_file("$LATEST", 0), of_file("live", 1)];
    let expected = config("remote:$LATEST", json!({}), to(QUEUE), json!({ "MaximumRetryAttempts": 0 }));
    assert_eq!(shown(&get(&api, "remote").await), expected);
    assert_eq!(get(&api, "remote").await.json()["LastModified"], json!(1735689600.0));
    let listed = list(&api, "remote", "").await.json();
    let attempts: Vec<&Value> = listed["FunctionEventInvokeConfigs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|config| &config["MaximumRetryAttempts"])
        .collect();
    assert_eq!(attempts, [&json!(0), &json!(1)]);
    assert_eq!(of(&api, "remote:$LATEST").await.maximum_retry_attempts, Some(0));
    for answer in [
        put(&api, "remote:live", json!({ "MaximumRetryAttempts": 2 })).await,
        update(&api, "remote:live", json!({ "MaximumRetryAttempts": 2 })).await,
        delete(&api, "remote:live").await,
    ] {
        let message = format!(
            "The event invoke config of {STEM}remote:live is written in /etc/pelton.yaml: change it there. Pelton reads the \
             file again when it is saved."
        );
        let expected = refused(400, "InvalidParameterValueException", json!({ "Type": "User", "message": message }));
        assert_eq!(answer.error(), expected);
    }
    api.world.configs.lock().unwrap().clear();
    assert_eq!(of(&api, "remote:$LATEST").await.maximum_retry_attempts, Some(2));
}

/// A store that is out of reach.
struct Away;

#[async_trait]
impl Documents for Away {
    async fn put_document(&self, _: &str, _: &str, _: &str, _: u64) -> Result<bool, StoreError> {
        Err(StoreError::Unavailable("it is away".into()))
    }

    async fn document(&self, _: &str, _: &str) -> Result<Option<Document>, StoreError> {
        Err(StoreError::Unavailable("it is away".into()))
    }

    async fn documents(&self, kind: &str) -> Result<Vec<Document>, StoreError> {
        match kind {
            "event-source-mapping" => Ok(Vec::new()),
            _ => Err(StoreError::Unavailable("it is away".into())),
        }
    }

    async fn delete_document(&self, _: &str, _: &str) -> Result<(), StoreError> {
        Err(StoreError::Unavailable("it is away".into()))
    }
}

#[tokio::test]
async fn without_a_store_nothing_is_made_and_nothing_is_guessed() {
    let unavailable =
        |message: &str| refused(503, "ServiceException", json!({ "Type": "Service", "Message": message }));
    let api = Api::on(Ok(Arc::new(Away))).await;
    for answer in [
        put(&api, "remote", json!({ "MaximumRetryAttempts": 2 })).await,
        get(&api, "remote").await,
        delete(&api, "remote").await,
        list(&api, "remote", "").await,
    ] {
        assert_eq!(answer.error(), unavailable("Event invoke configs can't be read or kept: it is away"));
    }
    let function: Arn = format!("{STEM}remote:$LATEST").parse().unwrap();
    assert_eq!(api.configs.of(&function).await, Err(StoreError::Unavailable("it is away".into())));
    let api = Api::on(Err("State is none.".into())).await;
    let reason = "Event invoke configs can't be made or changed through the API: State is none.";
    let fields = json!({ "MaximumRetryAttempts": 2 });
    assert_eq!(put(&api, "remote", fields).await.error(), unavailable(reason));
    assert_eq!(list(&api, "remote", "").await.json(), json!({ "FunctionEventInvokeConfigs": [] }));
    assert_eq!(api.configs.of(&function).await, Ok(EventInvokeConfig::default()));
}

#[tokio::test]
async fn what_cannot_be_read_is_an_error_and_no_default() {
    let store = Arc::new(MemoryStore::new());
    store.put_document("event-invoke-config", "111111111111:us-east-1:remote:.LATEST", "no json", 0).await.unwrap();
    let configs = EventInvokeConfigs::new(Ok(store.clone()), Api::start().await.world.clone());
    let function: Arn = format!("{STEM}remote:$LATEST").parse().unwrap();
    let error = configs.of(&function).await.unwrap_err().to_string();
    assert!(error.starts_with(&format!("the event invoke config of {function} can't be used: ")), "{error}");
    let api = Api::on(Ok(store)).await;
    assert_eq!(get(&api, "remote").await.status, 500);
    assert_eq!(put(&api, "remote", json!({ "MaximumRetryAttempts": 2 })).await.status, 200, "a put mends it");
    assert_eq!(get(&api, "remote").await.status, 200);
}

//! States and their transitions (spec 2.2).
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::{Api, QUEUE, queue};

#[tokio::test]
async fn a_mapping_that_is_not_enabled_stays_so() {
    let api = Api::start().await;
    let created = api.create(queue(json!({ "Enabled": false }))).await;
    assert_eq!((created.status, &created.json()["State"]), (202, &json!("Disabled")));
    let id = created.json()["UUID"].as_str().unwrap().to_owned();
    assert_eq!(api.get(&id).await.json()["State"], "Disabled");
    let enabled = api.update(&id, json!({ "Enabled": true })).await;
    assert_eq!((enabled.status, &enabled.json()["State"]), (202, &json!("Enabling")));
    api.settles(&id, "Enabled").await;
    let disabled = api.update(&id, json!({ "Enabled": false })).await;
    assert_eq!((disabled.status, &disabled.json()["State"]), (202, &json!("Disabling")));
    api.settles(&id, "Disabled").await;
    assert_eq!(disabled.json()["StateTransitionReason"], "USER_INITIATED");
}

#[tokio::test]
async fn each_transition_shows_until_it_is_over() {
    let api = Api::start().await;
    let id = api.created(queue(json!({}))).await;
    api.settles(&id, "Enabled").await;
    api.carries_out.send_replace(false);
    for (changes, state) in [
        (json!({ "BatchSize": 5 }), "Updating"),
        (json!({ "Enabled": false }), "Disabling"),
        (json!({ "BatchSize": 6 }), "Updating"),
        (json!({ "Enabled": true, "FunctionName": "other:1" }), "Enabling"),
    ] {
        let answer = api.update(&id, changes).await;
        assert_eq!((answer.status, &answer.json()["State"]), (202, &json!(state)));
        assert_eq!(api.get(&id).await.json(), answer.json(), "the new values show at once");
    }
    let shown = api.get(&id).await.json();
    assert_eq!((&shown["BatchSize"], &shown["State"]), (&json!(6), &json!("Enabling")));
    assert!(shown["FunctionArn"].as_str().unwrap().ends_with(":function:other:1"), "{shown}");
    api.carries_out.send_replace(true);
    api.settles(&id, "Enabled").await;
    api.carries_out.send_replace(false);
    assert_eq!(api.delete(&id).await.json()["State"], "Deleting");
    assert_eq!(api.get(&id).await.json()["State"], "Deleting");
    assert_eq!(api.list("").await["EventSourceMappings"][0]["State"], "Deleting");
    for (answer, message) in [
        (
            api.update(&id, json!({ "BatchSize": 1 })).await,
            "Cannot update the event source mapping because it is in use.",
        ),
        (api.delete(&id).await, "Cannot delete the event source mapping because it is in use."),
    ] {
        let body = json!({ "Type": "User", "Message": message });
        assert_eq!(answer.error(), (400, "resourceinuseexception".into(), body));
    }
    api.carries_out.send_replace(true);
    api.is_gone(&id).await;
    assert_eq!(api.running(), []);
    assert_eq!(api.create(queue(json!({}))).await.status, 202, "its place is free");
}

#[tokio::test]
async fn an_update_changes_what_it_names_and_empty_values_take_away() {
    let api = Api::start().await;
    let fields = json!({
        "BatchSize": 7, "ScalingConfig": { "MaximumConcurrency": 2 },
        "FilterCriteria": { "Filters": [{ "Pattern": "{\"body\": [\"a\"]}" }] },
        "FunctionResponseTypes": ["ReportBatchItemFailures"], "Tags": { "team": "a" },
    });
    let id = api.created(queue(fields)).await;
    let before = api.get(&id).await.json();
    let changed = api.update(&id, json!({ "MaximumBatchingWindowInSeconds": 3 })).await.json();
    assert_eq!((&changed["BatchSize"], &changed["MaximumBatchingWindowInSeconds"]), (&json!(7), &json!(3)));
    assert_eq!(
        (&changed["ScalingConfig"], &changed["FilterCriteria"]),
        (&before["ScalingConfig"], &before["FilterCriteria"])
    );
    assert!(changed["LastModified"].as_f64() > before["LastModified"].as_f64(), "{changed}");
    let changes = json!({ "ScalingConfig": {}, "FilterCriteria": { "Filters": [] }, "FunctionResponseTypes": [] });
    let changed = api.update(&id, changes).await.json();
    assert_eq!(changed["FunctionResponseTypes"], json!([]));
    assert_eq!((changed.get("ScalingConfig"), changed.get("FilterCriteria")), (None, None));
    let arn = changed["EventSourceMappingArn"].as_str().unwrap();
    let tags = api.ask("GET", &format!("/2017-03-31/tags/{arn}"), Value::Null).await.json();
    assert_eq!(tags, json!({ "Tags": { "team": "a" } }), "tags are none of its business");
}

#[tokio::test]
async fn what_cannot_be_run_is_disabled_and_can_be_mended() {
    let api = Api::start().await;
    let id = api.created(queue(json!({ "FunctionName": "unusable" }))).await;
    api.settles(&id, "Disabled").await;
    assert_eq!(api.update(&id, json!({ "FunctionName": "usable" })).await.json()["State"], "Updating");
    api.settles(&id, "Enabled").await;
}

#[tokio::test]
async fn many_changes_at_once_leave_no_orphan() {
    let api = Api::start().await;
    let one = async |index: usize| {
        let source = format!("{QUEUE}-{index}");
        let fields = queue(json!({ "EventSourceArn": source, "Enabled": !index.is_multiple_of(5) }));
        let (first, second) = tokio::join!(api.create(fields.clone()), api.create(fields));
        let (created, refused) = if first.status == 202 { (first, second) } else { (second, first) };
        assert_eq!((created.status, refused.status), (202, 409), "one of two");
        let id = created.json()["UUID"].as_str().unwrap().to_owned();
        let updates = (0..4).map(|size| api.update(&id, json!({ "BatchSize": 1 + size, "Enabled": size % 2 == 0 })));
        for answer in join_all(updates).await {
            assert_eq!(answer.status, 202, "{answer:?}");
        }
        if index.is_multiple_of(2) {
            let (first, second) = tokio::join!(api.delete(&id), api.delete(&id));
            let statuses = [first.status, second.status];
            assert!(statuses.contains(&202) && statuses.iter().all(|it| [202, 400, 404].contains(it)), "{statuses:?}");
            api.is_gone(&id).await;
            return None;
        }
        Some(id)
    };
    let mut kept: Vec<String> = join_all((0..24).map(one)).await.into_iter().flatten().collect();
    kept.sort();
    for id in &kept {
        let enabled = api.update(id, json!({ "Enabled": true })).await;
        assert_eq!(enabled.status, 202, "{enabled:?}");
    }
    for id in &kept {
        api.settles(id, "Enabled").await;
    }
    let running: Vec<String> = api.running().into_iter().map(|(id, _)| id).collect();
    assert_eq!(running, kept, "what runs is what is there");
    assert_eq!(api.list("").await["EventSourceMappings"].as_array().unwrap().len(), 12);
}

#[tokio::test]
async fn what_cannot_be_carried_out_soon_is_not_taken() {
    let api = Api::start().await;
    let id = api.created(queue(json!({}))).await;
    api.settles(&id, "Enabled").await;
    api.carries_out.send_replace(false);
    let mut accepted = 0;
    let refused = loop {
        let answer = api.update(&id, json!({ "BatchSize": 1 + accepted % 10 })).await;
        if answer.status != 202 {
            break answer;
        }
        accepted += 1;
        assert!(accepted < 1_000);
    };
    let body = json!({ "Type": "User", "Reason": "CallerRateLimitExceeded", "message": "Rate exceeded" });
    assert_eq!(refused.error(), (429, "toomanyrequestsexception".into(), body));
    api.carries_out.send_replace(true);
    api.settles(&id, "Enabled").await;
    assert_eq!(api.get(&id).await.json()["BatchSize"], 1 + (accepted - 1) % 10);
}

//! Event invoke configs: sections 11 and 12.2.
use pelton_tests::{Backend, Function, on_ministack};
use serde_json::{Value, json};

use super::{Transcript, start};

fn path(function: &str) -> String {
    format!("/2019-09-25/functions/{}/event-invoke-config", function.replace(':', "%3A").replace('$', "%24"))
}

fn to(side: &str, destination: &str) -> Value {
    json!({ "DestinationConfig": { side: { "Destination": destination } } })
}

async fn a_put_replaces_and_an_update_changes(backend: Backend) {
    let function = Function::new();
    let pelton = start(&backend, &function).await;
    let mut transcript = Transcript::of(&pelton);
    let queue = Backend::arn("sqs", "reports");
    let (work, live) = (path("work"), format!("{}?Qualifier=live", path("work")));
    transcript.ask("GET", &format!("{work}/list"), "").await;
    transcript.ask("PUT", &work, r#"{"MaximumRetryAttempts":1,"MaximumEventAgeInSeconds":60}"#).await;
    transcript.ask("GET", &work, "").await;
    transcript.ask("PUT", &work, to("OnFailure", &queue).to_string()).await;
    transcript.ask("PUT", &work, to("OnFailure", &queue).to_string()).await;
    transcript.ask("POST", &work, r#"{"MaximumEventAgeInSeconds":21600}"#).await;
    transcript.ask("PUT", &work, r#"{"DestinationConfig":{"OnSuccess":{}}}"#).await;
    transcript.ask("PUT", &work, r#"{"DestinationConfig":{"OnFailure":{}}}"#).await;
    transcript.ask("GET", &live, "").await;
    transcript.ask("PUT", &live, r#"{"MaximumRetryAttempts":0}"#).await;
    transcript.ask("GET", &format!("{work}/list"), "").await;
    transcript.ask("GET", &format!("{work}/list?MaxItems=1"), "").await;
    transcript.ask("GET", &format!("{work}/list?MaxItems=1&Marker=%24LATEST"), "").await;
    transcript.ask("DELETE", &work, "").await;
    transcript.ask("DELETE", &work, "").await;
    transcript.ask("POST", &work, r#"{"MaximumRetryAttempts":0}"#).await;
    transcript.ask("GET", &format!("{work}/list/"), "").await;
    insta::assert_snapshot!(transcript.text);
}

async fn each_form_of_the_name_will_do(backend: Backend) {
    let (name, function) = (Backend::name("function"), Function::new());
    let arn = backend.create_function(&name, "def handler(event, context):\n    pass\n").await;
    let pelton = start(&backend, &function).await;
    let publish = async || {
        let versions = format!("/2015-03-31/functions/{name}/versions");
        assert_eq!(pelton.request("POST", &versions, &[], "{}").await.status, 201, "passed on");
    };
    publish().await;
    let alias = json!({ "Name": "myalias", "FunctionVersion": "1" }).to_string();
    let aliases = format!("/2015-03-31/functions/{name}/aliases");
    assert_eq!(pelton.request("POST", &aliases, &[], alias).await.status, 201, "passed on");
    let mut transcript = Transcript::of(&pelton);
    transcript.name(&name, "function");
    let put = r#"{"MaximumRetryAttempts":1}"#;
    for form in [
        name.clone(),
        arn.clone(),
        format!("{arn}:myalias"),
        format!("{arn}:1"),
        format!("{name}:myalias"),
        format!("{name}:1"),
        format!("{name}:$LATEST"),
    ] {
        let put = transcript.ask("PUT", &path(&form), put).await;
        assert_eq!(put.status, 200);
    }
    transcript.ask("GET", &format!("{}?Qualifier=1", path(&format!("{name}:1"))), "").await;
    transcript.ask("GET", &format!("{}?Qualifier=2", path(&format!("{name}:1"))), "").await;
    transcript.ask("GET", &format!("{}?Qualifier=2", path(&name)), "").await;
    insta::assert_snapshot!(transcript.text);
}

async fn configs_are_refused_in_awss_words(backend: Backend) {
    let (function, other) = (Function::new(), Function::named("other"));
    let configuration = json!({ "Endpoint": backend.endpoint, "Functions": [function.entry(), other.entry()] });
    let pelton = pelton_tests::Pelton::run(configuration).await;
    let mut transcript = Transcript::of(&pelton);
    let (work, missing) = (path("work"), path("missing"));
    let one = r#"{"MaximumRetryAttempts":1}"#;
    // What is nothing comes before who isn't there.
    transcript.ask("PUT", &missing, "{}").await;
    transcript.ask("PUT", &missing, one).await;
    transcript.ask("PUT", &path(&Backend::arn("lambda", "function:missing")), one).await;
    transcript.ask("PUT", &format!("{work}?Qualifier=unknown"), one).await;
    transcript.ask("POST", &missing, one).await;
    transcript.ask("GET", &format!("{missing}/list"), "").await;
    transcript.ask("GET", &missing, "").await;
    transcript.ask("DELETE", &missing, "").await;
    transcript.ask("GET", &format!("{work}?Qualifier=7"), "").await;
    transcript.ask("DELETE", &format!("{work}?Qualifier=live"), "").await;
    transcript.ask("POST", &work, one).await;
    transcript.ask("PUT", &format!("{}?Qualifier=1", path("work:live")), one).await;
    let function = |name: &str| Backend::arn("lambda", &format!("function:{name}"));
    transcript.ask("PUT", &work, to("OnFailure", &function("missing")).to_string()).await;
    transcript.ask("PUT", &work, to("OnFailure", &function("work")).to_string()).await;
    transcript.ask("PUT", &work, to("OnSuccess", "arn:aws:iam::000000000000:role/somebody").to_string()).await;
    transcript.ask("PUT", &work, to("OnFailure", "nothing").to_string()).await;
    transcript.ask("PUT", &work, r#"{"MaximumRetryAttempts":3,"MaximumEventAgeInSeconds":59}"#).await;
    transcript.ask("GET", &path("arn:aws:lambda:eu-west-1:000000000000:function:work"), "").await;
    let another = transcript.ask("PUT", &work, to("OnFailure", &function("other")).to_string()).await;
    assert_eq!(another.status, 200, "another function is accepted");
    insta::assert_snapshot!(transcript.text);
}

on_ministack!(a_put_replaces_and_an_update_changes, each_form_of_the_name_will_do, configs_are_refused_in_awss_words);

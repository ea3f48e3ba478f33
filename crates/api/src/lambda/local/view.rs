//! A local function and its aliases, as Lambda shows them. Pure.
use pelton_core::Arn;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::event_invoke_configs::id;
use super::super::functions::{LocalFunction, Place};
use super::super::named::LATEST;

/// What a program of its own has for a runtime.
const OWN_RUNTIME: &str = "provided.al2023";
/// The SHA-256 of nothing, in Base64: there is no package, and its size is 0.
const NO_CODE: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
/// MB under `/tmp`, as every function in AWS has.
const EPHEMERAL_STORAGE: u32 = 512;

/// What a configuration is shown in: lists leave the state out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    Alone,
    InList,
}

/// `FunctionConfiguration`, under the ARN that was asked for. `revision` is that of the function's policy.
pub fn configuration(function: &LocalFunction, place: &Place, arn: &Arn, revision: u64, shown: Shown) -> Value {
    let mut view = settings(function, place);
    let revision_id = of_settings(&view, revision);
    let at = function.settings.last_modified;
    view["FunctionArn"] = json!(arn.to_string());
    view["LastModified"] = json!(at.strftime("%Y-%m-%dT%H:%M:%S.%3f+0000").to_string());
    view["RevisionId"] = json!(revision_id);
    if shown == Shown::Alone {
        view["State"] = json!("Active");
        view["LastUpdateStatus"] = json!("Successful");
    }
    view
}

/// `AliasConfiguration`. `revision` is that of the alias's policy.
pub fn alias(arn: &Arn, revision: u64) -> Value {
    json!({
        "AliasArn": arn.to_string(),
        "Name": id(arn).1,
        "FunctionVersion": LATEST,
        "Description": "",
        "RevisionId": of_alias(arn, revision),
    })
}

/// The `RevisionId` of what an ARN names: of an alias, else of the function. It changes when what is shown of it does, or
/// its policy.
pub fn revision_id(function: &LocalFunction, arn: &Arn, revision: u64) -> String {
    match id(arn).1 {
        LATEST => {
            let (partition, region, account) = (arn.partition(), arn.region(), arn.account());
            let place = Place { partition: partition.into(), region: region.into(), account: account.into() };
            of_settings(&settings(function, &place), revision)
        }
        _ => of_alias(arn, revision),
    }
}

/// What the file says of a function. Its environment is left out: that is where secrets are.
fn settings(function: &LocalFunction, place: &Place) -> Value {
    let (settings, name) = (&function.settings, &function.name);
    let Place { partition, region, account } = place;
    let mut view = json!({
        "FunctionName": name,
        "FunctionArn": format!("arn:{partition}:lambda:{region}:{account}:function:{name}"),
        "Runtime": settings.runtime.as_deref().unwrap_or(OWN_RUNTIME),
        "Role": format!("arn:{partition}:iam::{account}:role/{name}"),
        "CodeSize": 0,
        "Description": "",
        "Timeout": settings.timeout.as_secs(),
        "MemorySize": settings.memory_size,
        "CodeSha256": NO_CODE,
        "Version": LATEST,
        "TracingConfig": { "Mode": "PassThrough" },
        "PackageType": "Zip",
        "Architectures": [if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" }],
        "EphemeralStorage": { "Size": EPHEMERAL_STORAGE },
        "SnapStart": { "ApplyOn": "None", "OptimizationStatus": "Off" },
        "LoggingConfig": { "LogFormat": "Text", "LogGroup": format!("/aws/lambda/{name}") },
    });
    if let Some(handler) = &settings.handler {
        view["Handler"] = json!(handler);
    }
    if let Some(queue) = &settings.dead_letter_queue {
        view["DeadLetterConfig"] = json!({ "TargetArn": queue.to_string() });
    }
    view
}

fn of_settings(settings: &Value, revision: u64) -> String {
    uuid(&format!("{settings}\n{revision}"))
}

fn of_alias(arn: &Arn, revision: u64) -> String {
    uuid(&format!("{arn}\n{revision}"))
}

fn uuid(text: &str) -> String {
    Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("pelton:{text}").as_bytes()).to_string()
}

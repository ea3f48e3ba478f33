//! Whether what asynchronous invocations need is there.
use pelton_config::{FunctionSettings, Loaded};
use pelton_core::{DestinationArn, FunctionName};

use super::services::{Answer, Services};
use super::{NOT_THERE, Report, missing};

const NO_FUNCTION: &str = "The function doesn't exist.";

/// `region` is that of functions that are named without an ARN.
pub async fn check(loaded: &Loaded, services: &mut Services<'_>, region: &str, report: &mut Report) {
    if let Some(queue) = &loaded.configuration.async_queue {
        let answer = services.ask(queue, region).await;
        let problem = |message, fix| loaded.problem("AsyncQueue", message, fix);
        report.take(answer, ("the queue does not exist", NOT_THERE), problem);
    }
    for settings in &loaded.configuration.function_settings {
        function(loaded, settings, services, region, report).await;
        if let Some(target) = &settings.dead_letter_queue {
            let answer = services.ask(target.arn(), region).await;
            let problem = |message, fix| {
                loaded.function_problem(settings.function.name(), "DeadLetterConfig.TargetArn", message, fix)
            };
            report.take(answer, (&missing(target), NOT_THERE), problem);
        }
        for (qualifier, config) in &settings.event_invoke_configs {
            let sides = [("OnSuccess", &config.on_success), ("OnFailure", &config.on_failure)];
            for (side, destination) in sides {
                let Some(destination) = destination.as_ref().filter(|to| !is_local(to, loaded)) else { continue };
                let answer = services.ask(destination.arn(), region).await;
                let field = format!("DestinationConfig.{side}.Destination");
                let place = (settings.function.name(), qualifier.as_str());
                let problem = |message, fix| loaded.event_invoke_config_problem(place, &field, message, fix);
                report.take(answer, (&missing(destination), NOT_THERE), problem);
            }
        }
    }
}

/// Whether a function at Lambda and its versions and aliases are there. A local one has been checked with the file.
async fn function(
    loaded: &Loaded,
    settings: &FunctionSettings,
    services: &Services<'_>,
    region: &str,
    report: &mut Report,
) {
    let function = &settings.function;
    if loaded.configuration.local_function(function).is_some() {
        return;
    }
    let fix = "create it at this endpoint, or give the entry a Command or Runtime, which makes it a local process";
    let answer = services.function_named(function.as_str(), region).await;
    let is_there = matches!(answer, Answer::There(_));
    let problem = |message, fix| loaded.function_problem(function.name(), "FunctionName", message, fix);
    report.take(answer, (NO_FUNCTION, fix), problem);
    if !is_there {
        return;
    }
    for (qualifier, _) in settings.event_invoke_configs.iter().filter(|(qualifier, _)| qualifier != "$LATEST") {
        let answer = services.function_named(&format!("{function}:{qualifier}"), region).await;
        let place = (function.name(), qualifier.as_str());
        let problem = |message, fix| loaded.event_invoke_config_problem(place, "Qualifier", message, fix);
        report.take(answer, (NO_FUNCTION, "publish the version or create the alias, or correct it"), problem);
    }
}

/// Whether a destination is a local function, which has been checked with the file.
pub fn is_local(destination: &DestinationArn, loaded: &Loaded) -> bool {
    let DestinationArn::Function(arn) = destination else { return false };
    let name = arn.to_string().parse();
    name.is_ok_and(|name: FunctionName| loaded.configuration.local_function(&name).is_some())
}

//! Whether destinations can be what they are to be (spec 12.2).
use pelton_core::{Arn, DestinationArn};

use super::super::error::ApiError;
use super::super::functions::Functions;
use super::super::named::at_home;
use super::super::present::has_upstream;
use super::fields::{Fields, Sides};
use super::kept::id;

/// Checks the destinations of a function: first whether they are of a kind that takes records, then, of functions,
/// whether they are there.
pub async fn check(fields: &Fields, function: &Arn, functions: &dyn Functions) -> Result<(), ApiError> {
    let Some(sides) = &fields.destinations else { return Ok(()) };
    for (side, may_be_bucket) in [(&sides.on_success, false), (&sides.on_failure, true)] {
        let Some(text) = side.as_ref().and_then(Option::as_ref) else { continue };
        match text.parse::<DestinationArn>() {
            Ok(DestinationArn::Queue(_) | DestinationArn::Topic(_) | DestinationArn::EventBus(_)) => {}
            Ok(DestinationArn::Bucket(_)) if may_be_bucket => {}
            Ok(DestinationArn::Function(arn)) => check_function(text, arn, function, functions).await?,
            _ => return Err(unsupported(sides)),
        }
    }
    Ok(())
}

async fn check_function(text: &str, arn: Arn, function: &Arn, functions: &dyn Functions) -> Result<(), ApiError> {
    let arn = at_home(arn, functions);
    let (name, qualifier) = id(&arn);
    let is_there = match functions.local(name) {
        Some(local) => local.has(qualifier),
        None => has_upstream(functions, &arn).await?,
    };
    if !is_there {
        return Err(ApiError::invalid_parameter(format!("The destination ARN {text} is invalid.")));
    }
    let place = |arn: &Arn| (arn.region().to_owned(), arn.account().to_owned(), id(arn).0.to_owned());
    match place(&arn) == place(function) {
        true => Err(ApiError::invalid_parameter("You can't specify the function as a destination for itself.")),
        false => Ok(()),
    }
}

fn unsupported(sides: &Sides) -> ApiError {
    let show = |side: &Option<Option<String>>, name: &str| match side {
        None => "null".to_owned(),
        Some(to) => format!("{name}(destination={})", to.as_deref().unwrap_or("null")),
    };
    ApiError::invalid_parameter(format!(
        "The provided destination config DestinationConfig(onSuccess={}, onFailure={}) is invalid.",
        show(&sides.on_success, "OnSuccess"),
        show(&sides.on_failure, "OnFailure")
    ))
}

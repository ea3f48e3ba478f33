//! Which operation a path means.
use axum::http::Method;
use pelton_core::MappingId;
use percent_encoding::percent_decode_str;
use uuid::Uuid;

use super::operation::{Operation, operation};

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    CreateMapping,
    ListMappings,
    GetMapping(Id),
    UpdateMapping(Id),
    DeleteMapping(Id),
    /// Tags of something, by its ARN.
    Tags(TagOperation, String),
    /// Of a function, by its name as it was written.
    Invoke(String),
    InvokeAsync(String),
    EventInvokeConfig(ConfigOperation, String),
    ListEventInvokeConfigs(String),
    ListFunctions,
    CreateFunction,
    Function(Operation, String),
    /// A path of what is answered here that means nothing.
    Unknown,
    /// `.` or `..` in the path.
    Dots,
    /// An operation of Lambda that isn't answered here.
    Upstream,
}

/// A mapping's UUID; `None`: what stands in its place is no UUID, so that no mapping has it.
pub type Id = Option<MappingId>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagOperation {
    Add,
    Remove,
    List,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigOperation {
    Put,
    Update,
    Get,
    Delete,
}

/// Whether a path is one of Lambda's: they begin with the date of a version of its API.
pub fn is_lambda(path: &str) -> bool {
    let pattern = b"/20dd-dd-dd/";
    let matches = |(byte, wanted): (&u8, &u8)| if *wanted == b'd' { byte.is_ascii_digit() } else { byte == wanted };
    path.len() >= pattern.len() && path.as_bytes().iter().zip(pattern).all(matches)
}

/// Reads a path, as it came: still percent-encoded.
pub fn route(method: &Method, path: &str) -> Route {
    // What is no text is nothing that has a name here, and stays as it is for the upstream.
    let decoded = |segment: &str| percent_decode_str(segment).decode_utf8().map(|text| text.into_owned());
    let segments: Vec<String> =
        path.split('/').skip(1).map(|segment| decoded(segment).unwrap_or_else(|_| segment.to_owned())).collect();
    if segments.iter().any(|segment| segment == "." || segment == "..") {
        return Route::Dots;
    }
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    // Older SDKs end the path of the collection with a slash.
    let segments = match &segments[..] {
        [before @ .., ""] => before,
        all => all,
    };
    match segments {
        ["2015-03-31", "event-source-mappings"] => match *method {
            Method::POST => Route::CreateMapping,
            Method::GET => Route::ListMappings,
            _ => Route::Unknown,
        },
        ["2015-03-31", "event-source-mappings", id] => {
            let id = id.parse::<Uuid>().ok().filter(|_| id.len() == 36).map(MappingId);
            match *method {
                Method::GET => Route::GetMapping(id),
                Method::PUT => Route::UpdateMapping(id),
                Method::DELETE => Route::DeleteMapping(id),
                _ => Route::Unknown,
            }
        }
        ["2015-03-31", "event-source-mappings", ..] => Route::Unknown,
        ["2015-03-31", "functions", name, "invocations"] if method == Method::POST => Route::Invoke((*name).to_owned()),
        ["2014-11-13", "functions", name, "invoke-async"] if method == Method::POST => {
            Route::InvokeAsync((*name).to_owned())
        }
        ["2019-09-25", "functions", name, "event-invoke-config"] => {
            let operation = match *method {
                Method::PUT => ConfigOperation::Put,
                Method::POST => ConfigOperation::Update,
                Method::GET => ConfigOperation::Get,
                Method::DELETE => ConfigOperation::Delete,
                _ => return Route::Unknown,
            };
            Route::EventInvokeConfig(operation, (*name).to_owned())
        }
        ["2019-09-25", "functions", name, "event-invoke-config", "list"] if method == Method::GET => {
            Route::ListEventInvokeConfigs((*name).to_owned())
        }
        ["2019-09-25", "functions", _, "event-invoke-config", ..] => Route::Unknown,
        ["2017-03-31", "tags", resource @ ..] if !resource.is_empty() => {
            let operation = match *method {
                Method::POST => TagOperation::Add,
                Method::DELETE => TagOperation::Remove,
                Method::GET => TagOperation::List,
                _ => return Route::Upstream,
            };
            Route::Tags(operation, resource.join("/"))
        }
        ["2015-03-31", "functions"] => match *method {
            Method::POST => Route::CreateFunction,
            Method::GET => Route::ListFunctions,
            _ => Route::Upstream,
        },
        [date, "functions", name, rest @ ..] => Route::Function(operation(method, date, rest), (*name).to_owned()),
        _ => Route::Upstream,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const UUID: &str = "14e0db71-5d35-4eb5-b481-8945cf9d10c2";

    fn id() -> Id {
        Some(MappingId(UUID.parse().unwrap()))
    }

    #[test]
    fn paths_mean_operations_with_a_slash_at_the_end_or_without() {
        for slash in ["", "/"] {
            let collection = format!("/2015-03-31/event-source-mappings{slash}");
            assert_eq!(route(&Method::POST, &collection), Route::CreateMapping);
            assert_eq!(route(&Method::GET, &collection), Route::ListMappings);
            assert_eq!(route(&Method::PUT, &collection), Route::Unknown);
            for uuid in [UUID, &UUID.to_uppercase(), &UUID.replace('-', "%2D")] {
                let one = format!("/2015-03-31/event-source-mappings/{uuid}{slash}");
                assert_eq!(route(&Method::GET, &one), Route::GetMapping(id()));
                assert_eq!(route(&Method::PUT, &one), Route::UpdateMapping(id()));
                assert_eq!(route(&Method::DELETE, &one), Route::DeleteMapping(id()));
                assert_eq!(route(&Method::PATCH, &one), Route::Unknown);
            }
            let tags = format!("/2017-03-31/tags/arn%3Aaws%3Alambda:x{slash}");
            let arn = || "arn:aws:lambda:x".to_owned();
            assert_eq!(route(&Method::POST, &tags), Route::Tags(TagOperation::Add, arn()));
            assert_eq!(route(&Method::DELETE, &tags), Route::Tags(TagOperation::Remove, arn()));
            assert_eq!(route(&Method::GET, &tags), Route::Tags(TagOperation::List, arn()));
        }
    }

    #[test]
    fn what_is_of_a_function_is_found_by_its_name() {
        for (written, name) in [("f", "f"), ("f%3Alive", "f:live"), ("..%2F..%2Fx", "../../x"), ("%ff", "%ff")] {
            for slash in ["", "/"] {
                let invoke = format!("/2015-03-31/functions/{written}/invocations{slash}");
                assert_eq!(route(&Method::POST, &invoke), Route::Invoke(name.into()));
                assert_eq!(route(&Method::GET, &invoke), Route::Function(Operation::Unknown, name.into()));
                let older = format!("/2014-11-13/functions/{written}/invoke-async{slash}");
                assert_eq!(route(&Method::POST, &older), Route::InvokeAsync(name.into()));
                let config = format!("/2019-09-25/functions/{written}/event-invoke-config{slash}");
                for (method, operation) in [
                    (Method::PUT, ConfigOperation::Put),
                    (Method::POST, ConfigOperation::Update),
                    (Method::GET, ConfigOperation::Get),
                    (Method::DELETE, ConfigOperation::Delete),
                ] {
                    assert_eq!(route(&method, &config), Route::EventInvokeConfig(operation, name.into()));
                }
                assert_eq!(route(&Method::PATCH, &config), Route::Unknown);
                let list = format!("/2019-09-25/functions/{written}/event-invoke-config/list{slash}");
                assert_eq!(route(&Method::GET, &list), Route::ListEventInvokeConfigs(name.into()));
                assert_eq!(route(&Method::PUT, &list), Route::Unknown);
                let function = format!("/2015-03-31/functions/{written}{slash}");
                assert_eq!(route(&Method::GET, &function), Route::Function(Operation::Get, name.into()));
                let statement = format!("/2015-03-31/functions/{written}/policy/s%2D1{slash}");
                let remove = Operation::RemovePermission("s-1".into());
                assert_eq!(route(&Method::DELETE, &statement), Route::Function(remove, name.into()));
            }
        }
    }

    #[test]
    fn what_is_no_id_is_nobodys_and_the_rest_is_the_upstreams() {
        for text in ["x", "14e0db715d354eb5b4818945cf9d10c2", "a%2Fb", "%ff", "urn:uuid:14e0db71"] {
            let path = format!("/2015-03-31/event-source-mappings/{text}");
            assert_eq!(route(&Method::GET, &path), Route::GetMapping(None), "{text}");
        }
        let below = format!("/2015-03-31/event-source-mappings/{UUID}/more");
        assert_eq!(route(&Method::GET, &below), Route::Unknown);
        assert_eq!(route(&Method::POST, "/2015-03-31/functions/"), Route::CreateFunction);
        assert_eq!(route(&Method::GET, "/2015-03-31/functions"), Route::ListFunctions);
        for path in ["/2015-03-31/functions/f/invocations/more", "/2099-12-31/functions/f/anything"] {
            assert_eq!(route(&Method::POST, path), Route::Function(Operation::Unknown, "f".into()));
        }
        for path in [
            "/2099-12-31/functions",
            "/2018-10-31/layers",
            "/2016-08-19/account-settings",
            "/2015-03-31//event-source-mappings",
            "/2017-03-31/tags",
        ] {
            assert_eq!(route(&Method::POST, path), Route::Upstream, "{path}");
        }
    }

    #[test]
    fn dots_go_nowhere() {
        for path in [
            "/2015-03-31/functions/../event-source-mappings",
            "/2015-03-31/functions/%2e%2E/x",
            "/2015-03-31/./functions",
            "/2015-03-31/event-source-mappings/..",
        ] {
            assert_eq!(route(&Method::GET, path), Route::Dots, "{path}");
        }
        assert_eq!(route(&Method::GET, "/2015-03-31/functions/..."), Route::Function(Operation::Get, "...".into()));
    }

    #[test]
    fn lambdas_paths_begin_with_a_date() {
        for path in ["/2015-03-31/functions", "/2099-12-31/"] {
            assert!(is_lambda(path), "{path}");
        }
        for path in ["", "/", "/status", "/2015-03-31", "/2015-3-31/x", "/1915-03-31/x", "/20é5-03-31/x"] {
            assert!(!is_lambda(path), "{path}");
        }
    }

    proptest! {
        #[test]
        fn any_path_means_something(path in "\\PC{0,40}|/20[0-9-]{8}(/[a-z%0-9.:-]{0,12}){0,4}") {
            let _ = (is_lambda(&path), route(&Method::GET, &path), route(&Method::POST, &path));
        }
    }
}

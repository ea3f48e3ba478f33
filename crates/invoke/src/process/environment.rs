//! The environment of a function's process.
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use super::settings::{Launch, ProcessSettings, Runtime};

/// What is set on top of Pelton's own environment, which the process inherits: `PATH`, credentials and
/// `AWS_ENDPOINT_URL` are then the same for both, as a developer expects.
pub fn variables(
    settings: &ProcessSettings,
    task_root: &Path,
    runtime_directory: Option<&Path>,
    process_number: usize,
    runtime_api: SocketAddr,
) -> BTreeMap<String, String> {
    let name = &settings.name;
    let mut variables = BTreeMap::new();
    let mut set = |key: &str, value: &str| variables.insert(key.to_owned(), value.to_owned());
    set("AWS_LAMBDA_FUNCTION_NAME", name);
    set("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST");
    set("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &settings.memory_size_megabytes.to_string());
    set("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand");
    set("AWS_LAMBDA_LOG_GROUP_NAME", &format!("/aws/lambda/{name}"));
    set("AWS_LAMBDA_LOG_STREAM_NAME", &format!("pelton/[$LATEST]{process_number}"));
    set("AWS_REGION", &settings.region);
    set("AWS_DEFAULT_REGION", &settings.region);
    set("LAMBDA_TASK_ROOT", &task_root.to_string_lossy());
    set("TZ", ":UTC");
    // Not Lambda's: without it Python keeps lines to itself when its output is a pipe.
    set("PYTHONUNBUFFERED", "1");
    if settings.watch {
        // Not Lambda's: Python compares cached bytecode by whole seconds, and would miss a quick second change.
        set("PYTHONDONTWRITEBYTECODE", "1");
    }
    match &settings.launch {
        Launch::Runtime { runtime, handler, .. } => {
            set("_HANDLER", handler);
            set("AWS_EXECUTION_ENV", &execution_environment(runtime));
        }
        Launch::Command(command) => {
            set("_HANDLER", command.last().map_or("", String::as_str));
        }
    }
    if let Some(directory) = runtime_directory {
        set("LAMBDA_RUNTIME_DIR", &directory.to_string_lossy());
    }
    variables.extend(settings.environment.clone());
    variables.insert("AWS_LAMBDA_RUNTIME_API".to_owned(), runtime_api.to_string());
    variables
}

fn execution_environment(runtime: &Runtime) -> String {
    format!("AWS_Lambda_{runtime}")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_users_variables_win_except_for_the_runtime_api() {
        let settings = ProcessSettings {
            name: "work".into(),
            region: "eu-west-1".into(),
            account: None,
            launch: Launch::Runtime {
                runtime: "python3.11".parse().unwrap(),
                handler: "app.handler".into(),
                code_uri: PathBuf::from("src"),
            },
            working_directory: PathBuf::from("/work"),
            concurrency: 1,
            timeout: Duration::from_secs(3),
            memory_size_megabytes: 128,
            environment: [("TZ", "Europe/Berlin"), ("AWS_LAMBDA_RUNTIME_API", "elsewhere"), ("TABLE", "orders")]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            watch: false,
        };
        let variables = variables(&settings, Path::new("/work/src"), None, 2, ([127, 0, 0, 1], 9001).into());
        for (key, value) in [
            ("TZ", "Europe/Berlin"),
            ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001"),
            ("TABLE", "orders"),
            ("_HANDLER", "app.handler"),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_EXECUTION_ENV", "AWS_Lambda_python3.11"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
            ("LAMBDA_TASK_ROOT", "/work/src"),
        ] {
            assert_eq!(variables.get(key).map(String::as_str), Some(value), "{key}");
        }
    }
}

//! The rules of a local function that a schema can't say.
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use pelton_core::FunctionName;

use crate::configuration::{Function, Program, Runtime};
use crate::section::Section;
use crate::wire;

/// Variables that Pelton sets for every function. AWS reserves more, such as AWS_REGION, that are useful to set here.
const RESERVED: &[&str] = &["_HANDLER", "_X_AMZN_TRACE_ID", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR"];

/// Checks a function. `None` if something of it is wrong, now or before. `directory` is that of the file.
pub(crate) fn check(wire: wire::Function, directory: &Path, section: &mut Section<'_>) -> Option<Function> {
    let name = wire.function_name.and_then(|name| bare_name(name, section));
    let program = program(wire.command, wire.runtime, wire.handler.is_some(), section);
    let environment = wire.environment.and_then(|environment| environment.variables).unwrap_or_default();
    check_environment(&environment, section);
    let (name, mut program) = (name?, program?);
    let code_uri = match wire.code_uri {
        Some(code_uri) => directory.join(code_uri),
        None => directory.to_owned(),
    };
    if let Program::Command(words) = &mut program {
        for program in words.iter_mut().take(1).filter(|program| program.contains('/')) {
            *program = code_uri.join(program.trim_start_matches("./")).to_string_lossy().into_owned();
        }
    }
    section.is_good().then(|| Function {
        name,
        program,
        handler: wire.handler,
        code_uri,
        concurrency: wire.concurrency.unwrap_or(1) as usize,
        timeout: Duration::from_secs(wire.timeout.unwrap_or(3).into()),
        memory_size: wire.memory_size.unwrap_or(128),
        environment,
        watch: wire.watch.unwrap_or(false),
        aliases: Vec::new(),
        reserved_concurrency: None,
    })
}

fn bare_name(name: String, section: &mut Section<'_>) -> Option<String> {
    const FIX: &str = "write the function's bare name; mappings may add a qualifier or write the ARN";
    match name.parse::<FunctionName>() {
        Ok(parsed) if parsed.name() == name => Some(name),
        Ok(_) => {
            section.problem("FunctionName", "a local function has neither account nor qualifier", FIX);
            None
        }
        Err(error) => {
            section.problem("FunctionName", error.to_string(), FIX);
            None
        }
    }
}

fn program(
    command: Option<wire::Command>,
    runtime: Option<String>,
    has_handler: bool,
    section: &mut Section<'_>,
) -> Option<Program> {
    let is_written = |field: &str| section.node.at(field).is_some();
    match (is_written("Command"), is_written("Runtime")) {
        (true, true) => {
            let fix = "remove Runtime if the program speaks the Lambda Runtime API itself, else remove Command";
            section.problem("Runtime", "Command and Runtime exclude each other", fix);
            None
        }
        (false, false) => {
            let message = "the function says neither Command nor Runtime, so there is nothing to start";
            let fix = "add Command: [program, argument], or Runtime: python3.x and Handler: module.function";
            section.problem("", message, fix);
            None
        }
        (true, false) => match command? {
            wire::Command::Text(text) => match words(&text) {
                Some(words) if words.first().is_some_and(|program| !program.is_empty()) => {
                    Some(Program::Command(words))
                }
                Some(_) => {
                    section.problem("Command", "the command is empty", "write a program and its arguments");
                    None
                }
                None => {
                    let fix = "close the quote, or write the command as a list";
                    section.problem("Command", "a quote in the command is never closed", fix);
                    None
                }
            },
            wire::Command::List(words) => match words.first() {
                Some(program) if !program.is_empty() => Some(Program::Command(words)),
                Some(_) => {
                    section.problem("Command", "the command is empty", "write a program as the first item");
                    None
                }
                None => None,
            },
        },
        (false, true) => {
            if !has_handler && !is_written("Handler") {
                section.problem("Runtime", "Runtime needs a Handler", "add Handler: module.function");
            }
            let runtime = runtime?;
            let known = self::runtime(&runtime);
            if known.is_none() {
                let message = format!("'{runtime}' is no runtime that Pelton can start");
                let fix = "write python3.x or nodejs.x, or a version: python3.8 and newer, nodejs18.x and newer; \
                           anything else runs as a Command";
                section.problem("Runtime", message, fix);
            }
            known.map(Program::Runtime)
        }
    }
}

/// The oldest that the bootstraps run on.
const OLDEST_PYTHON_MINOR: u32 = 8;
const OLDEST_NODEJS_MAJOR: u32 = 18;

/// `python3.12`, `python3.x`, `python3`, `nodejs22.x`, `nodejs.x`, `nodejs`.
fn runtime(text: &str) -> Option<Runtime> {
    let number = |text: &str, oldest: u32| {
        let digits_only = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|number: &u32| digits_only && *number >= oldest)
    };
    if let Some(version) = text.strip_prefix("python3") {
        return match version.strip_prefix('.') {
            None if version.is_empty() => Some(Runtime::Python(None)),
            Some("x") => Some(Runtime::Python(None)),
            minor => number(minor?, OLDEST_PYTHON_MINOR).map(|minor| Runtime::Python(Some(format!("3.{minor}")))),
        };
    }
    let version = text.strip_prefix("nodejs")?;
    match version.strip_suffix(".x").unwrap_or(version) {
        "" => Some(Runtime::NodeJs(None)),
        major => number(major, OLDEST_NODEJS_MAJOR).map(|major| Runtime::NodeJs(Some(major.to_string()))),
    }
}

/// Splits a command at white space, as a shell would: quotes group, a backslash takes the next character as it is
/// (inside single quotes it is itself). `None` if a quote is never closed.
fn words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (Some(open), _) if character == open => quote = None,
            (Some('\''), _) => word.get_or_insert_default().push(character),
            (_, '\\') => word.get_or_insert_default().push(characters.next().unwrap_or('\\')),
            (Some(_), _) => word.get_or_insert_default().push(character),
            (None, '"' | '\'') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, _) if character.is_whitespace() => words.extend(word.take()),
            (None, _) => word.get_or_insert_default().push(character),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

fn check_environment(environment: &BTreeMap<String, String>, section: &mut Section<'_>) {
    for (name, value) in environment {
        let field = "Environment.Variables";
        let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_');
        if !is_name {
            let message = format!("'{}' is no name of an environment variable", crate::problem::shortened(name));
            section.problem(field, message, "use letters, digits and '_', and begin with a letter");
        } else if RESERVED.contains(&name.as_str()) || name.starts_with("AWS_LAMBDA_") {
            let message = format!(
                "Lambda was unable to configure your environment variables because the environment variables you have \
                 provided contains reserved keys that are currently not supported for modification. Reserved keys used \
                 in this request: {name}"
            );
            let fix = "remove it: Pelton sets it for every function";
            section.problem(&format!("{field}.{name}"), message, fix);
        } else if value.contains('\0') {
            section.problem(field, format!("the value of {name} holds a NUL character"), "remove the character");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn splits_a_command_as_a_shell_does() {
        for (text, result) in [
            ("python3 app.py", Some(vec!["python3", "app.py"])),
            ("  a\t'b c'  \"d 'e\" f\\ g ''", Some(vec!["a", "b c", "d 'e", "f g", ""])),
            ("a'b'\"c\"", Some(vec!["abc"])),
            ("'\\'", Some(vec!["\\"])),
            ("a\\", Some(vec!["a\\"])),
            ("", Some(vec![])),
            ("a 'b", None),
        ] {
            let result: Option<Vec<String>> = result.map(|words| words.into_iter().map(str::to_owned).collect());
            assert_eq!(words(text), result, "{text}");
        }
    }

    #[test]
    fn knows_the_runtimes() {
        for (text, result) in [
            ("python3.12", Some(Runtime::Python(Some("3.12".into())))),
            ("python3.x", Some(Runtime::Python(None))),
            ("python3", Some(Runtime::Python(None))),
            ("nodejs22.x", Some(Runtime::NodeJs(Some("22".into())))),
            ("nodejs.x", Some(Runtime::NodeJs(None))),
            ("nodejs", Some(Runtime::NodeJs(None))),
            ("python2.7", None),
            ("python3.", None),
            ("python3.7", None),
            ("python3.+9", None),
            ("nodejs16.x", None),
            ("python33", None),
            ("nodejsx", None),
            ("provided.al2023", None),
        ] {
            assert_eq!(runtime(text), result, "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "[a-z '\"\\\\]{0,20}") {
            let _ = (words(&text), runtime(&text));
        }
    }
}

//! The rules of an entry under `Functions` that a schema can't say.
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use pelton_core::FunctionName;

use crate::asynchronous::{self, Owner};
use crate::configuration::{Function, FunctionSettings, Program, Runtime};
use crate::section::Section;
use crate::wire;
use crate::yaml::Node;

/// Variables that Pelton sets for every function. AWS reserves more, such as AWS_REGION, that are useful to set here.
const RESERVED: &[&str] = &["_HANDLER", "_X_AMZN_TRACE_ID", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR"];

/// What only processes have.
const OF_PROCESSES: &[&str] = &[
    "Handler",
    "CodeUri",
    "Concurrency",
    "Timeout",
    "MemorySize",
    "Environment",
    "Watch",
    "ReservedConcurrentExecutions",
    "Aliases",
];
/// What any function may have; an entry with nothing else is about a function at Lambda.
const OF_ALL: &[&str] = &["DeadLetterConfig", "EventInvokeConfig"];
const LONGEST_ALIAS: usize = 128;

/// One entry that has no problem.
pub(crate) struct Checked {
    /// `None`: the function isn't a process here.
    pub local: Option<Function>,
    /// `None`: nothing is set for asynchronous invocations.
    pub settings: Option<FunctionSettings>,
    /// Where the event invoke config of each qualifier stands.
    pub places: Vec<(String, String)>,
}

/// Whether an entry is about a process of this machine, or meant to be.
pub(crate) fn is_local(node: &Node) -> bool {
    let is_written = |field: &&str| node.at(field).is_some();
    ["Command", "Runtime"].iter().any(is_written) || !OF_ALL.iter().any(is_written)
}

/// Checks a function. `None` if something of it is wrong, now or before. `directory` is that of the file.
pub(crate) fn check(mut wire: wire::Function, directory: &Path, section: &mut Section<'_>) -> Option<Checked> {
    let is_local = is_local(section.node);
    let function = wire.function_name.take().and_then(|name| name_of(&name, is_local, section));
    let aliases = match is_local {
        true => aliases(wire.aliases.take(), section),
        false => {
            refuse_of_processes(section);
            None
        }
    };
    let owner = Owner { function: function.as_ref(), aliases: aliases.as_deref() };
    let dead_letter_queue = asynchronous::dead_letter_queue(wire.dead_letter_config.take(), section);
    let blocks = asynchronous::event_invoke_configs(wire.event_invoke_config.take(), &owner, section);
    let local = match is_local {
        true => Some(process(function.as_ref(), wire, aliases.unwrap_or_default(), directory, section)?),
        false => None,
    };
    let has_settings = dead_letter_queue.is_some() || !blocks.is_empty();
    let places = blocks.iter().map(|block| (block.qualifier.clone(), block.path.clone())).collect();
    let event_invoke_configs = blocks.into_iter().map(|block| (block.qualifier, block.config)).collect();
    let settings = FunctionSettings { function: function?, dead_letter_queue, event_invoke_configs };
    section.is_good().then_some(Checked { local, settings: has_settings.then_some(settings), places })
}

/// Checks what is started.
fn process(
    function: Option<&FunctionName>,
    wire: wire::Function,
    aliases: Vec<String>,
    directory: &Path,
    section: &mut Section<'_>,
) -> Option<Function> {
    let program = program(wire.command, wire.runtime, wire.handler.is_some(), section);
    let environment = wire.environment.and_then(|environment| environment.variables).unwrap_or_default();
    check_environment(&environment, section);
    let (function, mut program) = (function?, program?);
    let code_uri = match wire.code_uri {
        Some(code_uri) => directory.join(code_uri),
        None => directory.to_owned(),
    };
    if let Program::Command(words) = &mut program {
        for program in words.iter_mut().take(1).filter(|program| program.contains('/')) {
            *program = code_uri.join(program.trim_start_matches("./")).to_string_lossy().into_owned();
        }
    }
    Some(Function {
        name: function.name().to_owned(),
        program,
        handler: wire.handler,
        code_uri,
        concurrency: wire.concurrency.unwrap_or(1) as usize,
        timeout: Duration::from_secs(wire.timeout.unwrap_or(3).into()),
        memory_size: wire.memory_size.unwrap_or(128),
        environment,
        watch: wire.watch.unwrap_or(false),
        aliases,
        reserved_concurrency: wire.reserved_concurrent_executions,
    })
}

fn refuse_of_processes(section: &mut Section<'_>) {
    for field in OF_PROCESSES.iter().filter(|field| section.node.at(field).is_some()) {
        let message = format!(
            "{field} is for local processes; without Command and Runtime, the entry is about a function that has its own \
             at Lambda"
        );
        section.problem(field, message, "remove it, or add Command or Runtime");
    }
}

/// `None`: something of them is wrong, now or before.
fn aliases(aliases: Option<Vec<String>>, section: &mut Section<'_>) -> Option<Vec<String>> {
    let aliases = aliases.unwrap_or_default();
    for (index, alias) in aliases.iter().enumerate() {
        let field = format!("Aliases[{index}]");
        let characters_are_good =
            alias.chars().all(|character| character.is_ascii_alphanumeric() || "-_".contains(character));
        let is_version = alias.bytes().all(|byte| byte.is_ascii_digit());
        if alias == asynchronous::LATEST {
            section.problem(&field, "every function has $LATEST: it is no alias", "remove it");
        } else if is_version || !characters_are_good || alias.len() > LONGEST_ALIAS {
            let message = format!("'{}' is no name of an alias", crate::problem::shortened(alias));
            let fix = format!("write 1 to {LONGEST_ALIAS} letters, digits, '-' and '_', and not digits alone");
            section.problem(&field, message, fix);
        } else if aliases.iter().take(index).any(|other| other == alias) {
            section.problem(&field, format!("the alias '{alias}' is given twice"), "remove one of them");
        }
    }
    (!section.findings.touch(&format!("{}.Aliases", section.path))).then_some(aliases)
}

fn name_of(name: &str, is_local: bool, section: &mut Section<'_>) -> Option<FunctionName> {
    const LOCAL: &str = "write the function's bare name; mappings may add a qualifier or write the ARN";
    const OTHER: &str = "write name, account:function:name, or the function's ARN; Qualifier of EventInvokeConfig says \
                         which version or alias is meant";
    let fix = if is_local { LOCAL } else { OTHER };
    match name.parse::<FunctionName>() {
        Ok(parsed) if is_local && parsed.name() != name => {
            section.problem("FunctionName", "a local function has neither account nor qualifier", fix);
            None
        }
        Ok(parsed) if parsed.qualifier().is_some() => {
            section.problem("FunctionName", "the function is named without version and alias here", fix);
            None
        }
        Ok(parsed) => Some(parsed),
        Err(error) => {
            section.problem("FunctionName", error.to_string(), fix);
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
            let fix = "add Command: [program, argument], or Runtime: python3.x and Handler: module.function, or, for a \
                       function at Lambda, DeadLetterConfig or EventInvokeConfig";
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

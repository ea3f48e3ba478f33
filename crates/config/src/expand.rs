//! `${NAME}` and `${NAME:-text}` in values.
use crate::problem::{Findings, is_secret};
use crate::yaml::{Content, Node};

const NO_NAME: &str = " is no name of an environment variable";

/// Expands every value of a tree in place; keys stay as they are.
pub(crate) fn expand(
    node: &mut Node,
    path: &str,
    environment: &dyn Fn(&str) -> Option<String>,
    findings: &mut Findings,
) {
    match &mut node.content {
        Content::Null => {}
        Content::Scalar(text) => match expanded(text, environment) {
            Ok(None) => {}
            Ok(Some(new)) => *text = new,
            Err(unexpanded) => {
                let Unexpanded { message, fix } = unexpanded.of(path);
                findings.add(node.position, path, text, message, fix);
                // Already reported; what it would have been is unknown.
                node.content = Content::Unknown;
            }
        },
        Content::Unknown => {}
        Content::List(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                expand(item, &format!("{path}[{index}]"), environment, findings);
            }
        }
        Content::Map(entries) => {
            for entry in entries {
                let below = if path.is_empty() { entry.key.clone() } else { format!("{path}.{}", entry.key) };
                expand(&mut entry.value, &below, environment, findings);
            }
        }
    }
}

struct Unexpanded {
    message: String,
    fix: String,
}

impl Unexpanded {
    /// Without what stands in the value, where that is secret.
    fn of(self, path: &str) -> Self {
        let Self { message, fix } = self;
        let message = match is_secret(path) && message.ends_with(NO_NAME) {
            true => format!("what stands between '${{' and '}}'{NO_NAME}"),
            false => message,
        };
        Self { message, fix }
    }
}

/// `None` if there is nothing to expand.
fn expanded(text: &str, environment: &dyn Fn(&str) -> Option<String>) -> Result<Option<String>, Unexpanded> {
    if !text.contains("${") {
        return Ok(None);
    }
    let mut result = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        if let Some(before) = rest[..start].strip_suffix('$') {
            result.push_str(before);
            result.push_str("${");
            rest = &rest[start + 2..];
            continue;
        }
        result.push_str(&rest[..start]);
        let Some((inside, after)) = rest[start + 2..].split_once('}') else {
            return Err(Unexpanded {
                message: "'${' without its '}'".into(),
                fix: "close it: ${NAME} or ${NAME:-default}; write $${ for the characters themselves".into(),
            });
        };
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_');
        if !is_name {
            return Err(Unexpanded {
                message: format!("'{name}'{NO_NAME}"),
                fix: "write ${NAME} or ${NAME:-default}; write $${ for the characters themselves".into(),
            });
        }
        let value = environment(name);
        match (value, default) {
            (Some(value), None) => result.push_str(&value),
            (Some(value), Some(_)) if !value.is_empty() => result.push_str(&value),
            (_, Some(default)) => result.push_str(default),
            (None, None) => {
                return Err(Unexpanded {
                    message: format!("the environment variable {name} is not set"),
                    fix: format!("set it, or give a default: ${{{name}:-default}}"),
                });
            }
        }
        rest = after;
    }
    result.push_str(rest);
    Ok(Some(result))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(text: &str) -> Result<String, String> {
        let environment = |name: &str| match name {
            "HOST" => Some("localhost".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        match expanded(text, &environment) {
            Ok(new) => Ok(new.unwrap_or_else(|| text.to_owned())),
            Err(error) => Err(error.message),
        }
    }

    #[test]
    fn replaces_what_is_set() {
        for (text, result) in [
            ("plain $HOST {HOST}", "plain $HOST {HOST}"),
            ("http://${HOST}:${PORT:-4566}/", "http://localhost:4566/"),
            ("${EMPTY}", ""),
            ("${EMPTY:-x}", "x"),
            ("${NONE:-}", ""),
            ("${NONE:-a:-b}", "a:-b"),
            ("$${HOST} costs $$5 in ${HOST}", "${HOST} costs $$5 in localhost"),
            ("ü${HOST}ü", "ülocalhostü"),
        ] {
            assert_eq!(run(text).as_deref(), Ok(result), "{text}");
        }
    }

    #[test]
    fn says_what_is_missing() {
        for (text, message) in [
            ("${NONE}", "the environment variable NONE is not set"),
            ("a ${HOST", "'${' without its '}'"),
            ("${}", "'' is no name of an environment variable"),
            ("${1A:-x}", "'1A' is no name of an environment variable"),
        ] {
            assert_eq!(run(text), Err(message.to_owned()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "[$\\{\\}:\\-A-Zä ]{0,30}") {
            let _ = run(&text);
        }
    }
}

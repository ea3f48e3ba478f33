//! Checks a document against the schema and takes out what is good, as JSON that the types of [`crate::wire`] accept.
//! Every problem is reported, and nothing with a problem is taken.
use serde_json::{Map, Value};

use crate::problem::{Findings, shortened};
use crate::refused;
use crate::yaml::{Content, Entry, Node};

/// Reads one value. `None` if nothing of it can be taken; a list or map is taken without its bad parts.
pub(crate) fn read(node: &Node, schema: &Value, path: &str, findings: &mut Findings) -> Option<Value> {
    if let Some(choices) = schema["anyOf"].as_array() {
        let kind = match node.content {
            Content::List(_) => "array",
            Content::Map(_) => "object",
            Content::Null | Content::Unknown | Content::Scalar(_) => "string",
        };
        let choice = choices.iter().find(|choice| choice["type"] == kind).or(choices.first())?;
        return read(node, choice, path, findings);
    }
    // Where several kinds will do, they are scalars, and are taken as they are written.
    let wanted = if schema["type"].is_array() { "string" } else { schema["type"].as_str()? };
    match (wanted, &node.content) {
        (_, Content::Unknown) => None,
        (_, Content::Null) => {
            let is_empty_map = schema["properties"].is_null() && schema["additionalProperties"] == false;
            let fix = if is_empty_map { "write {} behind it" } else { "give it a value, or remove the line" };
            findings.add(node.position, path, "", "there is no value", fix);
            None
        }
        ("object", Content::Map(entries)) => Some(read_map(node, entries, schema, path, findings)),
        ("array", Content::List(items)) => Some(read_list(node, items, schema, path, findings)),
        ("string", Content::Scalar(text)) => read_text(node, text, schema, path, findings),
        ("integer", Content::Scalar(text)) => read_integer(node, text, schema, path, findings),
        ("number", Content::Scalar(text)) => read_number(node, text, schema, path, findings),
        ("boolean", Content::Scalar(text)) => read_boolean(node, text, path, findings),
        (wanted, found) => {
            let (found, fix) = describe(found, wanted);
            let message = format!("expected {}, found {found}", wanted_in_words(wanted));
            findings.add(node.position, path, node.shown(), message, fix);
            None
        }
    }
}

fn read_map(node: &Node, entries: &[Entry], schema: &Value, path: &str, findings: &mut Findings) -> Value {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    let mut required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut taken = Map::new();
    for Entry { key, key_position, value } in entries {
        let known = match (&schema["properties"][key], &schema["additionalProperties"]) {
            (known @ Value::Object(_), _) => known,
            (_, any @ Value::Object(_)) => any,
            _ => {
                let unknown = refused::unknown_key(key, path, &schema["properties"]);
                findings.add(*key_position, &below(key), value.shown(), unknown.message, unknown.fix);
                required.retain(|required| Some(*required) != unknown.meant);
                continue;
            }
        };
        if value.content == Content::Null && required.contains(&key.as_str()) {
            findings.add(*key_position, &below(key), "", missing(&below(key)), "give it a value");
        } else if let Some(value) = read(value, known, &below(key), findings) {
            taken.insert(key.clone(), value);
        }
    }
    for key in required {
        if !entries.iter().any(|entry| entry.key == key) {
            findings.add(node.position, &below(key), "", missing(&below(key)), format!("add {key}"));
        }
    }
    Value::Object(taken)
}

fn read_list(node: &Node, items: &[Node], schema: &Value, path: &str, findings: &mut Findings) -> Value {
    let shown = format!("[{}]", items.iter().map(Node::shown).collect::<Vec<_>>().join(", "));
    let mut complain = |bound: &str, limit: u64, fix: String| {
        let rule = format!("Member must have length {bound} than or equal to {limit}");
        let message = constraint(path, &shortened(&shown), &rule, &format!("it has {} items", items.len()));
        findings.add(node.position, path, &shown, message, fix);
    };
    if let Some(most) = schema["maxItems"].as_u64().filter(|most| items.len() as u64 > *most) {
        complain("less", most, format!("keep {most} or fewer"));
    }
    if let Some(least) = schema["minItems"].as_u64().filter(|least| (items.len() as u64) < *least) {
        complain("greater", least, format!("give {least} or more"));
    }
    // A bad item of a list of maps stays as an empty map, so that the others keep their index.
    let placeholder = (schema["items"]["type"] == "object").then(|| Value::Object(Map::new()));
    let read_item = |(index, item)| {
        read(item, &schema["items"], &format!("{path}[{index}]"), findings).or_else(|| placeholder.clone())
    };
    Value::Array(items.iter().enumerate().filter_map(read_item).collect())
}

fn read_text(node: &Node, text: &str, schema: &Value, path: &str, findings: &mut Findings) -> Option<Value> {
    let allowed: Vec<&str> = schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if !allowed.is_empty() && !allowed.contains(&text) {
        let set = allowed.join(", ");
        let message = match path.strip_suffix(']').and_then(|path| path.rsplit_once('[')) {
            Some((list, _)) => constraint(
                list,
                &format!("[{}]", shortened(text)),
                &format!("Member must satisfy constraint: [Member must satisfy enum value set: [{set}]]"),
                "it is none of the known values",
            ),
            None => constraint(
                path,
                &shortened(text),
                &format!("Member must satisfy enum value set: [{set}]"),
                "it is none of the known values",
            ),
        };
        findings.add(node.position, path, text, message, format!("write {}", allowed.join(" or ")));
        return None;
    }
    let length = text.chars().count() as u64;
    let mut complain = |bound: &str, limit: u64, fix: String| {
        let rule = format!("Member must have length {bound} than or equal to {limit}");
        let message = constraint(path, &shortened(text), &rule, &format!("it has {length} characters"));
        findings.add(node.position, path, text, message, fix);
    };
    if let Some(most) = schema["maxLength"].as_u64().filter(|most| length > *most) {
        complain("less", most, format!("write {most} or fewer characters"));
        return None;
    }
    if let Some(least) = schema["minLength"].as_u64().filter(|least| length < *least) {
        complain("greater", least, format!("write {least} or more characters"));
        return None;
    }
    Some(Value::from(text))
}

fn read_integer(node: &Node, text: &str, schema: &Value, path: &str, findings: &mut Findings) -> Option<Value> {
    let (minimum, maximum) = (schema["minimum"].as_i64().unwrap_or(0), schema["maximum"].as_i64().unwrap_or(i64::MAX));
    let fix = format!("write a whole number from {minimum} to {maximum}");
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        findings.add(node.position, path, text, "expected a whole number", fix);
        return None;
    }
    // Digits only, so what doesn't parse is too large in its direction.
    let number = text.parse().unwrap_or(if text.starts_with('-') { i64::MIN } else { i64::MAX });
    let rule = match number {
        _ if number < minimum => format!("Member must have value greater than or equal to {minimum}"),
        _ if number > maximum => format!("Member must have value less than or equal to {maximum}"),
        _ => return Some(Value::from(number)),
    };
    let message = constraint(path, &shortened(text), &rule, &format!("the value is outside of {minimum} to {maximum}"));
    findings.add(node.position, path, text, message, fix);
    None
}

fn read_number(node: &Node, text: &str, schema: &Value, path: &str, findings: &mut Findings) -> Option<Value> {
    let (minimum, maximum) =
        (schema["minimum"].as_f64().unwrap_or(f64::MIN), schema["maximum"].as_f64().unwrap_or(f64::MAX));
    let fix = format!("write a number from {minimum} to {maximum}");
    let Ok(number) = text.parse::<f64>() else {
        findings.add(node.position, path, text, "expected a number", fix);
        return None;
    };
    if !(minimum..=maximum).contains(&number) {
        let message = format!("the value is outside of {minimum} to {maximum}");
        findings.add(node.position, path, text, message, fix);
        return None;
    }
    Some(Value::from(number))
}

fn read_boolean(node: &Node, text: &str, path: &str, findings: &mut Findings) -> Option<Value> {
    let lower = text.to_ascii_lowercase();
    let meant = match lower.as_str() {
        "true" => return Some(Value::from(true)),
        "false" => return Some(Value::from(false)),
        "yes" | "on" | "y" | "1" => "write true",
        "no" | "off" | "n" | "0" => "write false",
        _ => "write true or false",
    };
    let message = format!("expected true or false: '{}' is no boolean", shortened(text));
    findings.add(node.position, path, text, message, meant);
    None
}

/// AWS's sentence for a value out of bounds, where AWS has the field; else a plain one.
fn constraint(path: &str, value: &str, rule: &str, otherwise: &str) -> String {
    match member(path) {
        Some(member) => {
            format!("1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {rule}")
        }
        None => otherwise.to_owned(),
    }
}

/// A field as AWS's validation names it: `scalingConfig.maximumConcurrency`. `None` outside of functions and mappings.
pub(crate) fn member(path: &str) -> Option<String> {
    let (list, field) = path.split_once("].")?;
    if !list.starts_with("EventSourceMappings[") && !list.starts_with("Functions[") {
        return None;
    }
    // A resource of its own.
    let field = match field.strip_prefix("EventInvokeConfig") {
        Some(within) => within.split_once('.')?.1,
        None => field,
    };
    let camel_case = |name: &str| {
        let mut characters = name.chars();
        characters.next().map(|first| first.to_ascii_lowercase().to_string() + characters.as_str()).unwrap_or_default()
    };
    Some(field.split('.').map(camel_case).collect::<Vec<_>>().join("."))
}

fn missing(path: &str) -> String {
    let field = path.rsplit('.').next().unwrap_or(path);
    match (field, member(path)) {
        ("EventSourceArn", Some(_)) => "Unrecognized event source.".into(),
        (_, Some(member)) => format!(
            "1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must not be null"
        ),
        (_, None) => format!("{field} is missing"),
    }
}

fn wanted_in_words(kind: &str) -> &'static str {
    match kind {
        "object" => "a map of fields",
        "array" => "a list",
        "integer" => "a whole number",
        "boolean" => "true or false",
        _ => "a text",
    }
}

/// What was found, and what to do about it.
fn describe(found: &Content, wanted: &str) -> (&'static str, String) {
    match found {
        Content::Map(entries) if entries.iter().any(|entry| entry.key == "Ref" || entry.key.starts_with("Fn::")) => (
            "a CloudFormation function",
            "there is no stack to resolve it in: write the ARN or the name itself, or ${ENV_VAR}".into(),
        ),
        Content::Map(_) if wanted == "array" => ("a map", "begin each item with '- '".into()),
        Content::Map(_) => ("a map", format!("write {}", wanted_in_words(wanted))),
        Content::List(_) if wanted == "object" => {
            ("a list", "write 'field: value' lines, without '- ' or brackets around them".into())
        }
        Content::List(_) => ("a list", format!("write {} without '- ' or brackets", wanted_in_words(wanted))),
        Content::Scalar(_) if wanted == "array" => {
            ("a single value", "write it as an item: '- ' in a line of its own, or [value]".into())
        }
        Content::Scalar(_) => ("a single value", "write 'field: value' lines below it, indented".into()),
        Content::Null | Content::Unknown => ("nothing", String::new()),
    }
}

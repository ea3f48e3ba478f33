//! Literals and operators: from their JSON to tests on a value, or to the reason why not.
use ipnet::IpNet;
use serde_json::Value;

use crate::number::Number;
use crate::test::{Bound, Operator, Test, Text};
use crate::wildcard::Wildcard;

pub(crate) const OPERATORS: [&str; 8] =
    ["prefix", "suffix", "equals-ignore-case", "anything-but", "numeric", "exists", "wildcard", "cidr"];

/// What is wrong, without its place.
pub(crate) type Refusal = String;

pub(crate) fn literal(value: &Value) -> Test {
    match value {
        Value::String(text) => Test::Text(Text::Exactly(text.clone())),
        Value::Number(number) => Test::Number(Number::from_json(number)),
        Value::Bool(boolean) => Test::Boolean(*boolean),
        _ => Test::Null,
    }
}

pub(crate) fn compile(name: &str, argument: &Value) -> Result<Test, Refusal> {
    match name {
        "prefix" => prefix(argument).map(Test::Text),
        "suffix" => suffix(argument).map(Test::Text),
        "equals-ignore-case" => text(argument).map(|text| Test::Text(Text::IgnoreCase(text))),
        "wildcard" => Wildcard::compile(&text(argument)?).map(|wildcard| Test::Text(Text::Wildcard(wildcard))),
        "anything-but" => anything_but(argument),
        "numeric" => numeric(argument),
        "cidr" => cidr(argument),
        "exists" => match argument {
            Value::Bool(true) => Ok(Test::Exists),
            Value::Bool(false) => Ok(Test::Absent),
            other => Err(format!("exists takes true or false, not {}", kind(other))),
        },
        other => {
            let case = OPERATORS.iter().find(|known| known.eq_ignore_ascii_case(other));
            let fix = match case {
                Some(known) => format!("write {known}: names are case-sensitive"),
                None => format!("known are {}", OPERATORS.join(", ")),
            };
            Err(format!("unrecognized match type '{other}': {fix}"))
        }
    }
}

fn text(argument: &Value) -> Result<String, Refusal> {
    match argument {
        Value::String(text) => Ok(text.clone()),
        other => Err(format!("it takes a string, not {}", kind(other))),
    }
}

/// The `x` of `{"equals-ignore-case": "x"}`.
fn ignoring_case(argument: &Value) -> Option<&Value> {
    let object = argument.as_object().filter(|object| object.len() == 1)?;
    object.get("equals-ignore-case")
}

fn prefix(argument: &Value) -> Result<Text, Refusal> {
    match ignoring_case(argument) {
        Some(inner) => text(inner).map(Text::PrefixIgnoreCase),
        None => text(argument).map(Text::Prefix),
    }
}

fn suffix(argument: &Value) -> Result<Text, Refusal> {
    match ignoring_case(argument) {
        Some(inner) => text(inner).map(Text::SuffixIgnoreCase),
        None => text(argument).map(Text::Suffix),
    }
}

fn anything_but(argument: &Value) -> Result<Test, Refusal> {
    let tests = match argument {
        Value::String(_) | Value::Number(_) => vec![literal(argument)],
        Value::Array(values) => {
            let all = |is: fn(&Value) -> bool| values.iter().all(is);
            if values.is_empty() || !(all(Value::is_string) || all(Value::is_number)) {
                return Err("a list in anything-but holds strings only or numbers only, at least one".into());
            }
            values.iter().map(literal).collect()
        }
        Value::Object(object) => {
            let mut entries = object.iter();
            let (Some((name, argument)), None) = (entries.next(), entries.next()) else {
                return Err("an object in anything-but has exactly one field".into());
            };
            anything_but_texts(name, argument)?
        }
        other => return Err(format!("anything-but takes strings, numbers or an object, not {}", kind(other))),
    };
    Ok(Test::AnythingBut(tests))
}

fn anything_but_texts(name: &str, argument: &Value) -> Result<Vec<Test>, Refusal> {
    let one = |argument: &Value| {
        let text = text(argument)?;
        if text.is_empty() && matches!(name, "prefix" | "suffix") {
            return Err(format!("an empty {name} in anything-but would match nothing"));
        }
        let test = match name {
            "prefix" => Text::Prefix(text),
            "suffix" => Text::Suffix(text),
            "equals-ignore-case" => Text::IgnoreCase(text),
            "wildcard" => Text::Wildcard(Wildcard::compile(&text)?),
            other => {
                return Err(format!(
                    "anything-but knows no '{other}': write prefix, suffix, equals-ignore-case or wildcard"
                ));
            }
        };
        Ok(Test::Text(test))
    };
    match argument {
        Value::Array(values) if values.is_empty() => Err("an empty list: give at least one string".into()),
        Value::Array(values) => values.iter().map(one).collect(),
        single => Ok(vec![one(single)?]),
    }
}

fn numeric(argument: &Value) -> Result<Test, Refusal> {
    let Value::Array(parts) = argument else {
        return Err(format!("numeric takes a list such as [\">\", 0, \"<=\", 5], not {}", kind(argument)));
    };
    let mut bounds = Vec::new();
    for part in parts.chunks(2) {
        let (operator, value) = match part {
            [Value::String(operator), Value::Number(number)] => (operator.as_str(), Number::from_json(number)),
            [Value::String(operator)] => return Err(format!("'{operator}' lacks its number")),
            [Value::String(operator), other] => {
                return Err(format!("'{operator}' takes a number, not {}", kind(other)));
            }
            _ => return Err("numeric takes pairs of an operator and a number, such as [\">\", 0]".into()),
        };
        let operator = match operator {
            "=" => Operator::Equal,
            "<" => Operator::Less,
            "<=" => Operator::LessOrEqual,
            ">" => Operator::Greater,
            ">=" => Operator::GreaterOrEqual,
            other => return Err(format!("unrecognized numeric operator '{other}': write =, <, <=, > or >=")),
        };
        bounds.push(Bound { operator, value });
    }
    let is_lower = |bound: &Bound| matches!(bound.operator, Operator::Greater | Operator::GreaterOrEqual);
    let is_upper = |bound: &Bound| matches!(bound.operator, Operator::Less | Operator::LessOrEqual);
    match &bounds[..] {
        [] => Err("numeric takes at least one operator with its number".into()),
        [_] => Ok(Test::Numeric(bounds)),
        [lower, upper] if is_lower(lower) && is_upper(upper) => match lower.value.compare(upper.value) {
            Some(std::cmp::Ordering::Less) => Ok(Test::Numeric(bounds)),
            _ => Err("the lower bound must be less than the upper one".into()),
        },
        _ => Err("a range is one lower bound (> or >=) and then one upper bound (< or <=)".into()),
    }
}

fn cidr(argument: &Value) -> Result<Test, Refusal> {
    let text = text(argument)?;
    let network: Result<IpNet, _> = text.parse();
    network
        .map(Test::Cidr)
        .map_err(|_| format!("'{text}' is no block of addresses: write one such as 10.0.0.0/24 or 2600::/32"))
}

/// A kind of value in words.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

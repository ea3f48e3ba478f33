//! From a text to rules, or to the exact place and reason why not.
use ipnet::IpNet;
use serde_json::{Map, Value};

use crate::locate::{Step, locate};
use crate::number::Number;
use crate::pattern::{Fields, Leaf, MAXIMUM_LENGTH, PatternError, Rule};
use crate::test::{Bound, Operator, Test, Text};
use crate::wildcard::Wildcard;

const OPERATORS: [&str; 9] =
    ["prefix", "suffix", "equals-ignore-case", "anything-but", "numeric", "exists", "wildcard", "cidr", "$or"];

/// What is wrong, without its place.
type Refusal = String;

pub(crate) fn compile(text: &str) -> Result<Fields, PatternError> {
    let length = text.chars().count();
    if length > MAXIMUM_LENGTH {
        let reason = format!("it has {length} characters: {MAXIMUM_LENGTH} are the most");
        return Err(PatternError { path: String::new(), line: 1, column: 1, reason });
    }
    let value: Value = serde_json::from_str(text).map_err(|error| PatternError {
        path: String::new(),
        line: error.line().max(1),
        column: error.column().max(1),
        reason: format!("it is no JSON: {}", without_place(&error.to_string())),
    })?;
    let mut compiler = Compiler { text, path: Vec::new(), keys: Vec::new() };
    match &value {
        Value::Object(object) => compiler.fields(object),
        other => compiler.refuse(format!("a pattern is an object, not {}", kind(other))),
    }
}

/// serde_json's message without its own place, which stands beside it.
fn without_place(message: &str) -> &str {
    message.split(" at line ").next().unwrap_or(message)
}

struct Compiler<'t> {
    text: &'t str,
    /// Where the compiler is in the pattern.
    path: Vec<Step>,
    /// Where that is in an event.
    keys: Vec<String>,
}

impl Compiler<'_> {
    fn refuse<T>(&self, reason: Refusal) -> Result<T, PatternError> {
        let (line, column) = locate(self.text, &self.path);
        let mut path = String::new();
        for step in &self.path {
            match step {
                Step::Key(key) if path.is_empty() => path += key,
                Step::Key(key) => path += &format!(".{key}"),
                Step::Index(index) => path += &format!("[{index}]"),
            }
        }
        Err(PatternError { path, line, column, reason })
    }

    fn inside<T>(
        &mut self,
        step: Step,
        compile: impl FnOnce(&mut Self) -> Result<T, PatternError>,
    ) -> Result<T, PatternError> {
        self.path.push(step);
        let result = compile(self);
        self.path.pop();
        result
    }

    fn fields(&mut self, object: &Map<String, Value>) -> Result<Fields, PatternError> {
        if object.is_empty() {
            return self.refuse("an empty object matches nothing: name at least one field".into());
        }
        let mut fields = Fields::default();
        for (key, value) in object {
            self.inside(Step::Key(key.clone()), |compiler| {
                match choices(key, value) {
                    Some(choices) => fields.choices.push(compiler.choices(choices)?),
                    None => fields.fields.push(compiler.field(key, value)?),
                }
                Ok(())
            })?;
        }
        Ok(fields)
    }

    fn choices(&mut self, choices: &[Value]) -> Result<Vec<Fields>, PatternError> {
        let compiled = choices.iter().enumerate().map(|(index, choice)| {
            self.inside(Step::Index(index), |compiler| match choice {
                Value::Object(object) => compiler.fields(object),
                other => compiler.refuse(format!("each choice of $or is an object, not {}", kind(other))),
            })
        });
        compiled.collect()
    }

    fn field(&mut self, key: &str, value: &Value) -> Result<(String, Rule), PatternError> {
        let depth = self.keys.len();
        self.keys.extend(key.split('.').map(str::to_owned));
        let rule = match value {
            Value::Array(tests) => self.leaf(tests, value).map(Rule::Leaf),
            // EventBridge takes it, and it never matches.
            Value::Object(object) if key.contains('.') => self
                .fields(object)
                .map(|_| Rule::Leaf(Leaf { path: self.keys.clone(), tests: vec![], text: value.to_string() })),
            Value::Object(object) => self.fields(object).map(Rule::Object),
            other => self
                .refuse(format!("a field takes a list of values or an object, not {}: write [{other}]", kind(other))),
        };
        self.keys.truncate(depth);
        let mut rule = rule?;
        let mut names = key.split('.').rev().peekable();
        while let Some(name) = names.next() {
            if names.peek().is_none() {
                return Ok((name.to_owned(), rule));
            }
            rule = Rule::Object(Fields { fields: vec![(name.to_owned(), rule)], choices: Vec::new() });
        }
        Ok((key.to_owned(), rule))
    }

    fn leaf(&mut self, tests: &[Value], value: &Value) -> Result<Leaf, PatternError> {
        if tests.is_empty() {
            return self.refuse("an empty list matches nothing: give at least one value".into());
        }
        let compiled = tests.iter().enumerate().map(|(index, test)| {
            self.inside(Step::Index(index), |compiler| match test {
                Value::Object(operator) => compiler.operator(operator),
                Value::Array(_) => compiler.refuse("a list of values holds no list".into()),
                literal => Ok(self::literal(literal)),
            })
        });
        let tests = compiled.collect::<Result<Vec<Test>, PatternError>>()?;
        Ok(Leaf { path: self.keys.clone(), tests, text: value.to_string() })
    }

    fn operator(&mut self, operator: &Map<String, Value>) -> Result<Test, PatternError> {
        let mut entries = operator.iter();
        let (Some((name, argument)), None) = (entries.next(), entries.next()) else {
            return self
                .refuse(format!("an object in a list of values has exactly one of {}", OPERATORS[..8].join(", ")));
        };
        self.inside(Step::Key(name.clone()), |compiler| match compile_operator(name, argument) {
            Ok(test) => Ok(test),
            Err(reason) => compiler.refuse(reason),
        })
    }
}

/// The choices of a `$or`; any other use of the name is a field of that name.
fn choices<'v>(key: &str, value: &'v Value) -> Option<&'v [Value]> {
    let choices = value.as_array().filter(|choices| key == "$or" && choices.len() > 1)?;
    let is_operator = |choice: &Value| {
        choice.as_object().is_some_and(|object| object.keys().any(|name| OPERATORS[..8].contains(&name.as_str())))
    };
    (choices.iter().all(Value::is_object) && !choices.iter().any(is_operator)).then_some(choices)
}

fn literal(value: &Value) -> Test {
    match value {
        Value::String(text) => Test::Text(Text::Exactly(text.clone())),
        Value::Number(number) => Test::Number(Number::from_json(number)),
        Value::Bool(boolean) => Test::Boolean(*boolean),
        _ => Test::Null,
    }
}

fn compile_operator(name: &str, argument: &Value) -> Result<Test, Refusal> {
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
                None => format!("known are {}", OPERATORS[..8].join(", ")),
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

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

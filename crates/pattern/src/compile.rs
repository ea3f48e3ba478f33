//! From a text to rules, or to the exact place and reason why not.
use serde_json::{Map, Value};

use crate::complexity;
use crate::locate::{Step, locate};
use crate::operator::{self, OPERATORS, Refusal, kind};
use crate::pattern::{Fields, Leaf, MAXIMUM_LENGTH, Pattern, PatternError, Rule};
use crate::test::Test;

/// The deepest field a pattern can name, counting each part of a dotted key. Within it, matching needs little stack.
const MAXIMUM_DEPTH: usize = 100;

pub(crate) fn compile(text: &str) -> Result<Pattern, PatternError> {
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
    let mut compiler = Compiler { text, path: Vec::new(), keys: Vec::new(), absences: 0 };
    match &value {
        Value::Object(object) => compiler.fields(object).map(|rule| Pattern { rule, absences: compiler.absences }),
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
    /// How many leaves so far ask whether something is absent.
    absences: usize,
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
            _ if self.keys.len() > MAXIMUM_DEPTH => {
                self.refuse(format!("a field {} levels deep: {MAXIMUM_DEPTH} are the most", self.keys.len()))
            }
            Value::Array(tests) => self.leaf(tests, value).map(Rule::Leaf),
            // EventBridge takes it, and it never matches.
            Value::Object(object) if key.contains('.') => self.fields(object).map(|_| {
                Rule::Leaf(Leaf { path: self.keys.clone(), tests: vec![], text: value.to_string(), absence: None })
            }),
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
                literal => Ok(operator::literal(literal)),
            })
        });
        let tests = compiled.collect::<Result<Vec<Test>, PatternError>>()?;
        if let Err(reason) = complexity::check(&tests) {
            return self.refuse(reason);
        }
        let absence = tests.iter().any(|test| matches!(test, Test::Absent)).then_some(self.absences);
        self.absences += usize::from(absence.is_some());
        Ok(Leaf { path: self.keys.clone(), tests, text: value.to_string(), absence })
    }

    fn operator(&mut self, operator: &Map<String, Value>) -> Result<Test, PatternError> {
        let mut entries = operator.iter();
        let (Some((name, argument)), None) = (entries.next(), entries.next()) else {
            return self.refuse(format!("an object in a list of values has exactly one of {}", OPERATORS.join(", ")));
        };
        let in_or = self.keys.last().is_some_and(|key| key == "$or");
        self.inside(Step::Key(name.clone()), |compiler| match operator::compile(name, argument) {
            Ok(test) => Ok(test),
            Err(reason) if in_or => {
                compiler.refuse(format!("{reason}; as a choice, $or takes a list of two objects or more, of fields"))
            }
            Err(reason) => compiler.refuse(reason),
        })
    }
}

/// The choices of a `$or`; any other use of the name is a field of that name.
fn choices<'v>(key: &str, value: &'v Value) -> Option<&'v [Value]> {
    let choices = value.as_array().filter(|choices| key == "$or" && choices.len() > 1)?;
    let is_operator = |choice: &Value| {
        choice.as_object().is_some_and(|object| object.keys().any(|name| OPERATORS.contains(&name.as_str())))
    };
    (choices.iter().all(Value::is_object) && !choices.iter().any(is_operator)).then_some(choices)
}

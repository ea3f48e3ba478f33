//! A YAML document as a tree in which every value knows its place. Reads one document within fixed bounds, so that no
//! file, however it nests or repeats itself, costs more than its size suggests.
use std::collections::HashMap;
use std::fmt;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, Tag};
use serde_json::Value;

use crate::problem::{Findings, Position};

const DEEPEST: usize = 32;
const MOST_VALUES: usize = 100_000;

/// One value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub position: Position,
    pub content: Content,
    /// How many values it holds, itself included.
    size: usize,
}

/// What a value is, before anybody asks for a type. `Debug` doesn't show texts: any may be a secret.
#[derive(Clone, PartialEq)]
pub(crate) enum Content {
    Null,
    /// A problem with it has been reported.
    Unknown,
    Scalar(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

impl fmt::Debug for Content {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => formatter.write_str("Null"),
            Self::Unknown => formatter.write_str("Unknown"),
            Self::Scalar(_) => formatter.write_str("Scalar"),
            Self::List(items) => formatter.debug_list().entries(items).finish(),
            Self::Map(entries) => formatter.debug_list().entries(entries).finish(),
        }
    }
}

/// One key and its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub key: String,
    pub key_position: Position,
    pub value: Node,
}

impl Node {
    fn new(position: Position, content: Content) -> Self {
        Self { position, content, size: 1 }
    }

    /// What JSON says, all at one place. Fields that are `null` are left out.
    pub fn from_json(json: &Value, position: Position) -> Self {
        let content = match json {
            Value::Null => Content::Null,
            Value::Bool(value) => Content::Scalar(value.to_string()),
            Value::Number(number) => Content::Scalar(number.to_string()),
            Value::String(text) => Content::Scalar(text.clone()),
            Value::Array(items) => Content::List(items.iter().map(|item| Self::from_json(item, position)).collect()),
            Value::Object(fields) => {
                let given = fields.iter().filter(|(_, value)| !value.is_null());
                let entry = |(key, value): (&String, &Value)| Entry {
                    key: key.clone(),
                    key_position: position,
                    value: Self::from_json(value, position),
                };
                Content::Map(given.map(entry).collect())
            }
        };
        Self::new(position, content)
    }

    /// The value at a path below this one, such as `FilterCriteria.Filters[0]`.
    pub fn at(&self, path: &str) -> Option<&Node> {
        path.split(['.', '[']).filter(|step| !step.is_empty()).try_fold(self, |node, step| match &node.content {
            Content::Map(entries) => entries.iter().find(|entry| entry.key == step).map(|entry| &entry.value),
            Content::List(items) => items.get(step.strip_suffix(']')?.parse::<usize>().ok()?),
            Content::Null | Content::Unknown | Content::Scalar(_) => None,
        })
    }

    /// The value as it is shown in problems.
    pub fn shown(&self) -> &str {
        match &self.content {
            Content::Scalar(text) => text,
            Content::Null | Content::Unknown => "",
            Content::List(items) if items.is_empty() => "[]",
            Content::List(_) => "[…]",
            Content::Map(_) => "{…}",
        }
    }
}

/// Reads the first document. `None` if there is nothing to look at; what is wrong goes to `findings`.
pub(crate) fn parse(text: &str, findings: &mut Findings) -> Option<Node> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => {
                let (position, line) = within(text, place(error.marker()));
                let fix = match line.trim_start_matches(' ').starts_with('\t') {
                    true => "indent with spaces: YAML allows no tabs there",
                    false => "check the indentation, the colons and the quotes of this line and the one before it",
                };
                if error.info().contains("recursion limit") {
                    builder.too_deep(position, findings);
                    return None;
                }
                // Which value the line belongs to can't be told.
                let shown = if text.contains("SecretAccessKey") { "" } else { line.trim() };
                findings.add(position, "", shown, format!("this is not YAML: {}", error.info()), fix);
                return None;
            }
        };
        if let Err(Stop) = builder.take(event, span, findings) {
            return None;
        }
    }
    match builder.root {
        Some(Node { content: Content::Null, .. }) | None => {
            let start = Position { line: 1, column: 1 };
            findings.add(start, "", "", "the file is empty", "write at least EventSourceMappings");
            None
        }
        root => root,
    }
}

fn place(marker: &Marker) -> Position {
    Position { line: marker.line().max(1), column: marker.col() + 1 }
}

/// The place and its line; for what is missing at the end of the text, the end of the last line.
fn within(text: &str, position: Position) -> (Position, &str) {
    match text.lines().nth(position.line - 1) {
        Some(line) => (position, line),
        None => {
            let (count, last) = (text.lines().count(), text.lines().next_back().unwrap_or_default());
            (Position { line: count.max(1), column: last.chars().count() + 1 }, last)
        }
    }
}

/// Nothing after this can be read sensibly.
struct Stop;

/// A list or map whose end has not come yet.
struct Open {
    node: Node,
    anchor: usize,
    /// The key whose value comes next.
    key: Option<(String, Position)>,
    /// The line of every key so far.
    lines: HashMap<String, usize>,
}

#[derive(Default)]
struct Builder {
    root: Option<Node>,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    documents: usize,
    values: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span, findings: &mut Findings) -> Result<(), Stop> {
        let position = place(&span.start);
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    findings.add(position, "", "---", "the file holds several documents", "keep one, without '---'");
                    return Err(Stop);
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                let is_refused = self.refuse_tag(tag.as_deref(), &text, position, findings);
                let is_null = style == ScalarStyle::Plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
                let content = match (is_refused, is_null) {
                    (true, _) => Content::Unknown,
                    (false, true) => Content::Null,
                    (false, false) => Content::Scalar(text.into_owned()),
                };
                self.close(Node::new(position, content), anchor, findings)?;
            }
            Event::Alias(anchor) => {
                let Some(mut node) = self.anchors.get(&anchor).cloned() else {
                    findings.add(position, "", "", "the alias stands inside what it refers to", "write the value out");
                    return Err(Stop);
                };
                node.position = position;
                self.values += node.size - 1;
                self.close(node, 0, findings)?;
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_tag(tag.as_deref(), "[…]", position, findings);
                self.open(Node::new(position, Content::List(Vec::new())), anchor, findings)?;
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_tag(tag.as_deref(), "{…}", position, findings);
                self.open(Node::new(position, Content::Map(Vec::new())), anchor, findings)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(Open { node, anchor, .. }) = self.open.pop() {
                    self.close(node, anchor, findings)?;
                }
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn open(&mut self, node: Node, anchor: usize, findings: &mut Findings) -> Result<(), Stop> {
        if self.open.len() >= DEEPEST {
            self.too_deep(node.position, findings);
            return Err(Stop);
        }
        self.open.push(Open { node, anchor, key: None, lines: HashMap::new() });
        Ok(())
    }

    fn too_deep(&self, position: Position, findings: &mut Findings) {
        let message = format!("the file nests deeper than {DEEPEST} levels");
        findings.add(position, "", "", message, "no field needs more than 8: check the brackets");
    }

    /// Puts a finished value into what is open.
    fn close(&mut self, mut node: Node, anchor: usize, findings: &mut Findings) -> Result<(), Stop> {
        self.values += 1;
        if self.values > MOST_VALUES {
            let message = format!("the file holds more than {MOST_VALUES} values, aliases expanded");
            findings.add(node.position, "", "", message, "split the file, or write fewer aliases of aliases");
            return Err(Stop);
        }
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let path = self.path();
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        open.node.size += node.size;
        match (&mut open.node.content, open.key.take()) {
            (Content::List(items), _) => items.push(node),
            (Content::Map(entries), Some((key, key_position))) => {
                if let Some(line) = open.lines.get(&key) {
                    let message = format!("'{key}' is given twice; the first is in line {line}");
                    findings.add(key_position, &path, node.shown(), message, "remove one of them");
                    return Ok(());
                }
                open.lines.insert(key.clone(), key_position.line);
                if node.content == Content::Null {
                    node.position = key_position;
                }
                entries.push(Entry { key, key_position, value: node });
            }
            (_, _) => {
                let name = match node.content {
                    Content::Scalar(name) => name,
                    Content::Null | Content::Unknown => "null".into(),
                    Content::List(_) | Content::Map(_) => {
                        let fix = "write the name of a field; quote a value that begins with { or [";
                        findings.add(node.position, &path, node.shown(), "a key must be a plain text", fix);
                        return Err(Stop);
                    }
                };
                open.key = Some((name, node.position));
            }
        }
        Ok(())
    }

    /// Whether there is a tag that stands for something to be computed.
    fn refuse_tag(&self, tag: Option<&Tag>, value: &str, position: Position, findings: &mut Findings) -> bool {
        let Some(tag) = tag.filter(|tag| !tag.is_yaml_core_schema()) else { return false };
        let name = format!("{}{}", tag.handle, tag.suffix);
        let message = format!("the tag '{name}' means nothing here: there is no CloudFormation stack to resolve it in");
        let fix = "write the ARN or the name itself, or ${ENV_VAR}";
        findings.add(position, &self.path(), &format!("{name} {value}"), message, fix);
        true
    }

    /// Where the next value belongs.
    fn path(&self) -> String {
        let mut path = String::new();
        for Open { node, key, .. } in &self.open {
            match (&node.content, key) {
                (Content::List(items), _) => path.push_str(&format!("[{}]", items.len())),
                (_, Some((key, _))) if path.is_empty() => path.push_str(key),
                (_, Some((key, _))) => path.push_str(&format!(".{key}")),
                (_, None) => {}
            }
        }
        path
    }
}

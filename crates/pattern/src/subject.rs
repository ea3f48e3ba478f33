//! Whether a record satisfies a pattern.
use std::cell::Cell;

use crate::event::Json;
use crate::explain::Trace;
use crate::pattern::{Fields, Leaf, Pattern, Rule};
use crate::test::Test;

/// What patterns are matched against.
pub(crate) struct Subject<'s, 'e> {
    pub record: &'s Json<'e>,
    pub payload: Option<Payload<'s, 'e>>,
}

/// The part of a record that is decoded: a pattern sees its text, or the JSON in it.
pub(crate) struct Payload<'s, 'e> {
    pub name: &'static str,
    pub text: Option<&'s Json<'e>>,
    /// `None` also where nothing looks inside.
    pub json: Option<&'s Json<'e>>,
}

impl<'e> Subject<'_, 'e> {
    pub fn matches(&self, pattern: &Pattern, trace: &Trace) -> bool {
        let absent = vec![Cell::new(None); pattern.absences];
        Matching { subject: self, trace, absent }.fields(&pattern.rule, Some(self.record), Level::Record)
    }

    fn payload_of(&self, level: Level, name: &str) -> Option<&Payload<'_, 'e>> {
        self.payload.as_ref().filter(|payload| level == Level::Record && payload.name == name)
    }

    fn has_value_at(&self, path: &[String]) -> bool {
        match (&self.payload, path) {
            (Some(payload), [name, inside @ ..]) if payload.name == name && !inside.is_empty() => {
                payload.json.is_some_and(|json| json.has_value_at(inside))
            }
            _ => self.record.has_value_at(path),
        }
    }
}

/// Where an object stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Level {
    Record,
    Inside,
}

struct Matching<'m, 's, 'e> {
    subject: &'m Subject<'s, 'e>,
    trace: &'m Trace,
    /// What is absent anywhere in the record, once it is known: asked for each element of a long list, it would be
    /// searched for too often.
    absent: Vec<Cell<Option<bool>>>,
}

impl<'e> Matching<'_, '_, 'e> {
    /// Whether an object satisfies what is asked of its fields. Of a list, one element must satisfy all of it.
    fn fields(&self, rule: &Fields, json: Option<&Json<'e>>, level: Level) -> bool {
        if let Some(Json::List(items)) = json
            && !items.is_empty()
        {
            return self.any(items, |item| self.fields(rule, Some(item), level));
        }
        rule.fields.iter().all(|(name, rule)| self.field(name, rule, json, level))
            && rule.choices.iter().all(|choices| self.any(choices, |rule| self.fields(rule, json, level)))
    }

    /// Whether one holds; then what was noted about the others didn't decide.
    fn any<T>(&self, items: &[T], holds: impl Fn(&T) -> bool) -> bool {
        let before = self.trace.position();
        items.iter().any(|item| {
            let holds = holds(item);
            self.trace.keep_since(before, holds);
            holds
        })
    }

    fn field(&self, name: &str, rule: &Rule, json: Option<&Json<'e>>, level: Level) -> bool {
        match (rule, self.subject.payload_of(level, name)) {
            (Rule::Leaf(leaf), Some(payload)) => self.leaf(leaf, payload.text),
            (Rule::Leaf(leaf), None) => self.leaf(leaf, json.and_then(|json| json.get(name))),
            (Rule::Object(inner), Some(payload)) => match payload.json {
                Some(json) => self.fields(inner, Some(json), Level::Inside),
                None => {
                    self.trace.no_json(name);
                    false
                }
            },
            (Rule::Object(inner), None) => self.fields(inner, json.and_then(|json| json.get(name)), Level::Inside),
        }
    }

    fn leaf(&self, leaf: &Leaf, json: Option<&Json<'e>>) -> bool {
        let matched = leaf.tests.iter().any(|test| match (test, json) {
            (Test::Absent, _) => self.is_absent(leaf),
            (_, None) => false,
            (test, Some(json)) => json.any_scalar(&mut |scalar| test.matches(scalar)),
        });
        self.trace.leaf(leaf, json, matched);
        matched
    }

    /// Whether no value stands at the path of a leaf, in any element of the lists on the way.
    fn is_absent(&self, leaf: &Leaf) -> bool {
        let search = || !self.subject.has_value_at(&leaf.path);
        let Some(known) = leaf.absence.and_then(|number| self.absent.get(number)) else { return search() };
        known.get().unwrap_or_else(|| {
            let absent = search();
            known.set(Some(absent));
            absent
        })
    }
}

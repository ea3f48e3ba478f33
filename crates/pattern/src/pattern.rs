//! A compiled pattern, and why a text is none.
use std::fmt;

use crate::compile;
use crate::test::Test;

/// The longest pattern, in characters (Lambda quota "Event source mapping filter pattern").
pub const MAXIMUM_LENGTH: usize = 4096;

/// A compiled pattern.
#[derive(Debug, Clone)]
pub struct Pattern {
    pub(crate) rule: Fields,
    /// How many of its leaves ask whether something is absent.
    pub(crate) absences: usize,
}

impl Pattern {
    /// Compiles a pattern. With a key given twice, the last one counts. A field can be 100 levels deep at most. The
    /// wildcards of one list are refused together where one text could be at more than ten places of them at once, as
    /// AWS does ("rule is too complex").
    pub fn compile(text: &str) -> Result<Self, PatternError> {
        compile::compile(text)
    }
}

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct PatternError {
    /// Where: `body.kind[1].numeric`; empty for the pattern as a whole.
    pub path: String,
    /// Line within the text, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// What is wrong and what would be right.
    pub reason: String,
}

impl fmt::Display for PatternError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, column, reason } = self;
        write!(formatter, "line {line}, column {column}")?;
        if !path.is_empty() {
            write!(formatter, ", at {path}")?;
        }
        write!(formatter, ": {reason}")
    }
}

/// What an object must satisfy: every field and every choice.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields {
    pub fields: Vec<(String, Rule)>,
    /// `$or`: of each, one must hold.
    pub choices: Vec<Vec<Fields>>,
}

#[derive(Debug, Clone)]
pub(crate) enum Rule {
    Leaf(Leaf),
    Object(Fields),
}

/// What a value must satisfy: any of the tests.
#[derive(Debug, Clone)]
pub(crate) struct Leaf {
    /// Its keys from the root on.
    pub path: Vec<String>,
    pub tests: Vec<Test>,
    /// As it was written.
    pub text: String,
    /// The number of this leaf among those that ask whether something is absent.
    pub absence: Option<usize>,
}

//! What is wrong with a file, and where.
use std::fmt;
use std::path::{Path, PathBuf};

/// One thing that is wrong, with everything a person needs to put it right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file as it was named.
    pub file: PathBuf,
    /// From 1.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// `EventSourceMappings[2].BatchSize`; empty if it concerns the whole file.
    pub path: String,
    /// What stands there, shortened; empty if nothing does.
    pub value: String,
    /// What is wrong, in AWS's own words where AWS has a text for it.
    pub message: String,
    /// What would be right.
    pub fix: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, path, value, message, fix } = self;
        write!(formatter, "{}:{line}:{column}", file.display())?;
        match (path.is_empty(), value.is_empty()) {
            (true, true) => {}
            (true, false) => write!(formatter, ": {value}")?,
            (false, true) => write!(formatter, ": {path}")?,
            (false, false) => write!(formatter, ": {path}: {value}")?,
        }
        write!(formatter, "\n  {message}\n  fix: {fix}")
    }
}

/// A place in a file, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub line: usize,
    pub column: usize,
}

/// Gathers the problems of one file.
pub(crate) struct Findings {
    file: PathBuf,
    problems: Vec<Problem>,
}

impl Findings {
    pub fn new(file: &Path) -> Self {
        Self { file: file.to_owned(), problems: Vec::new() }
    }

    pub fn add(
        &mut self,
        position: Position,
        path: &str,
        value: &str,
        message: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.problems.push(problem(&self.file, position, path, value, message.into(), fix.into()));
    }

    /// Whether something at or below this path is wrong.
    pub fn touch(&self, path: &str) -> bool {
        self.problems.iter().any(|problem| {
            problem.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }

    /// In the order of the file.
    pub fn into_problems(mut self) -> Vec<Problem> {
        self.problems.sort_by_key(|problem| (problem.line, problem.column));
        self.problems
    }
}

/// Whether what stands at a path is never shown: all of `Authentication` but what can't be a key in the wrong field, and
/// whatever is called a secret. A message about such a path holds nothing of the value either.
pub(crate) fn is_secret(path: &str) -> bool {
    let field = path.rsplit('.').next().unwrap_or_default();
    let is_public = field == "Principal" || field.starts_with("Actions[");
    (path == "Authentication" || path.starts_with("Authentication.")) && !is_public
        || field.to_lowercase().contains("secret")
}

pub(crate) fn problem(
    file: &Path,
    position: Position,
    path: &str,
    value: &str,
    message: String,
    fix: String,
) -> Problem {
    let Position { line, column } = position;
    let value = if is_secret(path) { "" } else { value };
    Problem { file: file.to_owned(), line, column, path: path.to_owned(), value: shortened(value), message, fix }
}

/// One line of at most 120 characters, without control characters.
pub(crate) fn shortened(text: &str) -> String {
    const LONGEST: usize = 120;
    let mut short: String =
        text.chars().take(LONGEST).map(|character| if character.is_control() { ' ' } else { character }).collect();
    if text.chars().nth(LONGEST).is_some() {
        short.push('…');
    }
    short
}

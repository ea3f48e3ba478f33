//! Why a backend could not be provided.
use std::path::PathBuf;

/// A backend could not be provided.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// No usable Python.
    #[error(
        "no Python from 3.10 on with its venv and ensurepip modules was found ({tried}): install python3 and, where \
         the distribution splits it off, python3-venv"
    )]
    Python {
        /// The names that were tried, with what is wrong with each.
        tried: String,
    },
    /// A program that a backend needs is missing, or doesn't work.
    #[error("{needed_for} needs {program} ({problem}): {remedy}")]
    Program {
        /// Its name.
        program: &'static str,
        /// What is wrong with it.
        problem: String,
        /// What can't be had without it.
        needed_for: &'static str,
        /// What to do.
        remedy: &'static str,
    },
    /// A backend that runs refused a call of the set-up.
    #[error("{name}, {call}: {source}")]
    Call {
        /// Which backend.
        name: &'static str,
        /// What was called.
        call: &'static str,
        /// Why it failed.
        source: Box<ureq::Error>,
    },
    /// A command failed.
    #[error("{what} failed ({status}):\n{output}")]
    Command {
        /// What was attempted.
        what: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// The end of what it printed.
        output: String,
    },
    /// It started, but doesn't answer.
    #[error("{name} did not answer within {seconds} s; the end of {}:\n{tail}", log.display())]
    Unhealthy {
        /// Which.
        name: &'static str,
        /// How long it was waited for.
        seconds: u64,
        /// Where its log is.
        log: PathBuf,
        /// The end of its log.
        tail: String,
    },
    /// Something of the system.
    #[error("{what}: {source}")]
    Io {
        /// What was attempted.
        what: String,
        /// Why not.
        source: std::io::Error,
    },
}

impl BackendError {
    pub(super) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        |source| Self::Io { what, source }
    }
}

/// The last lines of a text.
pub(super) fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

//! What commands print.
use std::io::{ErrorKind, Write};

use anyhow::Context as _;

/// Prints to stdout. A reader that has gone, such as `head`, is no error.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result.context("can't write to stdout"),
    }
}

/// Prints a failure to stderr. If that fails there is nobody left to tell.
pub fn print_error(message: &str) {
    let _ = writeln!(std::io::stderr(), "pelton: {message}");
}

/// Prints what belongs beside the output to stderr, as it is. If that fails there is nobody left to tell.
pub fn print_beside(text: &str) {
    let _ = write!(std::io::stderr(), "{text}");
}

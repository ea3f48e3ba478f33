//! `pelton status`: asks a running Pelton what its mappings and asynchronous events do.
use std::io::{ErrorKind, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use pelton_engine::{FunctionStatus, MappingStatus};
use serde::de::DeserializeOwned;

mod functions;
mod shards;
mod table;

use crate::output;
use functions::functions;
use shards::shards;
pub(super) use table::resource;
use table::{Rates, table};

/// An answer comes from memory, so a process that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(5);
const REFRESH: Duration = Duration::from_secs(1);
const CURSOR_HOME: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

/// What a process says of itself.
struct Look {
    mappings: Vec<MappingStatus>,
    functions: Vec<FunctionStatus>,
}

/// Prints the tables, and that of the shards if it is asked for, once, or every second until Ctrl-C. A first request that
/// fails is an error; later on it is shown, and tried again, as Pelton may just be starting anew.
pub fn status(url: &str, watch: bool, with_shards: bool) -> anyhow::Result<ExitCode> {
    let url = endpoint(url);
    let mut look = Look::take(&url)?;
    let text = |look: &Look, rates: Option<&Rates>| {
        let now = jiff::Timestamp::now();
        let shards = if with_shards { format!("\n{}", shards(&look.mappings)) } else { String::new() };
        table(&look.mappings, rates, now) + &shards + &functions(&look.functions, now)
    };
    if !watch {
        output::print(&text(&look, None))?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut rates = Rates::default();
    let mut screen = Screen::new();
    loop {
        rates.observe(&look.mappings, jiff::Timestamp::now());
        if !screen.show(&text(&look, Some(&rates)))? {
            return Ok(ExitCode::SUCCESS);
        }
        look = loop {
            wait();
            match Look::take(&url) {
                Ok(look) => break look,
                Err(error) => {
                    if !screen.show(&format!("{error:#}\ntrying again, Ctrl-C to stop\n"))? {
                        return Ok(ExitCode::SUCCESS);
                    }
                }
            }
        };
    }
}

impl Look {
    fn take(url: &str) -> anyhow::Result<Self> {
        Ok(Self { mappings: fetch(url)?, functions: fetch(&format!("{url}/functions"))? })
    }
}

#[expect(clippy::disallowed_methods, reason = "this command has one thread, no runtime, and nothing else to do")]
fn wait() {
    std::thread::sleep(REFRESH);
}

/// `host:port`, with or without `http://` and slash, to where the status is.
fn endpoint(url: &str) -> String {
    let scheme = if url.contains("://") { "" } else { "http://" };
    format!("{scheme}{}/status", url.trim_end_matches('/'))
}

fn fetch<T: DeserializeOwned>(url: &str) -> anyhow::Result<T> {
    let agent = ureq::Agent::new_with_config(ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).build());
    let text = match agent.get(url).call() {
        Ok(mut answer) => answer.body_mut().read_to_string(),
        Err(ureq::Error::StatusCode(status)) => {
            anyhow::bail!("{url} answers with HTTP status {status}: that is not Pelton's `Listen` address")
        }
        Err(error) => Err(error),
    };
    let text = text.with_context(|| {
        format!("can't ask {url}: is `pelton run` running there, and is this the `Listen` of its pelton.yaml?")
    })?;
    serde_json::from_str(&text)
        .with_context(|| format!("{url} doesn't answer as Pelton does: is this the `Listen` of a pelton.yaml?"))
}

/// Where the table is drawn: over the last one on a terminal, below it elsewhere.
struct Screen {
    is_terminal: bool,
}

impl Screen {
    fn new() -> Self {
        Self { is_terminal: std::io::stdout().is_terminal() }
    }

    /// False: the reader has gone.
    fn show(&mut self, text: &str) -> anyhow::Result<bool> {
        let text = if self.is_terminal {
            let lines: String = text.lines().map(|line| format!("{line}{CLEAR_LINE}\n")).collect();
            format!("{CURSOR_HOME}{lines}{CLEAR_BELOW}")
        } else {
            format!("{text}\n")
        };
        let mut stdout = std::io::stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
            written => written.context("can't write to stdout").map(|()| true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_may_be_short() {
        for url in ["http://127.0.0.1:9400", "http://127.0.0.1:9400/", "127.0.0.1:9400"] {
            assert_eq!(endpoint(url), "http://127.0.0.1:9400/status");
        }
    }
}

//! Any call of Lambda's API is read or refused; nothing panics.
#![no_main]
use libfuzzer_sys::fuzz_target;

/// Longer ones only make the run slow.
const LONGEST: usize = 8_192;

// Three lines, then the body, so that a mutation of one leaves the others as they are.
fuzz_target!(|data: &[u8]| {
    if data.len() > LONGEST {
        return;
    }
    let mut parts = data.splitn(4, |byte| *byte == b'\n');
    let mut next = || parts.next().unwrap_or_default();
    let mut text = || String::from_utf8_lossy(next()).into_owned();
    let (method, path, query) = (text(), text(), text());
    pelton_api::read_request(&method, &path, &query, next());
});

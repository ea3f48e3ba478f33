//! Any text compiles or is refused with a place inside it; nothing panics.
#![no_main]
use libfuzzer_sys::fuzz_target;
use pelton_pattern::{Decoding, Filters, Pattern};

fuzz_target!(|text: &str| {
    match Pattern::compile(text) {
        Ok(_) => {
            let filters = Filters::compile(&[text], Decoding::Sqs).expect("what compiles alone compiles in a list");
            let _ = filters.matches(text.as_bytes());
        }
        Err(error) => {
            assert!(error.line >= 1 && error.line <= text.matches('\n').count() + 1, "{error}");
            assert!(error.column >= 1 && !error.reason.is_empty(), "{error}");
        }
    }
});

//! Any text is read as a `pelton.yaml` or refused, with places inside it; nothing panics.
#![no_main]
use std::path::Path;

use libfuzzer_sys::fuzz_target;

/// Longer texts only make the run slow.
const LONGEST: usize = 8_192;

fuzz_target!(|text: &str| {
    if text.len() > LONGEST {
        return;
    }
    let environment = |name: &str| (!name.contains('X')).then(|| format!("value of {name}"));
    let loaded = pelton_config::load_text(text, Path::new("pelton.yaml"), &environment);
    for problem in &loaded.problems {
        assert!(!problem.to_string().is_empty());
    }
});

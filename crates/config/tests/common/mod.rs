//! What tests of bad files share.
#![allow(dead_code, reason = "each test file uses its part")]

use std::path::Path;

use pelton_config::load_text;

/// The variables of every test file.
pub fn environment(name: &str) -> Option<String> {
    match name {
        "WORD" => Some("soon".into()),
        "HOST" => Some("localhost".into()),
        _ => None,
    }
}

/// A bad file with all that is said about it.
pub fn describe(name: &str, text: &str) -> String {
    let loaded = load_text(text, Path::new("pelton.yaml"), &environment);
    assert!(!loaded.problems.is_empty(), "{name}: nothing is wrong with\n{text}");
    let mut described = format!("==== {name}\n");
    for (index, line) in text.lines().enumerate() {
        described += &format!("{:>3} | {}\n", index + 1, line.replace('\t', "→"));
    }
    for problem in &loaded.problems {
        described += &format!("{problem}\n");
    }
    described
}

//! The files that this repository shows are good ones.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};

use pelton_config::{load, load_text};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

#[test]
fn what_the_settings_page_shows() {
    let page = std::fs::read_to_string(repository().join("docs/settings.md")).unwrap();
    let examples: Vec<&str> = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(!examples.is_empty());
    for example in examples {
        let loaded = load_text(example, Path::new("settings.md"), &|_| Some("secret".into()));
        assert!(loaded.problems.is_empty(), "{example}\n{:#?}", loaded.problems);
    }
}

/// Each row of a table whose key has the form of a field names one that the schema knows.
#[test]
fn what_the_settings_page_names() {
    let page = std::fs::read_to_string(repository().join("docs/settings.md")).unwrap();
    let schema = pelton_config::schema().to_string();
    let mut named = 0;
    for key in page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()) {
        for field in key.split(['.', '[', ']']).filter(|field| !field.is_empty()) {
            assert!(schema.contains(&format!("\"{field}\":")), "{key}");
            named += 1;
        }
    }
    assert!(named > 60, "{named}");
}

#[test]
fn the_examples_to_start_from() {
    let mut seen = 0;
    for folder in std::fs::read_dir(repository().join("deploy/examples")).unwrap() {
        let file = folder.unwrap().path().join("pelton.yaml");
        let loaded = load(&file, &|_| None).unwrap();
        assert!(loaded.problems.is_empty(), "{:#?}", loaded.problems);
        seen += 1;
    }
    assert!(seen >= 4, "{seen}");
}

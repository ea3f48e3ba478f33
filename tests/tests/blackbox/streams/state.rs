//! Where checkpoints are kept: in memory, in SQLite, and in files that can't be used.
use std::process::Stdio;
use std::time::Duration;

use pelton_tests::{
    Backend, Function, Kind, Pelton, binary, complete, on_both_kinds, on_ministack, state_in, stream_mapping, texts,
};
use serde_json::{Value, json};

use super::{numbered, numbers};

async fn memory_says_that_nothing_survives_and_nothing_does(backend: Backend, kind: Kind) {
    let (feed, function) = (backend.feed(kind).await, Function::new());
    feed.put_each(numbered(0..3)).await;
    let mut configuration = backend.configuration(&[&function], vec![stream_mapping(&feed, &function, json!({}))]);
    configuration["State"] = json!({ "Memory": {} });
    let mut pelton = Pelton::run(configuration).await;
    pelton.has_settled(&feed, 3).await;
    let warning = pelton.log().lines().find(|line| line.contains("State is Memory")).unwrap().to_owned();
    assert!(warning.contains("WARN") && warning.contains("begins at its StartingPosition again"), "{warning}");
    pelton.restart().await;
    pelton.has_settled(&feed, 3).await;
    let mut twice = numbers(0..3);
    twice.extend(numbers(0..3));
    assert_eq!(texts(&function.seen()), twice);
}

/// `pelton run` that is expected to end by itself: whether it did so well, and what it said.
async fn refused(configuration: Value) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("pelton.yaml"), complete(configuration)).unwrap();
    let said = folder.path().join("log");
    let log = std::fs::File::create(&said).unwrap();
    let mut command = tokio::process::Command::new(binary());
    command.arg("run").current_dir(folder.path()).env_clear().stdin(Stdio::null()).kill_on_drop(true);
    command.envs([("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")]);
    command.env("PATH", std::env::var_os("PATH").unwrap());
    let mut child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(20), child.wait()).await;
    let said = std::fs::read_to_string(said).unwrap();
    let status = ended.unwrap_or_else(|_| panic!("it runs: {said}"));
    (status.unwrap().success(), said)
}

async fn a_second_process_on_the_same_file_is_refused(backend: Backend) {
    let (stream, function) = (backend.stream(1).await, Function::new());
    let folder = tempfile::tempdir().unwrap();
    let mut configuration = backend.configuration(&[&function], vec![stream_mapping(&stream, &function, json!({}))]);
    configuration["State"] = state_in(folder.path());
    let pelton = Pelton::run(configuration.clone()).await;
    let (succeeded, said) = refused(configuration.clone()).await;
    assert!(!succeeded, "{said}");
    let file = folder.path().join("pelton.db");
    let expected = format!("the store {} is in use by another process: stop that process", file.display());
    assert!(said.contains(&expected), "{said}");
    stream.put("key", "0").await;
    pelton.has_settled(&stream, 1).await;
    drop(pelton);
    let pelton = Pelton::run(configuration).await;
    stream.put("key", "1").await;
    pelton.has_settled(&stream, 1).await;
    assert_eq!(texts(&function.seen()), numbers(0..2), "the file outlives the process");
}

async fn a_damaged_file_is_refused_and_kept(backend: Backend) {
    let (stream, function) = (backend.stream(1).await, Function::new());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pelton.db");
    let mut configuration = backend.configuration(&[&function], vec![stream_mapping(&stream, &function, json!({}))]);
    configuration["State"] = state_in(folder.path());
    let garbage = "no database at all ".repeat(1000);
    std::fs::write(&file, &garbage).unwrap();
    let (succeeded, said) = refused(configuration).await;
    assert!(!succeeded, "{said}");
    for words in [file.to_str().unwrap(), "is damaged", "restore a copy of it", "begins at its StartingPosition"] {
        assert!(said.contains(words), "{words} in {said}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), garbage, "nothing of it was changed");
}

on_both_kinds!(memory_says_that_nothing_survives_and_nothing_does);
on_ministack!(a_second_process_on_the_same_file_is_refused, a_damaged_file_is_refused_and_kept);

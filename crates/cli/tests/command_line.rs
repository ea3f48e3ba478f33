//! The commands that need no backend, as a person runs them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;

use assert_cmd::Command;

const GOOD: &str = "Endpoint: ${ENDPOINT:-http://127.0.0.1:9}
EventSourceMappings:
  - EventSourceArn: arn:aws:sqs:us-east-1:000000000000:orders
    FunctionName: work
";

struct Answer {
    status: i32,
    out: String,
    error: String,
}

fn pelton(folder: &Path, arguments: &[&str]) -> Answer {
    let output = Command::cargo_bin("pelton")
        .unwrap()
        .current_dir(folder)
        .env_clear()
        .envs([("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test"), ("AWS_REGION", "us-east-1")])
        .args(arguments)
        .output()
        .unwrap();
    Answer {
        status: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        error: String::from_utf8(output.stderr).unwrap(),
    }
}

fn folder(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("pelton.yaml"), text).unwrap();
    folder
}

#[test]
fn a_good_file_checked_offline_is_0() {
    let folder = folder(GOOD);
    let answer = pelton(folder.path(), &["check", "--offline"]);
    assert_eq!(answer.status, 0, "{}{}", answer.out, answer.error);
    assert_eq!(answer.out, "pelton.yaml: 1 mapping, no problem in the file; nothing else was looked at\n");
    assert_eq!(answer.error, "");
}

#[test]
fn problems_are_1_and_all_are_shown() {
    let folder = folder(&format!("{GOOD}    BatchSiz: 5\n    Enabled: yes\n"));
    let path = folder.path().join("pelton.yaml");
    let answer = pelton(Path::new("/"), &["check", "--offline", "-c", path.to_str().unwrap()]);
    assert_eq!(answer.status, 1);
    let expected = format!(
        "{0}:5:5: EventSourceMappings[0].BatchSiz: 5
  unknown field 'BatchSiz'
  fix: did you mean BatchSize?

{0}:6:14: EventSourceMappings[0].Enabled: yes
  expected true or false: 'yes' is no boolean
  fix: write true

{0}: 2 problems
",
        path.display()
    );
    assert_eq!(answer.out, expected);
}

#[test]
fn a_file_that_cannot_be_read_is_2() {
    let folder = tempfile::tempdir().unwrap();
    let answer = pelton(folder.path(), &["check", "--offline"]);
    assert_eq!((answer.status, answer.out.as_str()), (2, ""));
    assert!(answer.error.contains("cannot read the configuration file pelton.yaml"), "{}", answer.error);
    assert!(answer.error.contains("-c FILE"), "{}", answer.error);
}

#[test]
fn an_endpoint_that_cannot_be_reached_is_2_after_the_problems() {
    let folder = folder(&format!("{GOOD}  - FunctionName: work\n"));
    let answer = pelton(folder.path(), &["check"]);
    assert_eq!(answer.status, 2, "{}{}", answer.out, answer.error);
    assert!(answer.out.contains("pelton.yaml:5:5: EventSourceMappings[1].EventSourceArn\n"), "{}", answer.out);
    assert!(answer.out.contains("could not check: SQS GetQueueUrl: "), "{}", answer.out);
    assert!(answer.out.ends_with("pelton.yaml: 1 problem, and not everything could be checked\n"), "{}", answer.out);
}

#[test]
fn what_local_functions_lack_is_shown_without_asking_the_endpoint_for_it() {
    let folder = folder(
        "Functions:
  - {FunctionName: a, Command: ./missing}
  - {FunctionName: b, Command: [no-such-program-anywhere]}
  - {FunctionName: c, Command: sh, CodeUri: nowhere}
EventSourceMappings: []
",
    );
    let answer = pelton(folder.path(), &["check"]);
    assert_eq!(answer.status, 1, "{}{}", answer.out, answer.error);
    for line in [
        "2:32: Functions[0].Command: ./missing",
        "3:32: Functions[1].Command: […]",
        "4:45: Functions[2].CodeUri: nowhere",
    ] {
        assert!(answer.out.contains(line), "{line} in {}", answer.out);
    }
    assert_eq!(pelton(folder.path(), &["check", "--offline"]).status, 0);
}

#[test]
fn a_ca_bundle_that_is_not_there_is_a_problem() {
    let folder = folder(&format!("CaBundle: ca.pem\n{GOOD}"));
    let answer = pelton(folder.path(), &["check"]);
    assert_eq!(answer.status, 1, "{}{}", answer.out, answer.error);
    assert!(answer.out.contains("pelton.yaml:1:11: CaBundle: ca.pem"), "{}", answer.out);
}

#[test]
fn the_schema_is_json() {
    let answer = pelton(Path::new("/"), &["schema"]);
    assert_eq!(answer.status, 0);
    let schema: serde_json::Value = serde_json::from_str(&answer.out).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert!(schema["properties"]["EventSourceMappings"].is_object());
}

#[test]
fn version_and_completions_are_printed() {
    let answer = pelton(Path::new("/"), &["version"]);
    assert_eq!(answer.status, 0);
    assert!(answer.out.starts_with(concat!("pelton ", env!("CARGO_PKG_VERSION"), " (")), "{}", answer.out);
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let answer = pelton(Path::new("/"), &["completions", shell]);
        assert_eq!(answer.status, 0);
        assert!(answer.out.contains("pelton"), "{shell}");
    }
}

#[test]
fn help_teaches() {
    let answer = pelton(Path::new("/"), &["--help"]);
    assert_eq!(answer.status, 0);
    assert!(answer.out.contains("EventSourceMappings:"), "{}", answer.out);
    for command in ["run", "check"] {
        let answer = pelton(Path::new("/"), &[command, "--help"]);
        assert!(answer.out.contains("Exit status: 0") && answer.out.contains("Next: "), "{}", answer.out);
    }
}

#[test]
fn a_command_line_that_means_nothing_is_refused() {
    let answer = pelton(Path::new("/"), &["chekc"]);
    assert_eq!(answer.status, 2);
    assert!(answer.error.contains("check"), "{}", answer.error);
    assert_eq!(pelton(Path::new("/"), &[]).status, 2);
}

#[test]
fn a_reader_that_stops_early_is_no_error() {
    use std::process::{Command, Stdio};
    let mut child = Command::new(assert_cmd::cargo::cargo_bin!("pelton"))
        .arg("schema")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), b"".as_slice()));
}

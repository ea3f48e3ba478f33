//! Who may call Lambda's API, and that no problem tells a secret.
mod common;

use std::path::Path;

use common::describe;
use pelton_config::{Loaded, Principal, load_text};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

fn load(text: &str) -> Loaded {
    load_text(text, Path::new("pelton.yaml"), &|name| (name == "SECRET").then(|| SECRET.into()))
}

fn good(text: &str) -> Loaded {
    let loaded = load(text);
    assert!(loaded.problems.is_empty(), "{:#?}", loaded.problems);
    loaded
}

#[test]
fn keys_arrive_with_their_defaults() {
    let loaded = good(
        "Listen: 0.0.0.0:9400
Authentication:
  AccessKeys:
    - AccessKeyId: AKIAIOSFODNN7EXAMPLE
      SecretAccessKey: ${SECRET}
    - AccessKeyId: sns_of_this_account
      SecretAccessKey: ${SECRET}
      Principal: sns.amazonaws.com
      Actions: [lambda:InvokeFunction, 'lambda:Get*']
    - AccessKeyId: AKIAIOSFODNN8EXAMPLE
      SecretAccessKey: ${SECRET}
      Principal: arn:aws:iam::111122223333:role/deploy/ci
",
    );
    let keys = &loaded.configuration.authentication.as_ref().unwrap().access_keys;
    assert_eq!((keys[0].id.as_str(), keys[0].secret.expose()), ("AKIAIOSFODNN7EXAMPLE", SECRET));
    assert_eq!(keys[0].principal, Principal::Iam("arn:aws:iam::000000000000:root".parse().unwrap()));
    assert_eq!(keys[0].actions, ["lambda:*"]);
    assert_eq!(keys[1].principal, Principal::Service("sns.amazonaws.com".into()));
    assert_eq!(keys[1].actions, ["lambda:InvokeFunction", "lambda:Get*"]);
    assert!(matches!(&keys[2].principal, Principal::Iam(arn) if arn.resource() == "role/deploy/ci"));
}

#[test]
fn loopback_needs_no_answer() {
    for text in ["Listen: 127.0.0.2:1", "Listen: '[::1]:9400'", "Listen: 0.0.0.0:1\nAllowUnauthenticated: true"] {
        assert_eq!(good(text).configuration.authentication, None);
    }
}

const FILES: &[(&str, &str)] = &[
    ("an address that others reach", "Listen: 0.0.0.0:9400"),
    ("an address that others reach by IPv6", "Listen: '[::]:9400'\nAllowUnauthenticated: false"),
    ("an answer that is none", "Listen: 0.0.0.0:9400\nAllowUnauthenticated: yes"),
    (
        "both",
        "AllowUnauthenticated: true\nAuthentication: {AccessKeys: [{AccessKeyId: AKIAIOSFODNN7EXAMPLE, SecretAccessKey: '${WORD}'}]}",
    ),
    ("no keys at all", "Authentication: {}"),
    ("a list of no keys", "Authentication: {AccessKeys: []}"),
    ("keys that are none", "Authentication: {AccessKeys: [AKIAIOSFODNN7EXAMPLE, {}]}"),
    (
        "a secret that isn't set",
        "Authentication: {AccessKeys: [{AccessKeyId: AKIAIOSFODNN7EXAMPLE, SecretAccessKey: '${NONE}'}]}",
    ),
    (
        "a secret that is empty",
        "Authentication: {AccessKeys: [{AccessKeyId: AKIAIOSFODNN7EXAMPLE, SecretAccessKey: ''}]}",
    ),
    ("an id too short", "Authentication: {AccessKeys: [{AccessKeyId: AKIA, SecretAccessKey: '${WORD}'}]}"),
    (
        "an id with other characters",
        "Authentication: {AccessKeys: [{AccessKeyId: 'AKIA/OSFODNN7EXAMPLE', SecretAccessKey: '${WORD}'}]}",
    ),
    (
        "an id twice",
        "Authentication:\n  AccessKeys:\n  - {AccessKeyId: AKIAIOSFODNN7EXAMPLE, SecretAccessKey: '${WORD}'}\n  - {AccessKeyId: AKIAIOSFODNN7EXAMPLE, SecretAccessKey: '${WORD}'}",
    ),
    (
        "principals that are none",
        "Authentication:\n  AccessKeys:\n  - {AccessKeyId: AKIAIOSFODNN1EXAMPLE, SecretAccessKey: '${WORD}', Principal: me}\n  - {AccessKeyId: AKIAIOSFODNN2EXAMPLE, SecretAccessKey: '${WORD}', Principal: '*'}\n  - {AccessKeyId: AKIAIOSFODNN3EXAMPLE, SecretAccessKey: '${WORD}', Principal: 'arn:aws:iam::000000000000:group/g'}\n  - {AccessKeyId: AKIAIOSFODNN4EXAMPLE, SecretAccessKey: '${WORD}', Principal: 'arn:aws:iam::000000000000:user/'}\n  - {AccessKeyId: AKIAIOSFODNN5EXAMPLE, SecretAccessKey: '${WORD}', Principal: .amazonaws.com}",
    ),
    (
        "actions that are none",
        "Authentication:\n  AccessKeys:\n  - {AccessKeyId: AKIAIOSFODNN7EXAMPLE, SecretAccessKey: '${WORD}', Actions: ['*', InvokeFunction, 'lambda:', 's3:GetObject', 'lambda:Invoke Function']}\n  - {AccessKeyId: AKIAIOSFODNN8EXAMPLE, SecretAccessKey: '${WORD}', Actions: []}",
    ),
];

#[test]
fn every_bad_file_is_told_exactly_what_is_wrong() {
    let all: String = FILES.iter().map(|(name, text)| describe(name, text) + "\n").collect();
    insta::assert_snapshot!(all);
}

/// Wherever it was written, and whatever is wrong with the rest.
#[test]
fn a_secret_is_never_shown() {
    let key = |fields: &str| format!("Authentication: {{AccessKeys: [{{{fields}}}]}}\n");
    let files = [
        key(&format!("AccessKeyId: AKIAIOSFODNN7EXAMPLE, SecretAccessKey: '{SECRET}'")),
        key("AccessKeyId: AKIAIOSFODNN7EXAMPLE, SecretAccessKey: '${SECRET}'"),
        key(&format!("AccessKeyId: '{SECRET}', SecretAccessKey: AKIAIOSFODNN7EXAMPLE")),
        key(&format!("AccessKeyId: AKIAIOSFODNN7EXAMPLE, SecretAccesKey: '{SECRET}'")),
        key(&format!("AccessKeyId: AKIAIOSFODNN7EXAMPLE, SecretAccessKey: ['{SECRET}']")),
        key(&format!("AccessKeyId: AKIAIOSFODNN7EXAMPLE, SecretAccessKey: '${{{SECRET}}}'")),
        key(&format!("AccessKeyId: AKIAIOSFODNN7EXAMPLE, SecretAccessKey: '${{{SECRET}'")),
        key(&format!("AccessKeyId: AKIAIOSFODNN7EXAMPLE, SecretAccessKey: '${{A B:-{SECRET}}}'")),
        key(&format!("AccessKeyId: A, SecretAccessKey: '{SECRET}', SecretAccessKey: '{SECRET}'")),
        key(&format!("AccessKeyId: A, SecretAccessKey: !Ref '{SECRET}'")),
        format!("Authentication: '{SECRET}'\n"),
        format!("Authentication: {{AccessKeys: '{SECRET}'}}\n"),
        format!("Authentication: {{AccessKeys: ['{SECRET}']}}\n"),
        format!("SecretAccessKey: '{SECRET}'\n"),
        format!("Secret: '{SECRET}'\n"),
        format!("Functions: [{{FunctionName: f, Command: c, secret_access_key: '{SECRET}'}}]\n"),
        format!("Authentification: {{AccessKeys: [{{AccessKeyId: '{SECRET}'}}]}}\n"),
        format!("Authentication:\n  AccessKeys:\n  - SecretAccessKey: {SECRET}: x\n"),
        format!("Authentication:\n  AccessKeys:\n  - SecretAccessKey: '{SECRET}\n"),
        format!("Authentication:\n  AccessKeys:\n  - SecretAccessKey:\n\t{SECRET}\n"),
    ];
    for file in files {
        for loaded in [load(&file), load(&format!("Listen: 0.0.0.0:1\nAllowUnauthenticated: true\n{file}"))] {
            let later = loaded.problem("Authentication.AccessKeys[0].SecretAccessKey", "x".into(), "y".into());
            let shown = format!("{loaded:?} {later}");
            assert!(!shown.contains(SECRET), "{file}\n{shown}");
        }
    }
}

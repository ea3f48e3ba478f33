//! Requests that AWS's own clients have signed, each with its own code, and what nobody may make of them.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use http::Request;
use http::request::Parts;
use jiff::Timestamp;
use pelton_sigv4::{Claim, SignatureError};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const SCOPE: &str = "AKIDEXAMPLE/20260102/us-east-1/lambda/aws4_request";
const FUNCTIONS: &str = "/2015-03-31/functions";

/// Method, path and query, body, a header of its own, signature.
type Signed = (&'static str, &'static str, &'static str, Option<(&'static str, &'static str)>, &'static str);

/// As botocore signs.
const BOTOCORE: [Signed; 5] = [
    (
        "GET",
        "/?MaxItems=1&Marker=a%2Fb%3D%3D",
        "",
        None,
        "e1ee2ee0d50f5e05e477181c50d5e57fd159ec61549fd4fa45c17800691106b3",
    ),
    (
        "POST",
        "/a%2Fb%20c~d/invocations",
        "{}",
        None,
        "64590efbdc1a4b628394bcffaf751c531f24238dddc127184dc81d41413c7195",
    ),
    (
        "POST",
        "/work%3A%24LATEST/invocations?Qualifier=%24LATEST",
        "{}",
        Some(("x-amz-log-type", "Tail")),
        "6d84eefc6c20fa027a0a1631011841029a20570c7dfae048f1cc5a477c218fc0",
    ),
    (
        "DELETE",
        "/2017-03-31/tags/arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Awork\
         ?tagKeys=b&tagKeys=a&tagKeys=a%20b",
        "",
        None,
        "809a7a9c08b6ae2dd2b6bd756e1b88374d79fafb9718f76f2095e51a7749fa17",
    ),
    (
        "GET",
        "/caf%C3%A9/policy?Qualifier=",
        "",
        None,
        "5ce2cd58010ea97cfd4f16f914d6f57ceeb0989a6ecb092ee026cace38abf95c",
    ),
];

/// As the SDK for JavaScript signs: path and query, signature in `Authorization`, signature of a presigned GET.
const JAVASCRIPT: [(&str, &str, Option<&str>); 4] = [
    (
        "/caf%C3%A9/invocations",
        "5245dd646ef75e1a08c4e9b10db7ef62c2cb88d26e4d9a1ae4f603c1a97936c8",
        Some("abe5bc743d33460283af992e1a2cb6e7db232da014f7c89c0348d26d89655737"),
    ),
    (
        "/work/invocations?Qualifier=live%20one",
        "0b5fa37a2710ff3281bcddafc3e282e6735f0036e5aab947076d1a895d468c3d",
        Some("1d3bc0b84774d2970b53d0201754347c260f5e75682cc6082c69ea248654151d"),
    ),
    ("/work/invocations?a=%2B", "b0ad05ff671f51bc1caf3887313376c6f57eb23bc01c39de2b1aa4b2b284ce5e", None),
    (
        "/work/invocations?a=%E2%82%AC%2A%27",
        "997c7d2d36932ee41e83c60afb18f4f6d96dec34475578ee57fc7abbab78fd30",
        Some("66e6b56b00d914519d9e69dd51e940dbc94cf0e9f8c6293d9dcb988491d9362f"),
    ),
];
const JAVASCRIPT_BODY: &str = r#"{"a":1}"#;
const JAVASCRIPT_SUM: &str = "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862";

fn head(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parts {
    let request = Request::builder().method(method).uri(uri).header("host", "127.0.0.1:9400");
    headers
        .iter()
        .fold(request, |request, (name, value)| request.header(*name, *value))
        .body(())
        .unwrap()
        .into_parts()
        .0
}

fn path(end: &str) -> String {
    match end.starts_with("/2017") {
        true => end.to_owned(),
        false => format!("{FUNCTIONS}{end}"),
    }
}

fn authorization(signed: &str, signature: &str) -> String {
    format!("AWS4-HMAC-SHA256 Credential={SCOPE}, SignedHeaders={signed}, Signature={signature}")
}

/// Every request above, with what to call it and its body.
fn all() -> Vec<(String, Parts, &'static str)> {
    let mut all = Vec::new();
    for (method, end, body, own, signature) in BOTOCORE {
        let signed = own.map_or("host;x-amz-date".to_owned(), |(name, _)| format!("host;x-amz-date;{name}"));
        let authorization = authorization(&signed, signature);
        let mut headers = vec![("x-amz-date", "20260102T030405Z"), ("authorization", authorization.as_str())];
        headers.extend(own);
        all.push((format!("botocore {end}"), head(method, &path(end), &headers), body));
    }
    for (end, signature, presigned) in JAVASCRIPT {
        all.push((format!("JavaScript {end}"), javascript(end, signature, JAVASCRIPT_SUM), JAVASCRIPT_BODY));
        let Some(signature) = presigned else { continue };
        let (separator, scope) = (if end.contains('?') { '&' } else { '?' }, SCOPE.replace('/', "%2F"));
        let uri = format!(
            "{FUNCTIONS}{end}{separator}X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={scope}\
             &X-Amz-Date=20260102T030405Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature={signature}"
        );
        all.push((format!("JavaScript, presigned {end}"), head("GET", &uri, &[]), ""));
    }
    all
}

fn javascript(end: &str, signature: &str, sum: &str) -> Parts {
    let signed = "amz-sdk-request;content-type;host;x-amz-content-sha256;x-amz-date;x-amz-user-agent";
    let headers = [
        ("content-type", "application/json"),
        ("x-amz-user-agent", "aws-sdk-js/3"),
        ("user-agent", "x"),
        ("amz-sdk-request", "attempt=1"),
        ("x-amz-date", "20260102T030405Z"),
        ("x-amz-content-sha256", sum),
        ("authorization", &authorization(signed, signature)),
    ];
    head("POST", &path(end), &headers)
}

fn verify(head: &Parts, body: &str) -> Result<(), SignatureError> {
    let now: Timestamp = "2026-01-02T03:04:10Z".parse().unwrap();
    let claim = Claim::read(head)?;
    claim.check_time(now)?;
    claim.verify(head, body.as_bytes(), SECRET)
}

#[test]
fn what_awss_clients_sign_is_good() {
    for (what, head, body) in all() {
        assert_eq!(verify(&head, body), Ok(()), "{what}");
        assert_eq!(verify(&head, "{\"a\": 2}"), Err(SignatureError::Mismatch), "{what} with another body");
    }
}

#[test]
fn a_header_that_was_added_and_is_said_to_be_signed_is_noticed() {
    for (what, mut head, body) in all() {
        head.headers.insert("x-amz-source-arn", "arn:aws:sns:us-east-1:000000000000:news".parse().unwrap());
        let unsigned = SignatureError::Unsigned(
            "'x-amz-source-arn' must be a 'SignedHeader' in the AWS Authorization.".to_owned(),
        );
        assert_eq!(verify(&head, body), Err(unsigned), "{what}, not signed");
        match head.headers.get("authorization").map(|value| value.to_str().unwrap().to_owned()) {
            Some(text) => {
                let text = text.replace("host;", "host;x-amz-source-arn;");
                head.headers.insert("authorization", text.parse().unwrap());
            }
            None => {
                let uri = head.uri.to_string().replace("Headers=host", "Headers=host%3Bx-amz-source-arn");
                head.uri = uri.parse().unwrap();
            }
        }
        assert_eq!(verify(&head, body), Err(SignatureError::Mismatch), "{what}, said to be signed");
    }
}

#[test]
fn a_presigned_request_lasts_no_longer_than_it_was_signed_for() {
    let presigned = all().into_iter().filter(|(what, ..)| what.starts_with("JavaScript, presigned"));
    for (what, mut head, body) in presigned {
        let uri = head.uri.to_string();
        for other in [uri.replace("Expires=60", "Expires=604800"), format!("{uri}&X-Amz-Expires=604800")] {
            head.uri = other.parse().unwrap();
            assert_eq!(verify(&head, body), Err(SignatureError::Mismatch), "{what}");
        }
    }
}

/// The body is always part of what is signed, whatever the header says of it.
#[test]
fn no_header_stands_for_the_body() {
    let (end, signature, _) = JAVASCRIPT[1];
    for sum in ["UNSIGNED-PAYLOAD", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", &"0".repeat(64), ""] {
        let refused = verify(&javascript(end, signature, sum), JAVASCRIPT_BODY);
        assert_eq!(refused, Err(SignatureError::Mismatch), "{sum:?}");
    }
    // As the SDK for JavaScript signs when it is told not to hash the body.
    let unsigned = "6acad9dfe0d3b2777d8094d457edf4132e5c0cc219e9dbd7ee067b8bcd43e60a";
    let refused = verify(&javascript(end, unsigned, "UNSIGNED-PAYLOAD"), JAVASCRIPT_BODY);
    assert_eq!(refused, Err(SignatureError::Mismatch));
}

//! Requests that others have signed, and what becomes of them when something of them changes.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use http::Request;
use http::request::Parts;
use jiff::{SignedDuration, Timestamp};
use pelton_sigv4::{Claim, SignatureError};
use proptest::prelude::*;

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const PATH: &str = "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Awork/invocations";
const BODY: &[u8] = br#"{"id": 7}"#;
/// As botocore signs it.
const AUTHORIZATION: &str = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260102/us-east-1/lambda/aws4_request, \
                             SignedHeaders=host;x-amz-client-context;x-amz-date;x-amz-invocation-type, \
                             Signature=703d9f604d8aef76be9fb36c3649c9aa22301a0a86e6850287d3374c51efd500";
const PRESIGNED: &str = "/2015-03-31/functions/?MaxItems=1&X-Amz-Algorithm=AWS4-HMAC-SHA256\
                         &X-Amz-Credential=AKIDEXAMPLE%2F20260102%2Fus-east-1%2Flambda%2Faws4_request\
                         &X-Amz-Date=20260102T030405Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host\
                         &X-Amz-Signature=158e00bd88f5978cd6821eb4b94fe5a6dc779cac66bef3cabadc5f5e74fe8b76";

/// A request that botocore has signed.
fn signed() -> Parts {
    head(
        &format!("{PATH}?Qualifier=live%20one"),
        &[
            ("host", "127.0.0.1:9400"),
            ("x-amz-invocation-type", "Event"),
            ("user-agent", "x"),
            ("x-amz-client-context", "a  b "),
            ("x-amz-date", "20260102T030405Z"),
            ("authorization", AUTHORIZATION),
        ],
    )
}

fn head(uri: &str, headers: &[(&str, &str)]) -> Parts {
    let request = Request::builder().method("POST").uri(uri);
    headers
        .iter()
        .fold(request, |request, (name, value)| request.header(*name, *value))
        .body(())
        .unwrap()
        .into_parts()
        .0
}

fn presigned() -> Parts {
    let mut head = head(PRESIGNED, &[("host", "127.0.0.1:9400")]);
    head.method = http::Method::GET;
    head
}

fn at() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

/// What everything says of a request, as a service asks.
fn verify(head: &Parts, body: &[u8], now: Timestamp) -> Result<(), SignatureError> {
    let claim = Claim::read(head)?;
    if claim.key_id() != "AKIDEXAMPLE" {
        return Err(SignatureError::UnknownKey);
    }
    claim.check_time(now)?;
    claim.verify(head, body, SECRET)
}

#[test]
fn what_botocore_signs_is_good() {
    assert_eq!(verify(&signed(), BODY, at()), Ok(()));
    assert_eq!(verify(&signed(), BODY, at()), Ok(()), "the same again, within the time");
    assert_eq!(verify(&presigned(), b"", at()), Ok(()));
}

#[test]
fn whatever_changes_makes_it_another_request() {
    let changed = |what: &str, change: &dyn Fn(&mut Parts)| {
        let mut head = signed();
        change(&mut head);
        assert_eq!(verify(&head, BODY, at()), Err(SignatureError::Mismatch), "{what}");
    };
    let to = |uri: &str| uri.parse::<http::Uri>().unwrap();
    changed("the method", &|head| head.method = http::Method::PUT);
    changed("the path", &|head| head.uri = to("/2015-03-31/functions/other/invocations?Qualifier=live%20one"));
    changed("the query", &|head| head.uri = to(&format!("{PATH}?Qualifier=live")));
    changed("no query", &|head| head.uri = to(PATH));
    changed("a header", &|head| {
        head.headers.insert("x-amz-invocation-type", "DryRun".parse().unwrap());
    });
    changed("a header twice", &|head| {
        head.headers.append("x-amz-invocation-type", "Event".parse().unwrap());
    });
    changed("no header", &|head| {
        head.headers.remove("x-amz-client-context");
    });
    changed("the host", &|head| {
        head.headers.insert("host", "example.org".parse().unwrap());
    });
    assert_eq!(verify(&signed(), b"{}", at()), Err(SignatureError::Mismatch), "the body");
    let claim = Claim::read(&signed()).unwrap();
    assert_eq!(claim.verify(&signed(), BODY, "another"), Err(SignatureError::Mismatch), "the secret");
    for (from, to) in [("703d", "703e"), ("us-east-1", "eu-west-1"), ("Signature=703", "Signature=,x=")] {
        let mut head = signed();
        head.headers.insert("authorization", AUTHORIZATION.replace(from, to).parse().unwrap());
        assert!(verify(&head, BODY, at()).is_err(), "{to}");
    }
    let mut other = presigned();
    other.uri = PRESIGNED.replace("MaxItems=1", "MaxItems=2").parse().unwrap();
    assert_eq!(verify(&other, b"", at()), Err(SignatureError::Mismatch));
    // What isn't signed may change.
    let mut agent = signed();
    agent.headers.insert("user-agent", "y".parse().unwrap());
    assert_eq!(verify(&agent, BODY, at()), Ok(()));
}

#[test]
fn clocks_may_be_five_minutes_apart() {
    let after = |seconds| at() + SignedDuration::from_secs(seconds);
    for seconds in [-300, -1, 300] {
        assert_eq!(verify(&signed(), BODY, after(seconds)), Ok(()));
    }
    let late = verify(&signed(), BODY, after(301)).unwrap_err();
    assert_eq!(
        late.to_string(),
        "Signature expired: 20260102T030405Z is now earlier than 20260102T030406Z (20260102T030906Z - 5 min.)"
    );
    let early = verify(&signed(), BODY, after(-301)).unwrap_err();
    assert_eq!(
        early.to_string(),
        "Signature not yet current: 20260102T030405Z is still later than 20260102T030404Z (20260102T025904Z + 5 min.)"
    );
    assert_eq!([late.kind(), early.kind()], ["InvalidSignatureException"; 2]);
    assert_eq!(verify(&presigned(), b"", after(60)), Ok(()));
    assert_eq!(
        verify(&presigned(), b"", after(61)).unwrap_err().to_string(),
        "Signature expired: 20260102T030405Z is now earlier than 20260102T030406Z (20260102T030506Z - 60 s.)"
    );
}

#[test]
fn what_is_missing_is_said_in_awss_words() {
    let said = |head: &Parts| {
        let error = verify(head, BODY, at()).unwrap_err();
        (error.kind(), error.to_string())
    };
    let unsigned = head(PATH, &[("host", "h")]);
    assert_eq!(said(&unsigned), ("MissingAuthenticationTokenException", "Missing Authentication Token".to_owned()));
    let with = |authorization: &str| {
        let mut head = signed();
        head.headers.insert("authorization", authorization.parse().unwrap());
        said(&head)
    };
    let incomplete = "IncompleteSignatureException";
    assert_eq!(
        with("Bearer abc"),
        (
            incomplete,
            "Authorization header requires 'Credential' parameter. Authorization header requires 'Signature' parameter. \
             Authorization header requires 'SignedHeaders' parameter."
                .to_owned()
        )
    );
    assert_eq!(with("AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=x").0, incomplete);
    let scoped = |scope: &str| {
        with(&format!("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{scope}, SignedHeaders=host, Signature=x"))
    };
    let invalid = "InvalidSignatureException";
    let service = "Credential should be scoped to correct service: 'lambda'.";
    assert_eq!(scoped("20260102/us-east-1/sqs/aws4_request"), (invalid, service.to_owned()));
    assert_eq!(scoped("20260102/us-east-1/lambda/other").0, invalid);
    let day = "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP.";
    assert_eq!(scoped("20260103/us-east-1/lambda/aws4_request"), (invalid, day.to_owned()));
    // One of several that aren't signed is named.
    let (kind, text) = scoped("20260102/us-east-1/lambda/aws4_request");
    assert_eq!(kind, invalid);
    assert!(
        text.starts_with("'x-amz-") && text.ends_with("' must be a 'SignedHeader' in the AWS Authorization."),
        "{text}"
    );
    let stranger = with(&AUTHORIZATION.replace("AKIDEXAMPLE", "AKIDSTRANGER"));
    assert_eq!(
        stranger,
        ("UnrecognizedClientException", "The security token included in the request is invalid.".to_owned())
    );
    let mut host = signed();
    host.headers.insert("authorization", AUTHORIZATION.replace("host;", "").parse().unwrap());
    assert_eq!(
        said(&host),
        (invalid, "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.".to_owned())
    );
    let mut undated = signed();
    undated.headers.remove("x-amz-date");
    assert_eq!(
        said(&undated),
        (incomplete, "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.".to_owned())
    );
    let mut twice = signed();
    twice.headers.append("authorization", AUTHORIZATION.parse().unwrap());
    assert_eq!(said(&twice).0, incomplete);
    let mut longest = presigned();
    longest.uri = PRESIGNED.replace("Expires=60", "Expires=604801").parse().unwrap();
    assert_eq!(said(&longest).0, incomplete);
}

proptest! {
    /// Nothing that a request can hold makes it panic, and nothing but the right signature is good.
    #[test]
    fn arbitrary_claims_are_refused(
        authorization in "(AWS4-HMAC-SHA256 )?[ -~]{0,200}",
        scope in "[A-Za-z0-9/%-]{0,60}",
        signed in "[a-z;-]{0,40}",
        signature in "[0-9a-f]{0,70}",
        date in "[0-9TZ]{0,18}",
        query in "[A-Za-z0-9=&%+-]{0,80}",
    ) {
        let text = format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders={signed}, Signature={signature}");
        for authorization in [authorization, text] {
            let headers = [("host", "h"), ("x-amz-date", date.as_str()), ("authorization", authorization.as_str())];
            let uri = format!("{PATH}?{query}");
            prop_assert!(verify(&head(&uri, &headers), BODY, at()).is_err());
        }
        let presigned = format!("/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={scope}&X-Amz-Date={date}&{query}");
        prop_assert!(verify(&head(&presigned, &[("host", "h")]), b"", at()).is_err());
    }
}

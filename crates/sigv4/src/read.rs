//! Reads where a signature stands: in `Authorization`, or in the query of a presigned request. Pure.
use std::collections::BTreeMap;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::request::Parts;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::SignatureError;
use crate::claim::{Claim, Place};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const DATE: &str = "x-amz-date";
const TERMINATOR: &str = "aws4_request";
/// The longest that a presigned request may be good for: seven days.
const LONGEST: u64 = 604_800;

impl Claim {
    /// Reads what the head of a request says of its signature. Nothing of it is checked yet.
    ///
    /// # Errors
    /// [`SignatureError::Missing`], `Incomplete` and `Scope`.
    pub fn read(head: &Parts) -> Result<Self, SignatureError> {
        let mut headers = head.headers.get_all(AUTHORIZATION).iter();
        match (headers.next(), headers.next()) {
            (Some(_), Some(_)) => Err(incomplete("There is more than one Authorization header.")),
            (Some(value), None) => of_header(head, value.to_str().unwrap_or_default()),
            (None, _) => of_query(head),
        }
    }
}

fn incomplete(message: &str) -> SignatureError {
    SignatureError::Incomplete(message.to_owned())
}

fn of_header(head: &Parts, text: &str) -> Result<Claim, SignatureError> {
    let parameters = text.strip_prefix(ALGORITHM).filter(|rest| rest.starts_with(' ')).unwrap_or_default();
    let given: BTreeMap<&str, &str> =
        parameters.split(',').filter_map(|parameter| parameter.trim().split_once('=')).collect();
    let date = head.headers.get(DATE).and_then(|value| value.to_str().ok());
    let mut missing = String::new();
    for name in ["Credential", "Signature", "SignedHeaders"] {
        if given.get(name).is_none_or(|value| value.is_empty()) {
            missing += &format!("Authorization header requires '{name}' parameter. ");
        }
    }
    if date.is_none() {
        missing += "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ";
    }
    let get = |name| given.get(name).copied().unwrap_or_default();
    match date {
        Some(date) if missing.is_empty() => {
            claim([get("Credential"), get("SignedHeaders"), get("Signature"), date], Place::Header)
        }
        _ => Err(incomplete(missing.trim_end())),
    }
}

fn of_query(head: &Parts) -> Result<Claim, SignatureError> {
    let query = head.uri.query().unwrap_or_default();
    let given: BTreeMap<String, String> =
        form_urlencoded::parse(query.as_bytes()).map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    let get = |name: &str| given.get(name).map(String::as_str).unwrap_or_default();
    if !given.contains_key("X-Amz-Algorithm") {
        return Err(SignatureError::Missing);
    }
    if get("X-Amz-Algorithm") != ALGORITHM {
        return Err(incomplete("AWS query-string parameters must include an 'X-Amz-Algorithm' of AWS4-HMAC-SHA256."));
    }
    let names = ["X-Amz-Credential", "X-Amz-SignedHeaders", "X-Amz-Signature", "X-Amz-Date", "X-Amz-Expires"];
    let absent = names.into_iter().filter(|name| get(name).is_empty());
    let absent: Vec<String> =
        absent.map(|name| format!("AWS query-string parameters must include '{name}'.")).collect();
    if !absent.is_empty() {
        return Err(SignatureError::Incomplete(absent.join(" ")));
    }
    let seconds = get("X-Amz-Expires").parse().ok().filter(|seconds| (1..=LONGEST).contains(seconds));
    let seconds = seconds.ok_or_else(|| incomplete("X-Amz-Expires must be a number of seconds from 1 to 604800."))?;
    let texts = [get("X-Amz-Credential"), get("X-Amz-SignedHeaders"), get("X-Amz-Signature"), get("X-Amz-Date")];
    claim(texts, Place::Query { expires: Duration::from_secs(seconds) })
}

fn claim([credential, signed, signature, date]: [&str; 4], place: Place) -> Result<Claim, SignatureError> {
    let [key_id, day, region, service, terminator] = credential.split('/').collect::<Vec<_>>()[..] else {
        return Err(incomplete(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term",
        ));
    };
    let time = time(date).ok_or_else(|| {
        incomplete("Date must be in ISO-8601 'basic format', such as 20250101T120000Z. See http://en.wikipedia.org/wiki/ISO_8601")
    })?;
    let mut wrong = String::new();
    if region.is_empty() || !region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        wrong += "Credential should be scoped to a valid Region. ";
    }
    if service != "lambda" {
        wrong += "Credential should be scoped to correct service: 'lambda'. ";
    }
    if terminator != TERMINATOR {
        wrong += "Credential should be scoped with a valid terminator: 'aws4_request'. ";
    }
    if !date.starts_with(day) || day.len() != 8 {
        wrong += "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP. ";
    }
    if !wrong.is_empty() {
        return Err(SignatureError::Scope(wrong.trim_end().to_owned()));
    }
    Ok(Claim {
        key_id: key_id.to_owned(),
        region: region.to_owned(),
        signed: signed.split(';').map(str::to_ascii_lowercase).collect(),
        signature: signature.to_owned(),
        time,
        place,
    })
}

fn time(text: &str) -> Option<Timestamp> {
    let time = DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok().filter(|_| text.len() == 16)?;
    TimeZone::UTC.to_timestamp(time).ok()
}

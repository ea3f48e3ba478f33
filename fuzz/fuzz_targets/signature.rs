//! What any request says of its signature is read or refused; nothing panics, and no signature that was made up is good.
#![no_main]
use libfuzzer_sys::fuzz_target;
use pelton_sigv4::Claim;

/// Longer ones only make the run slow.
const LONGEST: usize = 4_096;

// Four lines, so that a mutation of one leaves the others as they are.
fuzz_target!(|data: &[u8]| {
    if data.len() > LONGEST {
        return;
    }
    let mut parts = data.splitn(5, |byte| *byte == b'\n');
    let mut next = || parts.next().unwrap_or_default();
    let (uri, authorization, date, host) = (next(), next(), next(), next());
    let request = http::Request::builder()
        .uri(uri)
        .header("authorization", authorization)
        .header("x-amz-date", date)
        .header("host", host);
    let Ok(request) = request.body(()) else { return };
    let (mut head, ()) = request.into_parts();
    if authorization.is_empty() {
        head.headers.remove("authorization");
    }
    let Ok(claim) = Claim::read(&head) else { return };
    let _ = claim.check_time(jiff::Timestamp::UNIX_EPOCH);
    assert!(claim.verify(&head, next(), "a secret that is in no input").is_err());
});

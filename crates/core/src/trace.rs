//! `X-Amzn-Trace-Id`: which invocations belong together, and how many functions lie behind one.
use std::fmt;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The longest header that is kept; a longer one is replaced.
const LONGEST: usize = 512;
/// The field in which Lambda counts invocations; its last part, behind a colon, is the count.
const LINEAGE: &str = "Lineage";
/// What stands before the count where nothing else did.
const OWN_LINEAGE: &str = "1:pelton";

/// A trace header: `Root=1-…;Parent=…;Sampled=0;Lineage=…:3`. SDKs inside a function send it on with their own calls, so
/// that a circle of functions shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TraceHeader(String);

impl TraceHeader {
    /// What a caller sent, or a new trace if that was nothing usable: visible ASCII, at most 512 bytes.
    pub fn received(header: Option<&str>) -> Self {
        let usable = |text: &&str| {
            let is_visible = text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
            text.len() <= LONGEST && is_visible && text.contains("Root=")
        };
        header.filter(usable).map_or_else(Self::new, |text| Self(text.to_owned()))
    }

    fn new() -> Self {
        let id = Uuid::new_v4().simple().to_string();
        Self(format!("Root=1-{}-{};Sampled=0", &id[..8], &id[8..]))
    }

    /// As it is sent.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// How many invocations by functions and destinations lie before this one; 0 for what came from outside.
    pub fn hops(&self) -> u32 {
        self.fields().find_map(|(name, value)| (name == LINEAGE).then(|| count(value))).unwrap_or_default()
    }

    /// The same trace, one hop further.
    pub fn next_hop(&self) -> Self {
        let next = self.hops().saturating_add(1);
        let lineage = self.fields().find_map(|(name, value)| (name == LINEAGE).then_some(value));
        let before = lineage.and_then(|value| value.rsplit_once(':')).map_or(OWN_LINEAGE, |(before, _)| before);
        let others = self.0.split(';').filter(|field| !field.trim().starts_with("Lineage="));
        let fields: Vec<String> = others.map(str::to_owned).chain([format!("{LINEAGE}={before}:{next}")]).collect();
        Self(fields.join(";"))
    }

    fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.split(';').filter_map(|field| field.trim().split_once('='))
    }
}

fn count(lineage: &str) -> u32 {
    lineage.rsplit(':').next().and_then(|count| count.parse().ok()).unwrap_or_default()
}

impl fmt::Display for TraceHeader {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn counts_hops_in_the_lineage() {
        let header = TraceHeader::received(Some("Root=1-67a-9c;Parent=5f;Sampled=1"));
        assert_eq!(header.hops(), 0);
        let next = header.next_hop().next_hop();
        assert_eq!(next.as_str(), "Root=1-67a-9c;Parent=5f;Sampled=1;Lineage=1:pelton:2");
        assert_eq!(next.hops(), 2);
        let of_aws = TraceHeader::received(Some("Root=1-67a-9c;Lineage=1:fc3b4ff1:7;Sampled=0"));
        assert_eq!(of_aws.next_hop().as_str(), "Root=1-67a-9c;Sampled=0;Lineage=1:fc3b4ff1:8");
    }

    #[test]
    fn what_is_no_header_begins_a_trace() {
        for unusable in [None, Some(""), Some("Root=é"), Some("Root=\r\nX: y"), Some(&*"Root=x".repeat(100))] {
            let header = TraceHeader::received(unusable);
            assert!(header.as_str().starts_with("Root=1-") && header.hops() == 0, "{header}");
        }
    }

    proptest! {
        #[test]
        fn any_header_goes_one_hop_further(text in "Root=1;(Lineage=[0-9a-z:]{0,12};?)?[A-Za-z=;: ]{0,20}") {
            let header = TraceHeader::received(Some(&text));
            prop_assert_eq!(header.next_hop().hops(), header.hops().saturating_add(1));
        }
    }
}

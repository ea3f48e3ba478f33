//! What a request claims of itself, and whether it is so.
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use http::request::Parts;
use jiff::{SignedDuration, Timestamp};
use subtle::ConstantTimeEq as _;

use crate::SignatureError;

/// How far the clocks of caller and service may be apart, as with AWS: five minutes. Within it the same request is taken
/// again.
pub const SKEW: Duration = Duration::from_secs(300);
const MINUTES: u64 = 5;
/// Parameters of a presigned request that are part of its signature, and are added when it is signed.
const OF_SIGNATURE: [&str; 6] =
    ["X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature"];

/// A request's own account of who has signed it, when, and how.
#[derive(Clone)]
pub struct Claim {
    pub(crate) key_id: String,
    pub(crate) region: String,
    /// In lower case.
    pub(crate) signed: Vec<String>,
    pub(crate) signature: String,
    pub(crate) time: Timestamp,
    pub(crate) place: Place,
}

/// Where a signature stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// `Authorization`.
    Header,
    /// The query.
    Query {
        /// How long it is good for.
        expires: Duration,
    },
}

impl Claim {
    /// The access key id it names.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Whether it was signed lately, and isn't from the future.
    ///
    /// # Errors
    /// [`SignatureError::Time`].
    pub fn check_time(&self, now: Timestamp) -> Result<(), SignatureError> {
        let (good_for, unit) = match self.place {
            Place::Header => (SKEW, format!("{MINUTES} min.")),
            Place::Query { expires } => (expires, format!("{} s.", expires.as_secs())),
        };
        let [earliest, latest] = [
            now.checked_sub(good_for).unwrap_or(Timestamp::MIN),
            now.checked_add(SignedDuration::from_secs(SKEW.as_secs().cast_signed())).unwrap_or(Timestamp::MAX),
        ];
        let text = |time: Timestamp| time.strftime("%Y%m%dT%H%M%SZ").to_string();
        let (signed, now) = (text(self.time), text(now));
        if self.time < earliest {
            let earliest = text(earliest);
            return Err(SignatureError::Time(format!(
                "Signature expired: {signed} is now earlier than {earliest} ({now} - {unit})"
            )));
        }
        if self.time > latest {
            let latest = text(latest);
            return Err(SignatureError::Time(format!(
                "Signature not yet current: {signed} is still later than {latest} ({now} + {MINUTES} min.)"
            )));
        }
        Ok(())
    }

    /// Whether the holder of `secret` has signed this request, with this body.
    ///
    /// # Errors
    /// [`SignatureError::Unsigned`] if the host or a header of AWS's isn't signed, else `Mismatch`.
    pub fn verify(&self, head: &Parts, body: &[u8], secret: &str) -> Result<(), SignatureError> {
        self.check_headers(head)?;
        let expected = self.expected(head, body, secret).ok_or(SignatureError::Mismatch)?;
        match bool::from(expected.as_bytes().ct_eq(self.signature.as_bytes())) {
            true => Ok(()),
            false => Err(SignatureError::Mismatch),
        }
    }

    fn check_headers(&self, head: &Parts) -> Result<(), SignatureError> {
        let is_signed = |name: &str| self.signed.iter().any(|signed| signed == name);
        if !is_signed("host") {
            let message = "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.";
            return Err(SignatureError::Unsigned(message.into()));
        }
        match head.headers.keys().find(|name| name.as_str().starts_with("x-amz-") && !is_signed(name.as_str())) {
            Some(name) => {
                Err(SignatureError::Unsigned(format!("'{name}' must be a 'SignedHeader' in the AWS Authorization.")))
            }
            None => Ok(()),
        }
    }

    /// The signature that the holder of `secret` would have made. `None`: of nothing that could be signed.
    fn expected(&self, head: &Parts, body: &[u8], secret: &str) -> Option<String> {
        let mut headers = Vec::new();
        for name in &self.signed {
            let values = head.headers.get_all(name.as_str()).iter();
            let values: Vec<&str> = values.map(|value| value.to_str().ok()).collect::<Option<_>>()?;
            if values.is_empty() {
                return None;
            }
            headers.extend(values.into_iter().map(|value| (name.as_str(), value)));
        }
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Double;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Enabled;
        settings.payload_checksum_kind = PayloadChecksumKind::NoHeader;
        settings.excluded_headers = None;
        let mut uri = format!("http://localhost{}", head.uri.path());
        let query = head.uri.query().unwrap_or_default();
        match self.place {
            Place::Header => {
                settings.signature_location = SignatureLocation::Headers;
                uri.extend((!query.is_empty()).then(|| format!("?{query}")));
            }
            Place::Query { expires } => {
                settings.signature_location = SignatureLocation::QueryParams;
                settings.expires_in = Some(expires);
                let of_signature = |pair: &&str| OF_SIGNATURE.contains(&pair.split('=').next().unwrap_or_default());
                let others: Vec<&str> = query.split('&').filter(|pair| !of_signature(pair)).collect();
                uri.extend((!others.is_empty()).then(|| format!("?{}", others.join("&"))));
            }
        }
        if !head.uri.path().starts_with('/') {
            return None;
        }
        let identity = Credentials::new(&self.key_id, secret, None, None, "pelton").into();
        let parameters = SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("lambda")
            .time(SystemTime::try_from(self.time).ok()?)
            .settings(settings)
            .build()
            .ok()?;
        let body = SignableBody::Bytes(body);
        let request = SignableRequest::new(head.method.as_str(), uri, headers.into_iter(), body).ok()?;
        Some(sign(request, &parameters.into()).ok()?.signature().to_owned())
    }
}

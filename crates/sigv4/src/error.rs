//! Why a request isn't taken for its key's holder's, in AWS's words. No text holds a secret or a signature.

/// Why. All of them are answered with status 403.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// It isn't signed.
    #[error("Missing Authentication Token")]
    Missing,
    /// What it says of its signature is incomplete or malformed.
    #[error("{0}")]
    Incomplete(String),
    /// Nobody here has that key.
    #[error("The security token included in the request is invalid.")]
    UnknownKey,
    /// It is signed for another service, or with another scope.
    #[error("{0}")]
    Scope(String),
    /// It was signed too long ago, or not yet.
    #[error("{0}")]
    Time(String),
    /// A part of it that has to be signed isn't.
    #[error("{0}")]
    Unsigned(String),
    /// The signature is another one.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key \
         and signing method. Consult the service documentation for details."
    )]
    Mismatch,
}

impl SignatureError {
    /// AWS's type of the error.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Missing => "MissingAuthenticationTokenException",
            Self::Incomplete(_) => "IncompleteSignatureException",
            Self::UnknownKey => "UnrecognizedClientException",
            Self::Scope(_) | Self::Time(_) | Self::Unsigned(_) | Self::Mismatch => "InvalidSignatureException",
        }
    }
}

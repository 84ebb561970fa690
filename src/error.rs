//! What can go wrong, told by what the caller should do about it, and the codes that travel to a client.

use core::fmt;

/// What the caller should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The bytes break the format: drop them silently.
    Malformed,
    /// A signature, a seal or a binding does not hold: drop them silently.
    Unauthentic,
    /// Not valid now: too early, expired, or older than what is known. Drop; a newer one may come.
    Untimely,
    /// Its provider signed two truths: never use it again.
    Equivocated,
    /// Genuine but needs something that is not known yet: fetch that, then try again.
    Incomplete,
    /// Genuine but asks for what this version does not do: refuse with [`Code::Unsupported`].
    Unsupported,
    /// Over a limit: refuse with [`Code::TooLarge`], or make it smaller.
    TooLarge,
    /// Text given by a person does not parse: show the message.
    Invalid,
}

/// An error with the place it arose. It holds no content, key or topic, so it may be logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    kind: ErrorKind,
    what: &'static str,
}

impl Error {
    /// An error of this kind; `what` names the field or the rule.
    pub const fn new(kind: ErrorKind, what: &'static str) -> Self {
        Self { kind, what }
    }

    /// What the caller should do.
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The field or rule that failed.
    pub const fn what(&self) -> &'static str {
        self.what
    }

    pub(crate) const fn malformed(what: &'static str) -> Self {
        Self::new(ErrorKind::Malformed, what)
    }

    pub(crate) const fn unauthentic(what: &'static str) -> Self {
        Self::new(ErrorKind::Unauthentic, what)
    }

    pub(crate) const fn untimely(what: &'static str) -> Self {
        Self::new(ErrorKind::Untimely, what)
    }

    pub(crate) const fn unsupported(what: &'static str) -> Self {
        Self::new(ErrorKind::Unsupported, what)
    }

    pub(crate) const fn too_large(what: &'static str) -> Self {
        Self::new(ErrorKind::TooLarge, what)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            ErrorKind::Malformed => "malformed",
            ErrorKind::Unauthentic => "not authentic",
            ErrorKind::Untimely => "not valid at this time",
            ErrorKind::Equivocated => "signed two truths",
            ErrorKind::Incomplete => "needs something unknown",
            ErrorKind::Unsupported => "unsupported",
            ErrorKind::TooLarge => "too large",
            ErrorKind::Invalid => "invalid",
        };
        write!(f, "{kind}: {}", self.what)
    }
}

impl core::error::Error for Error {}

/// Why a provider did not answer, as it travels sealed to the client (protocol section 5.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Code {
    /// The content is no chat request.
    BadRequest = 1,
    /// The model is not offered now.
    ModelUnavailable = 4,
    /// No slot and no queue place: `retry_after` says when.
    Overloaded = 5,
    /// Payment is missing.
    PaymentRequired = 6,
    /// Payment does not verify.
    PaymentInvalid = 7,
    /// The request or its context is over a limit.
    TooLarge = 8,
    /// The operator or the model refuses.
    Refused = 9,
    /// The backend failed.
    Internal = 10,
    /// The client cancelled.
    Cancelled = 11,
    /// The request asks for what this version does not do.
    Unsupported = 12,
}

impl Code {
    /// The code of this number, none when it is not defined.
    pub const fn from_u16(code: u16) -> Option<Self> {
        Some(match code {
            1 => Self::BadRequest,
            4 => Self::ModelUnavailable,
            5 => Self::Overloaded,
            6 => Self::PaymentRequired,
            7 => Self::PaymentInvalid,
            8 => Self::TooLarge,
            9 => Self::Refused,
            10 => Self::Internal,
            11 => Self::Cancelled,
            12 => Self::Unsupported,
            _ => return None,
        })
    }
}

impl From<Code> for u16 {
    fn from(code: Code) -> u16 {
        code as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_survive_their_numbers() {
        let known: alloc::vec::Vec<u16> = (0..100).filter_map(Code::from_u16).map(u16::from).collect();
        assert_eq!(known, [1, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    }
}

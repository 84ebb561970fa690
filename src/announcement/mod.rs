//! How a provider announces itself: signed objects on the discovery topic (protocol section 2.4).
//!
//! Each travels as the CBOR array `[type, body, signature]`. The signature is over the label and the body's bytes as
//! they came: nothing is ever encoded again to verify it.

pub mod bundle;
pub mod cert;
mod clock;
mod entry;
pub mod heartbeat;
pub mod registry;

use crate::{
    cbor,
    error::Error,
    identity::{self, OperationalKey, PublicKey, RootKey, SignatureBytes},
};
use alloc::vec::Vec;
use rand_core::CryptoRng;

/// Largest signed object, in bytes.
pub const MAX_SIGNED: usize = 8 * 1024;

/// Seconds that a bundle or certificate may be ahead of our clock.
pub const SKEW_S: u64 = 120;

/// What a signed object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// A root key certifies an operational key.
    Cert = 1,
    /// Prekeys and what belongs to them.
    KeyBundle = 2,
    /// Alive, with models and load.
    Heartbeat = 3,
    /// A root key revokes operational keys.
    Revocation = 4,
    /// Reserved.
    Attestation = 5,
    /// What was delivered.
    Receipt = 6,
}

impl Kind {
    /// The label under its signature.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Cert => "pam1 cert",
            Self::KeyBundle => "pam1 bundle",
            Self::Heartbeat => "pam1 hb",
            Self::Revocation => "pam1 revoke",
            Self::Attestation => "pam1 attest",
            Self::Receipt => "pam1 receipt",
        }
    }

    fn decode(number: u64) -> Result<Self, Error> {
        Ok(match number {
            1 => Self::Cert,
            2 => Self::KeyBundle,
            3 => Self::Heartbeat,
            4 => Self::Revocation,
            5 => Self::Attestation,
            6 => Self::Receipt,
            _ => return Err(Error::malformed("type of a signed object")),
        })
    }
}

/// A signed object; its signature is not verified by decoding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// What it is.
    pub kind: Kind,
    /// The signed bytes.
    pub body: Vec<u8>,
    /// Over the label, a zero and the body.
    pub signature: SignatureBytes,
}

impl Signed {
    /// Signs a body with the root key.
    pub fn by_root(kind: Kind, body: Vec<u8>, key: &RootKey, rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let signature = key.sign(kind.label(), &body, rng);
        Self { kind, body, signature }
    }

    /// Signs a body with an operational key.
    pub fn by_operational(
        kind: Kind,
        body: Vec<u8>,
        key: &OperationalKey,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Self {
        let signature = key.sign(kind.label(), &body, rng);
        Self { kind, body, signature }
    }

    /// The wire bytes.
    pub fn encode(&self) -> Vec<u8> {
        cbor::array(&[cbor::uint(self.kind as u64), cbor::bytes(&self.body), cbor::bytes(&self.signature)])
    }

    /// Reads the outer array.
    ///
    /// # Errors
    /// `TooLarge` over [`MAX_SIGNED`], `Malformed` when it is not canonical.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_SIGNED {
            return Err(Error::too_large("signed object"));
        }
        let (mut kind, mut body, mut signature) = (Kind::Cert, Vec::new(), [0; 64]);
        let mut reader = cbor::Reader::new(bytes);
        let count = reader.array(3, |index, r| {
            match index {
                0 => kind = Kind::decode(r.uint()?)?,
                1 => body = r.bytes(MAX_SIGNED)?.into(),
                _ => signature = r.fixed()?,
            }
            Ok(())
        })?;
        reader.finish()?;
        if count == 3 { Ok(Self { kind, body, signature }) } else { Err(Error::malformed("signed object")) }
    }

    /// Verifies the signature.
    ///
    /// # Errors
    /// `Unauthentic` when it is not this key's.
    pub fn verify(&self, key: &PublicKey) -> Result<(), Error> {
        identity::verify(key, self.kind.label(), &self.body, &self.signature)
    }

    fn expect(self, kind: Kind) -> Result<Self, Error> {
        if self.kind == kind { Ok(self) } else { Err(Error::malformed("type of a signed object")) }
    }
}

/// Reads an object's body: a map with version 1 under key 0, the other keys as `field` reads them.
fn fields(body: &[u8], mut field: impl FnMut(u64, &mut cbor::Reader<'_>) -> Result<bool, Error>) -> Result<(), Error> {
    const WRONG: Error = Error::malformed("version");
    let mut versioned = false;
    let mut reader = cbor::Reader::new(body);
    reader.map(|key, r| {
        if key != 0 {
            return field(key, r);
        }
        versioned = r.uint()? == 1;
        if versioned { Ok(true) } else { Err(WRONG) }
    })?;
    reader.finish()?;
    if versioned { Ok(()) } else { Err(WRONG) }
}

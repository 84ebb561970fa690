//! Certificates and revocations: what a root key says about operational keys (protocol section 2.4, types 1 and 4).

use crate::{
    announcement::{Kind, SKEW_S, Signed, fields},
    cbor,
    error::Error,
    identity::{ALG_P256, ProviderId, PublicKey, RootKey, decode_public},
};
use alloc::vec::Vec;
use rand_core::CryptoRng;

/// How long a provider certifies an operational key, in seconds.
pub const LIFETIME_S: u64 = 30 * 86_400;

/// Longest lifetime that a client takes, in seconds.
pub const MAX_LIFETIME_S: u64 = 31 * 86_400;

/// Seconds before its end at which a provider renews a certificate.
pub const OVERLAP_S: u64 = 86_400;

/// A root key certifies an operational key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cert {
    /// The root key.
    pub root: PublicKey,
    /// The operational key.
    pub operational: PublicKey,
    /// max(unix seconds at issue, last + 1).
    pub op_seq: u32,
    /// Unix seconds.
    pub not_before: u64,
    /// Unix seconds.
    pub not_after: u64,
}

impl Cert {
    /// Signs it; the wire bytes.
    pub fn sign(&self, root: &RootKey, rng: &mut (impl CryptoRng + ?Sized)) -> Vec<u8> {
        let mut map = cbor::Map::new();
        map.uint(0, 1u8).uint(1, ALG_P256).bytes(2, &self.root).bytes(3, &self.operational);
        map.uint(4, self.op_seq).uint(5, self.not_before).uint(6, self.not_after);
        Signed::by_root(Kind::Cert, map.finish(), root, rng).encode()
    }

    /// Reads a certificate and verifies that its root key signed it. Time is for [`Self::verify_time`].
    ///
    /// # Errors
    /// `Malformed`, `TooLarge` or `Unauthentic`: drop it.
    pub fn open(wire: &[u8]) -> Result<Self, Error> {
        let (cert, signed) = Self::decode(wire)?;
        signed.verify(&cert.root)?;
        Ok(cert)
    }

    pub(super) fn decode(wire: &[u8]) -> Result<(Self, Signed), Error> {
        const WRONG: Error = Error::malformed("certificate");
        let signed = Signed::decode(wire)?.expect(Kind::Cert)?;
        let (mut root, mut operational, mut op_seq, mut not_before, mut not_after) = (None, None, None, None, None);
        let mut alg = 0;
        fields(&signed.body, |key, r| {
            match key {
                1 => alg = r.uint()?,
                2 => root = Some(r.fixed()?),
                3 => operational = Some(decode_public(r.bytes(33)?)?),
                4 => op_seq = Some(r.u32()?),
                5 => not_before = Some(r.uint()?),
                6 => not_after = Some(r.uint()?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        let (ALG_P256, Some(root), Some(operational), Some(op_seq), Some(not_before), Some(not_after)) =
            (alg, root, operational, op_seq, not_before, not_after)
        else {
            return Err(WRONG);
        };
        Ok((Self { root, operational, op_seq, not_before, not_after }, signed))
    }

    /// The provider whose certificate it is.
    pub fn provider(&self) -> ProviderId {
        ProviderId::derive(&self.root)
    }

    /// Whether it is valid now and its lifetime allowed.
    ///
    /// # Errors
    /// `Untimely` outside its time, `Malformed` when its lifetime is too long.
    pub fn verify_time(&self, now_s: u64) -> Result<(), Error> {
        if self.not_after.checked_sub(self.not_before).is_none_or(|lifetime| lifetime > MAX_LIFETIME_S) {
            return Err(Error::malformed("lifetime of a certificate"));
        }
        if now_s < self.not_before.saturating_sub(SKEW_S) || now_s > self.not_after {
            return Err(Error::untimely("certificate"));
        }
        Ok(())
    }
}

/// A root key revokes all operational keys below a sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// Whose.
    pub provider: ProviderId,
    /// The lowest sequence that is still good.
    pub min_op_seq: u32,
    /// Why, free to the operator: 0 unspecified, 1 key lost, 2 key stolen, 3 retired.
    pub reason: u8,
    /// When, unix seconds.
    pub ts: u64,
}

impl Revocation {
    /// Signs it; the wire bytes.
    pub fn sign(&self, root: &RootKey, rng: &mut (impl CryptoRng + ?Sized)) -> Vec<u8> {
        let mut map = cbor::Map::new();
        map.uint(0, 1u8).bytes(1, &self.provider.0).uint(2, self.min_op_seq).uint(3, self.reason).uint(4, self.ts);
        Signed::by_root(Kind::Revocation, map.finish(), root, rng).encode()
    }

    /// Reads a revocation; it counts once [`Signed::verify`] with the provider's root key agrees.
    ///
    /// # Errors
    /// `Malformed` when it breaks the format.
    pub fn decode(signed: &Signed) -> Result<Self, Error> {
        let (mut provider, mut min_op_seq, mut reason, mut ts) = (None, None, 0, None);
        fields(&signed.body, |key, r| {
            match key {
                1 => provider = Some(ProviderId(r.fixed()?)),
                2 => min_op_seq = Some(r.u32()?),
                3 => reason = r.u8()?,
                4 => ts = Some(r.uint()?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        match (signed.kind, provider, min_op_seq, ts) {
            (Kind::Revocation, Some(provider), Some(min_op_seq), Some(ts)) => {
                Ok(Self { provider, min_op_seq, reason, ts })
            }
            _ => Err(Error::malformed("revocation")),
        }
    }
}

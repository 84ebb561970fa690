//! Plaintext: the body of a request and the records of an answer (protocol sections 4 and 5.1). They exist only inside
//! sealed envelopes.

use crate::{
    cbor,
    effect::Millis,
    envelope::{prompt::MAX_BODY, response::MAX_FRAMES},
    error::Error,
};
use alloc::{string::String, vec::Vec};
use core::fmt;

mod record;

pub use record::{MAX_RECORD, Record, RecordReader, RecordsDigest, Usage};

/// Longest time to live of a request, in ms.
pub const MAX_TTL_MS: u32 = 120_000;

/// How far a client's clock may be ahead of the provider's, in ms.
pub const SKEW_MS: u64 = 120_000;

/// Most bytes of a proof: one of an unspent free request is some 310, which fits the smallest size class.
pub const MAX_PROOF: usize = 1_024;

/// Most bytes of a model's id.
pub const MAX_MODEL_ID: usize = 64;

/// How an answer's frames are paced and padded (decision 1 of the design).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Profile {
    /// Frames every 100 ms.
    #[default]
    Balanced = 0,
    /// Frames as soon as they are full or 20 ms old.
    Fast = 1,
    /// Frames every 250 ms, constant from accept to tail, coarse padding.
    High = 2,
}

impl Profile {
    /// The profile of this number, none when it is not defined.
    pub const fn decode(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Balanced,
            1 => Self::Fast,
            2 => Self::High,
            _ => return None,
        })
    }
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// An inference.
    Infer,
    /// A probe: answered without admission, at a bounded rate.
    Probe,
    /// Anything else: reserved, refused with error 12.
    Reserved(u8),
}

/// The body of a request.
#[derive(Clone, PartialEq, Eq)]
pub struct Body {
    /// The client's clock at sealing, in ms since the Unix epoch.
    pub iat_ms: u64,
    /// How long the request counts, at most [`MAX_TTL_MS`].
    pub ttl_ms: u32,
    /// What is asked for.
    pub op: Op,
    /// Most frames of the answer, at most [`MAX_FRAMES`].
    pub max_frames: u32,
    /// OpenAI-style chat request as JSON bytes.
    pub content: Vec<u8>,
    /// The client wants a receipt.
    pub want_receipt: bool,
    /// Pace and padding of the answer.
    pub profile: Profile,
    /// The model's id, empty for the provider's first.
    pub model: String,
    /// How the answer begins already, when another provider broke off: the model goes on from there. Mostly empty.
    pub prefix: String,
    /// One CBOR value that shall admit the request, or nothing: it is for the provider's rule to judge.
    pub proof: Vec<u8>,
    /// It asks for something reserved; a decoded body only.
    reserved: bool,
}

impl Body {
    /// An inference with the longest life, a receipt and all frames.
    pub fn infer(now: Millis, model: String, content: Vec<u8>, profile: Profile) -> Self {
        Self {
            iat_ms: now.0,
            ttl_ms: MAX_TTL_MS,
            op: Op::Infer,
            max_frames: MAX_FRAMES,
            content,
            want_receipt: true,
            profile,
            model,
            prefix: String::new(),
            proof: Vec::new(),
            reserved: false,
        }
    }

    /// A probe of the provider with this model: it holds no word and wants no receipt.
    pub fn probe(now: Millis, model: String) -> Self {
        Self { op: Op::Probe, want_receipt: false, ..Self::infer(now, model, Vec::new(), Profile::Balanced) }
    }

    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        let op = match self.op {
            Op::Infer => 0,
            Op::Probe => 1,
            Op::Reserved(op) => op,
        };
        let mut reply = cbor::Map::new();
        reply.uint(0, 0u8).uint(2, self.max_frames);
        let mut map = cbor::Map::new();
        map.uint(0, 1u8).uint(1, self.iat_ms).uint(2, self.ttl_ms).uint(3, op).raw(4, &reply.finish());
        map.bytes(6, &self.content).uint(7, self.want_receipt).uint(9, self.profile as u8);
        if !self.proof.is_empty() {
            map.raw(10, &self.proof);
        }
        map.text(11, &self.model);
        if !self.prefix.is_empty() {
            map.text(12, &self.prefix);
        }
        map.finish()
    }

    /// Reads a body.
    ///
    /// # Errors
    /// `Malformed` when it is not canonical or lacks something: drop it silently. What is reserved decodes, and
    /// [`Self::verify_supported`] tells.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        const WRONG: Error = Error::malformed("body");
        let (mut iat_ms, mut ttl_ms, mut op, mut content, mut flags, mut profile) = (None, None, None, None, 0, None);
        let (mut max_frames, mut version, mut reserved) = (MAX_FRAMES, 0, false);
        let (mut model, mut prefix, mut proof) = (String::new(), String::new(), Vec::new());
        let mut reader = cbor::Reader::new(bytes);
        reader.map(|key, r| {
            match key {
                0 => version = r.uint()?,
                1 => iat_ms = Some(r.uint()?),
                2 => ttl_ms = Some(r.u32()?),
                3 => op = Some(r.u8()?),
                4 => r.map(|key, r| {
                    match key {
                        0 => reserved |= r.uint()? != 0,
                        1 => r.skip()?,
                        2 => max_frames = r.u32()?,
                        _ => return Ok(false),
                    }
                    Ok(true)
                })?,
                5 | 8 => {
                    reserved = true;
                    r.skip()?;
                }
                6 => content = Some(r.bytes(MAX_BODY)?.into()),
                7 => flags = r.uint()?,
                9 => profile = Some(Profile::decode(r.u8()?).ok_or(WRONG)?),
                10 => proof = r.item(MAX_PROOF)?.into(),
                11 => model = r.text(MAX_MODEL_ID)?.into(),
                12 => prefix = r.text(MAX_BODY)?.into(),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        reader.finish()?;
        let (Some(iat_ms), Some(ttl_ms), Some(op), Some(content), Some(profile)) =
            (iat_ms, ttl_ms, op, content, profile)
        else {
            return Err(WRONG);
        };
        if version != 1 || ttl_ms > MAX_TTL_MS || !(1..=MAX_FRAMES).contains(&max_frames) {
            return Err(WRONG);
        }
        let op = match op {
            0 => Op::Infer,
            1 => Op::Probe,
            op => Op::Reserved(op),
        };
        reserved |= flags > 1 || matches!(op, Op::Reserved(_));
        let want_receipt = flags & 1 == 1;
        Ok(Self { iat_ms, ttl_ms, op, max_frames, content, want_receipt, profile, model, prefix, proof, reserved })
    }

    /// Step 7 of protocol section 5.2.
    ///
    /// # Errors
    /// `Untimely` when it is expired or of the future.
    pub fn verify_time(&self, now: Millis) -> Result<(), Error> {
        let expiry = self.iat_ms.saturating_add(u64::from(self.ttl_ms));
        if now.0 < self.iat_ms.saturating_sub(SKEW_MS) || now.0 > expiry {
            return Err(Error::untimely("request"));
        }
        Ok(())
    }

    /// Whether this version does all that the body asks for.
    ///
    /// # Errors
    /// `Unsupported` when not: answer with error 12.
    pub fn verify_supported(&self) -> Result<(), Error> {
        if self.reserved { Err(Error::unsupported("request")) } else { Ok(()) }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("op", &self.op).field("profile", &self.profile).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_keep_what_they_ask_and_tell_what_is_reserved() {
        let body = Body::infer(Millis(1_000_000), "m".into(), b"{}".to_vec(), Profile::High);
        assert_eq!(Body::decode(&body.encode()), Ok(body.clone()));
        let resumed = Body { prefix: "It began".into(), ..body.clone() };
        assert_eq!(Body::decode(&resumed.encode()), Ok(resumed));
        let proof = |proof: Vec<u8>| Body { proof, ..body.clone() };
        let proven = proof(cbor::bytes(&[7; 310]));
        assert_eq!(Body::decode(&proven.encode()), Ok(proven));
        for wrong in [cbor::bytes(&[7; MAX_PROOF]), [0xff].into(), [0x18, 0x01].into(), [0x01, 0x01].into()] {
            assert!(Body::decode(&proof(wrong.clone()).encode()).is_err(), "{wrong:?}");
        }
        assert!(body.verify_supported().is_ok());
        let now = |ms| body.verify_time(Millis(ms)).is_ok();
        assert!(now(880_000) && now(1_120_000) && !now(879_999) && !now(1_120_001));
        for op in [2, 3, 4, 5, 200] {
            let reserved = Body { op: Op::Reserved(op), ..body.clone() };
            assert!(Body::decode(&reserved.encode()).unwrap().verify_supported().is_err());
        }
        for bad in [Body { ttl_ms: 120_001, ..body.clone() }, Body { max_frames: 0, ..body.clone() }] {
            assert!(Body::decode(&bad.encode()).is_err());
        }
    }
}

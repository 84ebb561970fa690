//! What was delivered, signed by the provider's operational key (protocol section 5.4). Texts are committed to by
//! HMACs, so that a published receipt lets nobody else try short texts against it.

use crate::{
    announcement::{Kind, MAX_SIGNED, Signed},
    cbor,
    effect::Millis,
    error::Error,
    identity::{OperationalKey, ProviderId, PublicKey},
    message::MAX_MODEL_ID,
};
use alloc::{string::String, vec::Vec};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};

mod counts;

pub use counts::{Counts, Text};

/// A receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Who delivered.
    pub provider: ProviderId,
    /// Sequence of the key that signs.
    pub op_seq: u32,
    /// The channel binding of the exchange.
    pub cb: [u8; 32],
    /// The bundle that the request was sealed under.
    pub bhash: [u8; 32],
    /// [`model_hash`] of the model's id.
    pub model: [u8; 32],
    /// Prompt tokens.
    pub prompt: u64,
    /// Completion tokens.
    pub completion: u64,
    /// Base units asked for the whole.
    pub price: u128,
    /// ms since the Unix epoch at the accept, the first record and the end, by the provider's clock.
    pub times_ms: [u64; 3],
    /// Finish reason, as OpenAI names it.
    pub finish: String,
    /// Frames with content.
    pub frames: u32,
    /// To the request body.
    pub request_commitment: [u8; 32],
    /// To the record stream without the receipt.
    pub response_commitment: [u8; 32],
    /// The payment channel, where there was one, and its cumulative amount.
    pub channel: Option<([u8; 32], u128)>,
}

impl Receipt {
    /// Signs it; the wire bytes.
    pub fn sign(&self, key: &OperationalKey, rng: &mut (impl CryptoRng + ?Sized)) -> Vec<u8> {
        let times: Vec<_> = self.times_ms.iter().map(|ms| cbor::uint(*ms)).collect();
        let mut map = cbor::Map::new();
        map.uint(0, 1u8).bytes(1, &self.provider.0).uint(2, self.op_seq).bytes(3, &self.cb).bytes(4, &self.bhash);
        map.bytes(5, &self.model).uint(6, self.prompt).uint(7, self.completion).amount(8, self.price);
        map.raw(9, &cbor::array(&times)).text(10, &self.finish).uint(11, self.frames);
        map.bytes(12, &self.request_commitment).bytes(13, &self.response_commitment);
        if let Some((channel, cumulative)) = &self.channel {
            map.bytes(14, channel).amount(15, *cumulative);
        }
        Signed::by_operational(Kind::Receipt, map.finish(), key, rng).encode()
    }

    /// Reads a receipt and verifies that this operational key signed it. Whether it speaks of this exchange is for the
    /// caller: cb, bhash and both commitments must be the session's own.
    ///
    /// # Errors
    /// `Malformed`, `TooLarge` or `Unauthentic`: there is no receipt.
    pub fn open(wire: &[u8], operational: &PublicKey) -> Result<Self, Error> {
        const WRONG: Error = Error::malformed("receipt");
        let signed = Signed::decode(wire)?;
        if signed.kind != Kind::Receipt {
            return Err(WRONG);
        }
        signed.verify(operational)?;
        let (mut provider, mut op_seq, mut cb, mut bhash, mut model) = (None, None, None, None, None);
        let (mut prompt, mut completion, mut price, mut times_ms) = (0, 0, 0, [0; 3]);
        let (mut finish, mut frames, mut request, mut response) = (String::new(), 0, None, None);
        let (mut channel, mut cumulative, mut version, mut times) = (None, None, 0, 0);
        let mut reader = cbor::Reader::new(&signed.body);
        reader.map(|key, r| {
            match key {
                0 => version = r.uint()?,
                1 => provider = Some(ProviderId(r.fixed()?)),
                2 => op_seq = Some(r.u32()?),
                3 => cb = Some(r.fixed()?),
                4 => bhash = Some(r.fixed()?),
                5 => model = Some(r.fixed()?),
                6 => prompt = r.uint()?,
                7 => completion = r.uint()?,
                8 => price = r.amount()?,
                9 => {
                    times = r.array(3, |index, r| {
                        let ms = r.uint()?;
                        times_ms.get_mut(index as usize).map(|time| *time = ms).ok_or(WRONG)
                    })?;
                }
                10 => finish = r.text(64)?.into(),
                11 => frames = r.u32()?,
                12 => request = Some(r.fixed()?),
                13 => response = Some(r.fixed()?),
                14 => channel = Some(r.fixed()?),
                15 => cumulative = Some(r.amount()?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        reader.finish()?;
        let (Some(provider), Some(op_seq), Some(cb), Some(bhash), Some(model), Some(request), Some(response)) =
            (provider, op_seq, cb, bhash, model, request, response)
        else {
            return Err(WRONG);
        };
        if version != 1 || times != 3 || channel.is_some() != cumulative.is_some() {
            return Err(WRONG);
        }
        Ok(Self {
            provider,
            op_seq,
            cb,
            bhash,
            model,
            prompt,
            completion,
            price,
            times_ms,
            finish,
            frames,
            request_commitment: request,
            response_commitment: response,
            channel: channel.zip(cumulative),
        })
    }
}

/// A right receipt as a client keeps it, with what it takes to verify it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// When its answer ended, by the client's clock.
    pub at: Millis,
    /// The key that signed it; [`Receipt::open`] takes it.
    pub operational: PublicKey,
    /// The model's id, which the receipt has as a hash.
    pub model: String,
    /// The receipt as it came.
    pub wire: Vec<u8>,
    /// What its counts look like beside the texts.
    pub counts: Counts,
}

impl Kept {
    /// The stored row.
    pub fn encode(&self) -> Vec<u8> {
        let mut map = cbor::Map::new();
        map.uint(0, 1u8).uint(1, self.at.0).bytes(2, &self.operational).text(3, &self.model).bytes(4, &self.wire);
        if self.counts == Counts::Implausible {
            map.uint(5, 1u8);
        }
        map.finish()
    }

    /// Reads a stored row.
    ///
    /// # Errors
    /// `Malformed` when it is none.
    pub fn decode(row: &[u8]) -> Result<Self, Error> {
        let (counts, wire) = (Counts::Plausible, Vec::new());
        let mut kept = Self { at: Millis(0), operational: [0; 33], model: String::new(), wire, counts };
        let mut reader = cbor::Reader::new(row);
        reader.map(|key, r| {
            match key {
                0 if r.uint()? == 1 => {}
                1 => kept.at = Millis(r.uint()?),
                2 => kept.operational = r.fixed()?,
                3 => kept.model = r.text(MAX_MODEL_ID)?.into(),
                4 => kept.wire = r.bytes(MAX_SIGNED)?.into(),
                5 if r.uint()? == 1 => kept.counts = Counts::Implausible,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        reader.finish()?;
        Ok(kept)
    }
}

/// SHA-256 of a model's id, as key 5 has it.
pub fn model_hash(id: &str) -> [u8; 32] {
    Sha256::digest(id.as_bytes()).into()
}

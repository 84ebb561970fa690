//! The heartbeat: a provider is alive, with these models at this load (protocol section 2.4, type 3).

use crate::{
    announcement::{Kind, Signed, fields},
    cbor,
    effect::Millis,
    error::Error,
    identity::{OperationalKey, ProviderId},
};
use alloc::{string::String, vec::Vec};
use rand_core::CryptoRng;

/// A provider's heartbeats are this far apart, in ms, give or take [`JITTER_MS`].
pub const PERIOD_MS: u64 = 28_000;

/// Random spread of [`PERIOD_MS`].
pub const JITTER_MS: u64 = 2_000;

/// A heartbeat counts this long, in ms.
pub const VALID_MS: u64 = 90_000;

/// A heartbeat may be this far ahead of our clock, in ms.
pub const AHEAD_MS: u64 = 30_000;

/// Most models of one provider.
pub const MAX_MODELS: u64 = 32;

/// Most bytes of an id or a name.
pub const MAX_NAME: usize = 64;

/// Most bytes of a handle.
pub const MAX_HANDLE: usize = 40;

/// Bit of [`Model::capabilities`]: it goes on from a given beginning of its answer.
pub const CONTINUES: u32 = 1 << 2;

/// One offered model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Model {
    /// Its id, at most 64 bytes.
    pub id: String,
    /// Context length in tokens.
    pub context: u32,
    /// Price in base units per 10^6 prompt tokens.
    pub price_in: u128,
    /// Price in base units per 10^6 completion tokens.
    pub price_out: u128,
    /// Tokens a second, as announced.
    pub tokens_per_s: u32,
    /// Preset's name, or empty.
    pub preset: String,
    /// Quantisation, or empty.
    pub quantisation: String,
    /// Engine, or empty.
    pub engine: String,
    /// bit 0 tools, 1 vision, 2 continue, 3 logprobs.
    pub capabilities: u32,
    /// SHA-256 of the weights where the engine knows it.
    pub weights_hash: Option<[u8; 32]>,
}

/// A provider's state, as the user may rely on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Takes requests now.
    Online,
    /// Takes requests, but they wait.
    Busy,
    /// Takes none.
    Offline,
    /// Not heard of lately; no heartbeat says so itself.
    Unknown,
}

/// A heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Whose.
    pub provider: ProviderId,
    /// Its bundle's sequence.
    pub bundle_seq: u64,
    /// First half of its bundle's hash.
    pub bhash: [u8; 16],
    /// max(now, last + 1): the time and the sequence.
    pub ts: Millis,
    /// Load in permille.
    pub load: u32,
    /// Waiting requests.
    pub queue: u32,
    /// Requests it would run at once now.
    pub free_slots: u32,
    /// Its models, at most [`MAX_MODELS`].
    pub models: Vec<Model>,
    /// PROVIDER_ID, as [`is_handle`] allows.
    pub handle: String,
    /// The name to show.
    pub name: String,
    /// Online, busy or offline.
    pub status: Status,
    /// Its own response time in ms.
    pub response_ms: u32,
    /// Maximum concurrent requests.
    pub max_concurrent: u32,
}

impl Heartbeat {
    /// Signs it; the wire bytes. `Unknown` travels as offline.
    pub fn sign(&self, key: &OperationalKey, rng: &mut (impl CryptoRng + ?Sized)) -> Vec<u8> {
        let models: Vec<_> = self.models.iter().map(encode_model).collect();
        let details: Vec<_> = self.models.iter().map(encode_details).collect();
        let status = match self.status {
            Status::Online => 0u8,
            Status::Busy => 1,
            Status::Offline | Status::Unknown => 2,
        };
        let mut map = cbor::Map::new();
        map.uint(0, 1u8).bytes(1, &self.provider.0).uint(2, self.bundle_seq).bytes(3, &self.bhash).uint(4, self.ts.0);
        map.uint(6, self.load).uint(7, self.queue).uint(8, self.free_slots).raw(9, &cbor::array(&models));
        map.text(10, &self.handle).text(11, &self.name).uint(12, status).uint(13, self.response_ms);
        map.uint(14, self.max_concurrent).raw(15, &cbor::array(&details));
        Signed::by_operational(Kind::Heartbeat, map.finish(), key, rng).encode()
    }

    /// Reads a heartbeat's body; neither signature nor time is verified.
    ///
    /// # Errors
    /// `Malformed` when it breaks the format.
    pub fn decode(signed: &Signed) -> Result<Self, Error> {
        const WRONG: Error = Error::malformed("heartbeat");
        if signed.kind != Kind::Heartbeat {
            return Err(WRONG);
        }
        let (mut provider, mut bundle_seq, mut bhash, mut ts) = (None, None, None, None);
        let (mut load, mut queue, mut free_slots, mut models) = (0, 0, 0, Vec::new());
        let (mut handle, mut name, mut status) = (String::new(), String::new(), Status::Online);
        let (mut response_ms, mut max_concurrent, mut details) = (0, 0, 0);
        fields(&signed.body, |key, r| {
            match key {
                1 => provider = Some(ProviderId(r.fixed()?)),
                2 => bundle_seq = Some(r.uint()?),
                3 => bhash = Some(r.fixed()?),
                4 => ts = Some(Millis(r.uint()?)),
                6 => load = r.u32()?,
                7 => queue = r.u32()?,
                8 => free_slots = r.u32()?,
                9 => {
                    r.array(MAX_MODELS, |_, r| {
                        models.push(decode_model(r)?);
                        Ok(())
                    })?;
                }
                10 => handle = read_handle(r)?,
                11 => name = r.text(MAX_NAME)?.into(),
                12 => {
                    status = match r.uint()? {
                        0 => Status::Online,
                        1 => Status::Busy,
                        2 => Status::Offline,
                        _ => return Err(WRONG),
                    };
                }
                13 => response_ms = r.u32()?,
                14 => max_concurrent = r.u32()?,
                15 => {
                    details = r.array(MAX_MODELS, |index, r| {
                        let model = models.get_mut(index as usize).ok_or(WRONG)?;
                        decode_details(model, r)
                    })?;
                }
                // Reserved: ignored until they are defined.
                16..=31 => r.skip()?,
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        let (Some(provider), Some(bundle_seq), Some(bhash), Some(ts)) = (provider, bundle_seq, bhash, ts) else {
            return Err(WRONG);
        };
        if details != 0 && details != models.len() as u64 {
            return Err(WRONG);
        }
        Ok(Self {
            provider,
            bundle_seq,
            bhash,
            ts,
            load,
            queue,
            free_slots,
            models,
            handle,
            name,
            status,
            response_ms,
            max_concurrent,
        })
    }

    /// Whether it is fresh.
    ///
    /// # Errors
    /// `Untimely` when not.
    pub fn verify_time(&self, now: Millis) -> Result<(), Error> {
        let oldest = now.0.saturating_sub(VALID_MS);
        if (oldest..=now.0.saturating_add(AHEAD_MS)).contains(&self.ts.0) {
            Ok(())
        } else {
            Err(Error::untimely("heartbeat"))
        }
    }
}

/// `[a-z0-9-]{1,40}`: no two handles look alike and differ.
pub fn is_handle(text: &str) -> bool {
    (1..=MAX_HANDLE).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn read_handle(reader: &mut cbor::Reader<'_>) -> Result<String, Error> {
    let handle = reader.text(MAX_HANDLE)?;
    if is_handle(handle) { Ok(handle.into()) } else { Err(Error::malformed("handle")) }
}

fn encode_model(model: &Model) -> Vec<u8> {
    cbor::array(&[
        cbor::text(&model.id),
        cbor::uint(model.context.into()),
        cbor::amount(model.price_in),
        cbor::amount(model.price_out),
        cbor::uint(model.tokens_per_s.into()),
    ])
}

fn decode_model(reader: &mut cbor::Reader<'_>) -> Result<Model, Error> {
    let mut model = Model::default();
    let count = reader.array(5, |index, r| {
        match index {
            0 => model.id = r.text(MAX_NAME)?.into(),
            1 => model.context = r.u32()?,
            2 => model.price_in = r.amount()?,
            3 => model.price_out = r.amount()?,
            _ => model.tokens_per_s = r.u32()?,
        }
        Ok(())
    })?;
    if count == 5 { Ok(model) } else { Err(Error::malformed("model")) }
}

/// Empty texts are left out.
fn encode_details(model: &Model) -> Vec<u8> {
    let mut map = cbor::Map::new();
    map.uint(0, model.capabilities);
    if let Some(hash) = &model.weights_hash {
        map.bytes(1, hash);
    }
    for (key, text) in [(2, &model.quantisation), (3, &model.engine), (4, &model.preset)] {
        if !text.is_empty() {
            map.text(key, text);
        }
    }
    map.finish()
}

fn decode_details(model: &mut Model, reader: &mut cbor::Reader<'_>) -> Result<(), Error> {
    reader.map(|key, r| {
        match key {
            0 => model.capabilities = r.u32()?,
            1 => model.weights_hash = Some(r.fixed()?),
            2 => model.quantisation = r.text(MAX_NAME)?.into(),
            3 => model.engine = r.text(MAX_NAME)?.into(),
            4 => model.preset = r.text(MAX_NAME)?.into(),
            _ => return Ok(false),
        }
        Ok(true)
    })
}

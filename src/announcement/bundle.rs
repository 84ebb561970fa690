//! The key bundle: the prekeys of one epoch with all that a request is bound to (protocol section 2.4, type 2).

use crate::{
    announcement::{Kind, MAX_SIGNED, SKEW_S, Signed, fields},
    cbor,
    envelope::{
        SUITE,
        prompt::{PREKEY_LEN, PREKEY_USE_S, is_prekey},
    },
    error::Error,
    identity::{OperationalKey, ProviderId},
};
use alloc::{string::String, vec::Vec};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};

/// A provider publishes its bundle again this often, in seconds.
pub const REPUBLISH_S: u64 = 600;

/// At most one more publication in this many seconds when requests name unknown prekeys.
pub const REPUBLISH_UNKNOWN_S: u64 = 10;

/// Most nodes of a provider.
const MAX_PEER_IDS: u64 = 16;

/// Most suites: more than this version knows.
const MAX_PREKEYS: u64 = 8;

/// Most bytes of an id or a name.
const MAX_NAME: usize = 64;

/// Where a provider is registered; unverified until the chain agrees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The chain's id.
    pub chain: u64,
    /// The registry's address.
    pub registry: [u8; 20],
    /// Who is paid.
    pub payee: [u8; 20],
}

/// A key bundle, immutable for one prekey epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyBundle {
    /// Whose.
    pub provider: ProviderId,
    /// Wire bytes of the certificate of the key that signs it.
    pub cert: Vec<u8>,
    /// max(unix seconds, last + 1), persisted before it is published.
    pub seq: u64,
    /// Hash of the bundle before, zero for the first.
    pub prev: [u8; 32],
    /// Unix seconds.
    pub created: u64,
    /// Unix seconds.
    pub use_until: u64,
    /// The prekey of suite 2.
    pub prekey: Vec<u8>,
    /// libp2p peer ids of the provider's own nodes.
    pub peer_ids: Vec<String>,
    /// Absent for unbonded providers.
    pub registration: Option<Registration>,
    /// Hash of its attestation.
    pub attestation: Option<[u8; 32]>,
    /// Largest request message it takes, in bytes.
    pub max_request: u32,
}

impl KeyBundle {
    /// Signs it.
    pub fn sign(&self, key: &OperationalKey, rng: &mut (impl CryptoRng + ?Sized)) -> Signed {
        let prekeys = [cbor::array(&[cbor::uint(u64::from(SUITE)), cbor::bytes(&self.prekey)])];
        let peer_ids: Vec<_> = self.peer_ids.iter().map(|id| cbor::text(id)).collect();
        let mut map = cbor::Map::new();
        map.uint(0, 1u8).bytes(1, &self.provider.0).bytes(2, &self.cert).uint(3, self.seq).bytes(4, &self.prev);
        map.uint(5, self.created).uint(6, self.use_until).raw(7, &cbor::array(&prekeys)).uint(10, 1u8);
        map.raw(11, &cbor::array(&peer_ids));
        if let Some(reg) = &self.registration {
            let mut inner = cbor::Map::new();
            inner.uint(0, reg.chain).bytes(1, &reg.registry).bytes(2, &reg.payee);
            map.raw(12, &inner.finish());
        }
        if let Some(hash) = &self.attestation {
            map.bytes(13, hash);
        }
        map.uint(14, self.max_request).uint(15, 0u8);
        Signed::by_operational(Kind::KeyBundle, map.finish(), key, rng)
    }

    /// Reads a bundle's body; neither signature nor time is verified.
    ///
    /// # Errors
    /// `Malformed` when it breaks the format or its prekey is no key.
    pub fn decode(signed: &Signed) -> Result<Self, Error> {
        const WRONG: Error = Error::malformed("key bundle");
        if signed.kind != Kind::KeyBundle {
            return Err(WRONG);
        }
        let (mut provider, mut cert, mut seq, mut prev, mut created, mut use_until) =
            (None, None, None, None, None, None);
        let (mut prekey, mut peer_ids, mut registration, mut attestation) = (None, Vec::new(), None, None);
        let (mut max_request, mut reply_modes) = (None, 0);
        fields(&signed.body, |key, r| {
            match key {
                1 => provider = Some(ProviderId(r.fixed()?)),
                2 => cert = Some(r.bytes(MAX_SIGNED)?.into()),
                3 => seq = Some(r.uint()?),
                4 => prev = Some(r.fixed()?),
                5 => created = Some(r.uint()?),
                6 => use_until = Some(r.uint()?),
                7 => prekey = prekeys(r)?,
                // Frame size and cadence belong to the protocol.
                8 | 9 => r.skip()?,
                10 => reply_modes = r.uint()?,
                11 => {
                    r.array(MAX_PEER_IDS, |_, r| {
                        peer_ids.push(r.text(MAX_NAME)?.into());
                        Ok(())
                    })?;
                }
                12 => registration = Some(read_registration(r)?),
                13 => attestation = Some(r.fixed()?),
                14 => max_request = Some(r.u32()?),
                15 => drop(r.uint()?),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        let (Some(provider), Some(cert), Some(seq), Some(prev), Some(created), Some(use_until)) =
            (provider, cert, seq, prev, created, use_until)
        else {
            return Err(WRONG);
        };
        let (Some(prekey), Some(max_request), 1) = (prekey, max_request, reply_modes & 1) else {
            return Err(WRONG);
        };
        Ok(Self {
            provider,
            cert,
            seq,
            prev,
            created,
            use_until,
            prekey,
            peer_ids,
            registration,
            attestation,
            max_request,
        })
    }

    /// Whether it may be used now.
    ///
    /// # Errors
    /// `Untimely` outside its time, `Malformed` when its time is too long.
    pub fn verify_time(&self, now_s: u64) -> Result<(), Error> {
        if self.use_until.checked_sub(self.created).is_none_or(|time| time > PREKEY_USE_S) {
            return Err(Error::malformed("time of a key bundle"));
        }
        if now_s < self.created.saturating_sub(SKEW_S) || now_s > self.use_until {
            return Err(Error::untimely("key bundle"));
        }
        Ok(())
    }
}

/// `bhash = SHA-256(body)`: what requests are bound to and the next bundle points back to.
pub fn bhash(body: &[u8]) -> [u8; 32] {
    Sha256::digest(body).into()
}

/// The key of suite 2 of `[[suite, pk]...]`, sorted by suite; other suites are passed over.
fn prekeys(reader: &mut cbor::Reader<'_>) -> Result<Option<Vec<u8>>, Error> {
    let (mut found, mut last) = (None, None);
    reader.array(MAX_PREKEYS, |_, r| {
        let (mut suite, mut public) = (0, &[][..]);
        let count = r.array(2, |index, r| {
            match index {
                0 => suite = r.u8()?,
                _ => public = r.bytes(2 * PREKEY_LEN)?,
            }
            Ok(())
        })?;
        if count != 2 || last >= Some(suite) {
            return Err(Error::malformed("prekeys"));
        }
        last = Some(suite);
        if suite == SUITE {
            if !is_prekey(public) {
                return Err(Error::malformed("prekey"));
            }
            found = Some(public.into());
        }
        Ok(())
    })?;
    Ok(found)
}

fn read_registration(reader: &mut cbor::Reader<'_>) -> Result<Registration, Error> {
    let (mut chain, mut registry, mut payee) = (None, None, None);
    reader.map(|key, r| {
        match key {
            0 => chain = Some(r.uint()?),
            1 => registry = Some(r.fixed()?),
            2 => payee = Some(r.fixed()?),
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    match (chain, registry, payee) {
        (Some(chain), Some(registry), Some(payee)) => Ok(Registration { chain, registry, payee }),
        _ => Err(Error::malformed("registration")),
    }
}

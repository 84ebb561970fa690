//! The request: a body padded and sealed to a provider's one-hour prekey with HPKE (RFC 9180), bound to the provider,
//! its key bundle and the topic (protocol section 5.1).
//!
//! The provider opens in two steps, [`Prekey::decapsulate`] and [`Decapsulated::open`]: the first costs a public-key
//! operation and depends on `enc` alone, so that mangled copies of one request cost it once.

use crate::{
    envelope::{
        REQUEST, ReplyKem, RequestContext, RequestKem, SUITE, Secret, exported, frame::Direction, frame::Tag, padding,
    },
    error::Error,
    identity::{ProviderId, PublicKey},
    message::{Body, Profile},
    topic,
};
use alloc::{collections::VecDeque, vec::Vec};
use core::fmt;
use hpke::{
    Deserializable, Kem, OpModeR, OpModeS, Serializable, aead::AesGcm256, kdf::HkdfSha256, setup_receiver,
    setup_sender_with_rng,
};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// Bytes of a prekey's public half.
pub const PREKEY_LEN: usize = 1_249;

/// Bytes of the encapsulated key of a request.
pub const ENC_LEN: usize = 1_153;

/// Bytes that a request is longer than its plaintext: first byte, suite, kid, enc, AEAD tag.
pub const OVERHEAD: usize = 1 + 1 + 8 + ENC_LEN + 16;

/// A provider makes a new prekey this often, in seconds.
pub const PREKEY_PERIOD_S: u64 = 3_600;

/// A client may use a prekey this long after its making, in seconds.
pub const PREKEY_USE_S: u64 = 4_200;

/// A provider erases a prekey this long after its making, in seconds.
pub const PREKEY_ERASE_S: u64 = 4_440;

/// Prekeys held at once: two overlap, and a provider that must renew early gets a few more.
const MAX_PREKEYS: usize = 8;

const REPLY_PK_LEN: usize = 65;

/// Which prekey a request was sealed to.
pub type Kid = [u8; 8];

/// First 16 bytes of SHA-256(enc): the key of the replay cache.
pub type Rid = [u8; 16];

/// Bytes of the largest body of a profile-independent request.
pub const MAX_BODY: usize = padding::MAX_PLAINTEXT - 4 - REPLY_PK_LEN;

/// One prekey of a provider. It lives in memory only and is erased when dropped.
pub struct Prekey {
    secret: <RequestKem as Kem>::PrivateKey,
    public: Vec<u8>,
    kid: Kid,
    created_s: u64,
}

impl Prekey {
    /// A new random prekey.
    pub fn generate(created_s: u64, rng: &mut (impl CryptoRng + ?Sized)) -> Self {
        let (secret, public) = RequestKem::gen_keypair_with_rng(&mut &mut *rng);
        let public = public.to_bytes().to_vec();
        let kid = derive_kid(SUITE, &public);
        Self { secret, public, kid, created_s }
    }

    /// The public half, for the key bundle.
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// Its short name in requests.
    pub fn kid(&self) -> Kid {
        self.kid
    }

    /// When it was made, in seconds since the Unix epoch.
    pub fn created_s(&self) -> u64 {
        self.created_s
    }

    /// Step 4 of protocol section 5.2.
    ///
    /// # Errors
    /// `Unauthentic` when `enc` does not decapsulate.
    pub fn decapsulate(
        &self,
        request: &Request<'_>,
        provider: &ProviderId,
        bhash: &[u8; 32],
    ) -> Result<Decapsulated, Error> {
        const WRONG: Error = Error::unauthentic("request");
        let info = request_info(SUITE, &self.kid, provider, bhash);
        let enc = <RequestKem as Kem>::EncappedKey::from_bytes(request.enc).map_err(|_| WRONG)?;
        let context = setup_receiver::<AesGcm256, HkdfSha256, RequestKem>(&OpModeR::Base, &self.secret, &enc, &info)
            .map_err(|_| WRONG)?;
        Ok(Decapsulated { context, rinfo: hash_rinfo(&info, request.enc), bhash: *bhash, enc: request.enc.into() })
    }
}

impl fmt::Debug for Prekey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prekey").field("created_s", &self.created_s).finish_non_exhaustive()
    }
}

/// The prekeys that a provider still opens with, each with the hash of the bundle that announced it.
#[derive(Debug, Default)]
pub struct Prekeys(VecDeque<(Prekey, [u8; 32])>);

impl Prekeys {
    /// Adds the newest; the oldest goes when there are too many.
    pub fn insert(&mut self, prekey: Prekey, bhash: [u8; 32]) {
        if self.0.len() == MAX_PREKEYS {
            self.0.pop_front();
        }
        self.0.push_back((prekey, bhash));
    }

    /// The prekey of this kid and its bundle's hash.
    pub fn find(&self, kid: &Kid) -> Option<(&Prekey, &[u8; 32])> {
        self.0.iter().find(|(prekey, _)| prekey.kid == *kid).map(|(prekey, bhash)| (prekey, bhash))
    }

    /// The newest.
    pub fn newest(&self) -> Option<&Prekey> {
        self.0.back().map(|(prekey, _)| prekey)
    }

    /// Erases all that are [`PREKEY_ERASE_S`] old.
    pub fn erase(&mut self, now_s: u64) {
        self.0.retain(|(prekey, _)| now_s < prekey.created_s.saturating_add(PREKEY_ERASE_S));
    }

    /// When [`Self::erase`] next has something to do, in seconds.
    pub fn next_erase_s(&self) -> Option<u64> {
        self.0.iter().map(|(prekey, _)| prekey.created_s.saturating_add(PREKEY_ERASE_S)).min()
    }
}

/// Whom a request is sealed to: all of it verified by the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The provider.
    pub provider: ProviderId,
    /// Its prekey's public half.
    pub prekey: Vec<u8>,
    /// The hash of the bundle that announced it.
    pub bhash: [u8; 32],
    /// The operational key that signed the bundle; receipts verify with it.
    pub operational: PublicKey,
    /// Its sequence.
    pub op_seq: u32,
    /// Largest request that the provider takes, in bytes of the whole message.
    pub max_request: u32,
}

/// A request ready to publish, and what its answer is opened with.
#[derive(Debug)]
pub struct SealedRequest {
    /// The message.
    pub payload: Vec<u8>,
    /// The client's half of the keys.
    pub keys: ClientKeys,
}

/// Pads and seals a body.
///
/// # Errors
/// `TooLarge` when no class or not the provider's limit holds it; `Malformed` when the target's prekey is no key.
pub fn seal_request(target: &Target, body: &Body, rng: &mut (impl CryptoRng + ?Sized)) -> Result<SealedRequest, Error> {
    const WRONG: Error = Error::malformed("prekey");
    let prekey = <RequestKem as Kem>::PublicKey::from_bytes(&target.prekey).map_err(|_| WRONG)?;
    let kid = derive_kid(SUITE, &target.prekey);
    let info = request_info(SUITE, &kid, &target.provider, &target.bhash);
    let (enc, mut context) =
        setup_sender_with_rng::<AesGcm256, HkdfSha256, RequestKem>(&OpModeS::Base, &prekey, &info, &mut &mut *rng)
            .map_err(|_| WRONG)?;
    let (reply_sk, reply_pk) = ReplyKem::gen_keypair_with_rng(&mut &mut *rng);

    let body_bytes = Zeroizing::new(body.encode());
    let plaintext = pad(&reply_pk.to_bytes(), &body_bytes, body.profile)?;
    let ct = context.seal(&plaintext, b"").map_err(|_| Error::too_large("request"))?;
    let enc = enc.to_bytes();
    let payload = [&[REQUEST, SUITE], &kid[..], &enc, &ct].concat();
    if payload.len() > target.max_request as usize {
        return Err(Error::too_large("request for this provider"));
    }
    let shared = Shared::export(|label, out| context.export(label, out), &enc, hash_rinfo(&info, &enc))?;
    let keys = ClientKeys {
        provider: target.provider,
        bhash: target.bhash,
        operational: target.operational,
        op_seq: target.op_seq,
        profile: body.profile,
        shared,
        reply_sk: Zeroizing::new(reply_sk.to_bytes().into()),
        body_hash: Sha256::digest(&*body_bytes).into(),
    };
    Ok(SealedRequest { payload, keys })
}

/// What both ends export from a request's context.
pub(crate) struct Shared {
    pub(crate) cb: Secret,
    pub(crate) psk: Secret,
    pub(crate) acc: Direction,
    pub(crate) rinfo: [u8; 32],
}

impl Shared {
    fn export(
        export: impl Fn(&[u8], &mut [u8]) -> Result<(), hpke::HpkeError>,
        enc: &[u8],
        rinfo: [u8; 32],
    ) -> Result<Self, Error> {
        Ok(Self {
            cb: exported(&export, "pam1 bind")?,
            psk: exported(&export, "pam1 psk")?,
            acc: Direction::new(exported(&export, "pam1 tag0")?, exported(&export, "pam1 resp0")?, enc),
            rinfo,
        })
    }
}

/// The client's keys from sealing to accept, erased when dropped.
pub struct ClientKeys {
    pub(crate) provider: ProviderId,
    pub(crate) bhash: [u8; 32],
    pub(crate) operational: PublicKey,
    pub(crate) op_seq: u32,
    pub(crate) profile: Profile,
    pub(crate) shared: Shared,
    pub(crate) reply_sk: Secret,
    pub(crate) body_hash: [u8; 32],
}

impl ClientKeys {
    /// The tag of the accept at its attempt `a`.
    pub fn accept_tag(&self, a: u8) -> Tag {
        self.shared.acc.tag(0, a)
    }

    /// Whom the request was sealed to.
    pub fn provider(&self) -> &ProviderId {
        &self.provider
    }
}

impl fmt::Debug for ClientKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientKeys(..)")
    }
}

/// A request's parts, nothing of it verified but its size and first bytes.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    kid: &'a Kid,
    enc: &'a [u8],
    ct: &'a [u8],
}

impl<'a> Request<'a> {
    /// Step 1 of protocol section 5.2.
    ///
    /// # Errors
    /// `Malformed` when size, first byte or suite are not allowed.
    pub fn decode(payload: &'a [u8]) -> Result<Self, Error> {
        const WRONG: Error = Error::malformed("request");
        let [REQUEST, SUITE, rest @ ..] = payload else { return Err(WRONG) };
        if !padding::is_class(payload.len().saturating_sub(OVERHEAD)) {
            return Err(WRONG);
        }
        let (kid, rest) = rest.split_first_chunk().ok_or(WRONG)?;
        let (enc, ct) = rest.split_at_checked(ENC_LEN).ok_or(WRONG)?;
        Ok(Self { kid, enc, ct })
    }

    /// The prekey it is sealed to.
    pub fn kid(&self) -> &Kid {
        self.kid
    }

    /// Its key in the replay cache.
    pub fn rid(&self) -> Rid {
        let hash: [u8; 32] = Sha256::digest(self.enc).into();
        let mut rid = [0; 16];
        rid.copy_from_slice(&hash[..16]);
        rid
    }
}

/// The provider's context after decapsulation. A failed [`Self::open`] leaves it as it was.
pub struct Decapsulated {
    context: RequestContext,
    rinfo: [u8; 32],
    bhash: [u8; 32],
    enc: Vec<u8>,
}

impl Decapsulated {
    /// Steps 5 and 6 of protocol section 5.2. Time is for [`Body::verify_time`], what is not supported for
    /// [`Body::verify_supported`].
    ///
    /// # Errors
    /// `Unauthentic` when it does not open, `Malformed` when padding or body break the format: drop it silently,
    /// whichever.
    pub fn open(&mut self, request: &Request<'_>) -> Result<Opened, Error> {
        if self.enc != request.enc {
            return Err(Error::unauthentic("request"));
        }
        let plaintext = Zeroizing::new(self.context.open(request.ct, b"").map_err(|_| Error::unauthentic("request"))?);
        let (reply_pk, body_bytes) = unpad(&plaintext)?;
        <ReplyKem as Kem>::PublicKey::from_bytes(reply_pk).map_err(|_| Error::malformed("reply key"))?;
        let body = Body::decode(body_bytes)?;
        let used = 4 + REPLY_PK_LEN + body_bytes.len();
        if padding::class(used, body.profile) != Ok(plaintext.len()) {
            return Err(Error::malformed("size class"));
        }
        let context = &self.context;
        let shared = Shared::export(|label, out| context.export(label, out), &self.enc, self.rinfo)?;
        let keys = ProviderKeys {
            bhash: self.bhash,
            shared,
            reply_pk: *reply_pk,
            body_hash: Sha256::digest(body_bytes).into(),
        };
        Ok(Opened { body, keys })
    }
}

impl fmt::Debug for Decapsulated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decapsulated(..)")
    }
}

/// A request that opened.
#[derive(Debug)]
pub struct Opened {
    /// What is asked.
    pub body: Body,
    /// The provider's half of the keys.
    pub keys: ProviderKeys,
}

/// The provider's keys from opening to accept, erased when dropped.
pub struct ProviderKeys {
    pub(crate) bhash: [u8; 32],
    pub(crate) shared: Shared,
    pub(crate) reply_pk: [u8; REPLY_PK_LEN],
    pub(crate) body_hash: [u8; 32],
}

impl fmt::Debug for ProviderKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProviderKeys(..)")
    }
}

/// `kid = SHA-256("pam1 kid\0" || suite || pk)[0..8]`.
pub fn derive_kid(suite: u8, public: &[u8]) -> Kid {
    let mut hash = Sha256::new();
    hash.update(b"pam1 kid\0");
    hash.update([suite]);
    hash.update(public);
    let hash: [u8; 32] = hash.finalize().into();
    let mut kid = [0; 8];
    kid.copy_from_slice(&hash[..8]);
    kid
}

/// Whether the bytes are a prekey of suite 2: a point of the curve and a reduced ML-KEM key.
pub(crate) fn is_prekey(public: &[u8]) -> bool {
    <RequestKem as Kem>::PublicKey::from_bytes(public).is_ok()
}

fn request_info(suite: u8, kid: &Kid, provider: &ProviderId, bhash: &[u8; 32]) -> Vec<u8> {
    let topic = topic::hash(&topic::requests(provider));
    [b"pam1 request\0", &[1, suite][..], kid, &provider.0, bhash, &topic].concat()
}

/// SHA-256(info | enc), the variable part of `rinfo`.
fn hash_rinfo(info: &[u8], enc: &[u8]) -> [u8; 32] {
    Sha256::new_with_prefix(info).chain_update(enc).finalize().into()
}

/// `len(4) | reply_pk(65) | body | zeros`.
fn pad(reply_pk: &[u8], body: &[u8], profile: Profile) -> Result<Zeroizing<Vec<u8>>, Error> {
    let len = reply_pk.len().saturating_add(body.len());
    let class = padding::class(len.saturating_add(4), profile)?;
    let mut plaintext = Zeroizing::new(Vec::with_capacity(class));
    plaintext.extend_from_slice(&(len as u32).to_be_bytes());
    plaintext.extend_from_slice(reply_pk);
    plaintext.extend_from_slice(body);
    plaintext.resize(class, 0);
    Ok(plaintext)
}

fn unpad(plaintext: &[u8]) -> Result<(&[u8; REPLY_PK_LEN], &[u8]), Error> {
    const WRONG: Error = Error::malformed("padding");
    let (len, rest) = plaintext.split_first_chunk::<4>().ok_or(WRONG)?;
    let (used, zeros) = rest.split_at_checked(u32::from_be_bytes(*len) as usize).ok_or(WRONG)?;
    if zeros.iter().any(|b| *b != 0) {
        return Err(WRONG);
    }
    used.split_first_chunk().ok_or(WRONG)
}

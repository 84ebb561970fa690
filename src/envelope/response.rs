//! The answer: a second HPKE context, in PSK mode, from the provider to the client's one-time reply key (protocol
//! section 5.1). Its exports key the frames of the stream, the control frames, and the receipt's commitments.

use crate::{
    cbor,
    envelope::{
        ReplyKem, Secret,
        control::{self, Control},
        exported,
        frame::{self, Direction, Frame, Tag, mac},
        prompt::{ClientKeys, ProviderKeys},
    },
    error::Error,
    identity::{ProviderId, PublicKey},
    message::Profile,
};
use alloc::vec::Vec;
use core::fmt;
use hpke::{
    Deserializable, HpkeError, Kem, OpModeR, OpModeS, PskBundle, Serializable, aead::AesGcm256, kdf::HkdfSha256,
    setup_receiver, setup_sender_with_rng,
};
use rand_core::CryptoRng;
use zeroize::Zeroizing;

/// Frames of one answer, the accept included (protocol section 5.10).
pub const MAX_FRAMES: u32 = 32_768;

/// Frames ahead of the last one in order whose tags a client holds.
pub const WINDOW: u32 = 256;

const ENC_LEN: usize = 65;

/// What the accept says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accept {
    /// Frames follow.
    Accepted {
        /// Seconds the provider expects it to take, 0 for unknown.
        estimate_s: u16,
    },
    /// Nothing follows.
    Refused {
        /// Code of protocol section 5.8.
        code: u16,
        /// Seconds until a new try may work, 0 for unknown.
        retry_after_s: u16,
    },
}

impl Accept {
    fn flags(&self) -> u8 {
        match self {
            Self::Accepted { .. } => 0,
            Self::Refused { .. } => frame::FINAL | frame::ERROR,
        }
    }

    /// `enc_r(65) | status(1) | code(2) | retry_after(2) | estimate(2)`.
    fn encode(&self, enc_r: &[u8; ENC_LEN]) -> Vec<u8> {
        let (status, code, retry_after_s, estimate_s) = match *self {
            Self::Accepted { estimate_s } => (0, 0, 0, estimate_s),
            Self::Refused { code, retry_after_s } => (1, code, retry_after_s, 0),
        };
        let numbers = [code.to_be_bytes(), retry_after_s.to_be_bytes(), estimate_s.to_be_bytes()];
        [&enc_r[..], &[status], numbers.as_flattened()].concat()
    }

    fn decode(data: &[u8]) -> Option<([u8; ENC_LEN], Self)> {
        let (enc_r, rest) = data.split_first_chunk()?;
        let [status, c0, c1, r0, r1, e0, e1] = *<&[u8; 7]>::try_from(rest).ok()?;
        let code = u16::from_be_bytes([c0, c1]);
        let retry_after_s = u16::from_be_bytes([r0, r1]);
        let estimate_s = u16::from_be_bytes([e0, e1]);
        let accept = match (status, code, retry_after_s, estimate_s) {
            (0, 0, 0, _) => Self::Accepted { estimate_s },
            (1, 1.., _, 0) => Self::Refused { code, retry_after_s },
            _ => return None,
        };
        Some((*enc_r, accept))
    }
}

/// What both ends export from a response's context.
struct Keys {
    stream: Direction,
    ctl: Direction,
    k_commit: Secret,
}

impl Keys {
    fn export(export: impl Fn(&[u8], &mut [u8]) -> Result<(), HpkeError>, enc_r: &[u8]) -> Result<Self, Error> {
        Ok(Self {
            stream: Direction::new(exported(&export, "pam1 tag")?, exported(&export, "pam1 stream")?, enc_r),
            ctl: Direction::new(exported(&export, "pam1 ctag")?, exported(&export, "pam1 ctl")?, enc_r),
            k_commit: exported(&export, "pam1 commit")?,
        })
    }

    fn commit(&self, body_hash: &[u8; 32], records_hash: &[u8; 32]) -> Commitments {
        Commitments {
            request: mac(&self.k_commit, &[b"req", body_hash]),
            response: mac(&self.k_commit, &[b"resp", records_hash]),
        }
    }
}

/// The receipt's keys 12 and 13: HMACs, so that nobody else can try short texts against a published receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commitments {
    /// To the request body.
    pub request: [u8; 32],
    /// To the record stream without the receipt.
    pub response: [u8; 32],
}

impl ProviderKeys {
    /// The channel binding, known to both ends only.
    pub fn channel_binding(&self) -> &[u8; 32] {
        &self.shared.cb
    }

    /// Opens the way back: one answer of one process. A restart or a replica makes another, with other keys.
    ///
    /// # Errors
    /// `Unauthentic` when the reply key takes no encapsulation.
    pub fn respond(self, rng: &mut (impl CryptoRng + ?Sized)) -> Result<ProviderSession, Error> {
        const WRONG: Error = Error::unauthentic("reply key");
        let reply_pk = <ReplyKem as Kem>::PublicKey::from_bytes(&self.reply_pk).map_err(|_| WRONG)?;
        let psk = PskBundle::new(&self.shared.psk[..], &self.shared.cb[..]).map_err(|_| WRONG)?;
        let (enc_r, context) = setup_sender_with_rng::<AesGcm256, HkdfSha256, ReplyKem>(
            &OpModeS::Psk(psk),
            &reply_pk,
            &response_info(&self.shared.rinfo),
            &mut &mut *rng,
        )
        .map_err(|_| WRONG)?;
        let enc_r: [u8; ENC_LEN] = enc_r.to_bytes().into();
        let keys = Keys::export(|label, out| context.export(label, out), &enc_r)?;
        Ok(ProviderSession { request: self, enc_r, keys })
    }
}

/// The provider's side of one answer, erased when dropped.
pub struct ProviderSession {
    request: ProviderKeys,
    enc_r: [u8; ENC_LEN],
    keys: Keys,
}

impl ProviderSession {
    /// Seals the accept, frame 0.
    ///
    /// # Errors
    /// None in practice: an accept fits its frame.
    pub fn seal_accept(
        &self,
        attempt: u8,
        accept: &Accept,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Frame, Error> {
        self.request.shared.acc.seal(0, attempt, accept.flags(), &accept.encode(&self.enc_r), rng)
    }

    /// Seals frame `i` >= 1 with at most [`frame::MAX_DATA`] bytes of the record stream.
    ///
    /// # Errors
    /// `TooLarge` with more data or past [`MAX_FRAMES`].
    pub fn seal_frame(
        &self,
        i: u32,
        attempt: u8,
        flags: u8,
        data: &[u8],
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Frame, Error> {
        // The accept's number is taken; the stream's tags do not collide with it, but a reader would be misled.
        if i == 0 || i >= MAX_FRAMES {
            return Err(Error::too_large("answer"));
        }
        self.keys.stream.seal(i, attempt, flags, data, rng)
    }

    /// The tag of control frame `sequence`.
    pub fn control_tag(&self, sequence: u32) -> Tag {
        self.keys.ctl.tag(sequence, 0)
    }

    /// Opens control frame `sequence`.
    ///
    /// # Errors
    /// `Unauthentic`, `Malformed` or `Unsupported`: drop it.
    pub fn open_control(&self, sequence: u32, frame: &Frame) -> Result<Control, Error> {
        let opened = self.keys.ctl.open(sequence, 0, frame)?;
        if opened.flags != 0 {
            return Err(Error::malformed("control flags"));
        }
        Control::decode(&opened.data)
    }

    /// The channel binding, for the receipt and as the session's id.
    pub fn channel_binding(&self) -> &[u8; 32] {
        &self.request.shared.cb
    }

    /// The hash of the bundle that the request was sealed under.
    pub fn bhash(&self) -> &[u8; 32] {
        &self.request.bhash
    }

    /// What the receipt commits to, given the digest of the record stream.
    pub fn commit(&self, records_hash: &[u8; 32]) -> Commitments {
        self.keys.commit(&self.request.body_hash, records_hash)
    }
}

impl fmt::Debug for ProviderSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProviderSession(..)")
    }
}

impl ClientKeys {
    /// The channel binding, known to both ends only.
    pub fn channel_binding(&self) -> &[u8; 32] {
        &self.shared.cb
    }

    /// Opens the accept. The client keeps the first that opens; frames of any other answer never will.
    ///
    /// # Errors
    /// `Unauthentic` when it is forged, `Malformed` when it breaks the format: drop it and wait on.
    pub fn open_accept(&self, attempt: u8, frame: &Frame) -> Result<(Accept, ClientSession), Error> {
        let opened = self.shared.acc.open(0, attempt, frame)?;
        let (enc_r, accept) = Accept::decode(&opened.data).ok_or(Error::malformed("accept"))?;
        if opened.flags != accept.flags() {
            return Err(Error::malformed("accept flags"));
        }
        let mirror = Mirror {
            provider: self.provider,
            bhash: self.bhash,
            operational: self.operational,
            op_seq: self.op_seq,
            profile: self.profile,
            rinfo: self.shared.rinfo,
            enc_r,
            psk: self.shared.psk.clone(),
            cb: self.shared.cb.clone(),
            rsk: self.reply_sk.clone(),
            body_hash: self.body_hash,
        };
        Ok((accept, ClientSession::setup(mirror)?))
    }
}

/// What a client session is made of, and comes back from (protocol section 6.5).
struct Mirror {
    provider: ProviderId,
    bhash: [u8; 32],
    operational: PublicKey,
    op_seq: u32,
    profile: Profile,
    rinfo: [u8; 32],
    enc_r: [u8; ENC_LEN],
    psk: Secret,
    cb: Secret,
    rsk: Secret,
    body_hash: [u8; 32],
}

/// The client's side of one answer, erased when dropped.
pub struct ClientSession {
    mirror: Mirror,
    keys: Keys,
}

impl ClientSession {
    fn setup(mirror: Mirror) -> Result<Self, Error> {
        const WRONG: Error = Error::unauthentic("accept");
        let rsk = <ReplyKem as Kem>::PrivateKey::from_bytes(&mirror.rsk[..]).map_err(|_| WRONG)?;
        let enc_r = <ReplyKem as Kem>::EncappedKey::from_bytes(&mirror.enc_r).map_err(|_| WRONG)?;
        let psk = PskBundle::new(&mirror.psk[..], &mirror.cb[..]).map_err(|_| WRONG)?;
        let context = setup_receiver::<AesGcm256, HkdfSha256, ReplyKem>(
            &OpModeR::Psk(psk),
            &rsk,
            &enc_r,
            &response_info(&mirror.rinfo),
        )
        .map_err(|_| WRONG)?;
        let keys = Keys::export(|label, out| context.export(label, out), &mirror.enc_r)?;
        Ok(Self { mirror, keys })
    }

    /// The tag of frame `i` at its attempt `a`.
    pub fn tag(&self, i: u32, a: u8) -> Tag {
        self.keys.stream.tag(i, a)
    }

    /// Opens frame `i` >= 1 at attempt `a`.
    ///
    /// # Errors
    /// As [`Direction::open`].
    pub fn open_frame(&self, i: u32, a: u8, frame: &Frame) -> Result<frame::Opened, Error> {
        self.keys.stream.open(i, a, frame)
    }

    /// Seals a control message; `sequence` must never come twice.
    ///
    /// # Errors
    /// None in practice: a control fits its frame.
    pub fn seal_control(
        &self,
        sequence: u32,
        control: &Control,
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Vec<u8>, Error> {
        let frame = self.keys.ctl.seal(sequence, 0, 0, &control.encode(), rng)?;
        Ok(control::encode_payload(&frame))
    }

    /// Who answers.
    pub fn provider(&self) -> &ProviderId {
        &self.mirror.provider
    }

    /// The bundle that the request was sealed under.
    pub fn bhash(&self) -> &[u8; 32] {
        &self.mirror.bhash
    }

    /// The operational key that its receipt must verify with.
    pub fn operational(&self) -> &PublicKey {
        &self.mirror.operational
    }

    /// That key's sequence.
    pub fn op_seq(&self) -> u32 {
        self.mirror.op_seq
    }

    /// The pace of this answer.
    pub fn profile(&self) -> Profile {
        self.mirror.profile
    }

    /// The channel binding.
    pub fn channel_binding(&self) -> &[u8; 32] {
        &self.mirror.cb
    }

    /// What a true receipt commits to, given the digest of the record stream.
    pub fn commit(&self, records_hash: &[u8; 32]) -> Commitments {
        self.keys.commit(&self.mirror.body_hash, records_hash)
    }

    /// The session as bytes, secret, for memory that outlives the background but not the browser.
    pub fn mirror(&self) -> Zeroizing<Vec<u8>> {
        let m = &self.mirror;
        let mut map = cbor::Map::new();
        map.uint(0, 1u8).bytes(1, &m.provider.0).bytes(2, &m.bhash).bytes(3, &m.operational).uint(4, m.op_seq);
        map.uint(5, m.profile as u8).bytes(6, &m.rinfo).bytes(7, &m.enc_r).bytes(8, &m.psk[..]);
        map.bytes(9, &m.cb[..]).bytes(10, &m.rsk[..]).bytes(11, &m.body_hash);
        Zeroizing::new(map.finish())
    }

    /// The session that [`Self::mirror`] gave.
    ///
    /// # Errors
    /// `Malformed` or `Unauthentic` when the bytes are not such a session.
    pub fn restore(bytes: &[u8]) -> Result<Self, Error> {
        const WRONG: Error = Error::malformed("mirror");
        let mut m = Mirror {
            provider: ProviderId([0; 32]),
            bhash: [0; 32],
            operational: [0; 33],
            op_seq: 0,
            profile: Profile::Balanced,
            rinfo: [0; 32],
            enc_r: [0; ENC_LEN],
            psk: Zeroizing::new([0; 32]),
            cb: Zeroizing::new([0; 32]),
            rsk: Zeroizing::new([0; 32]),
            body_hash: [0; 32],
        };
        let mut read = 0;
        let mut reader = cbor::Reader::new(bytes);
        reader.map(|key, r| {
            match key {
                0 if r.uint()? == 1 => {}
                1 => m.provider = ProviderId(r.fixed()?),
                2 => m.bhash = r.fixed()?,
                3 => m.operational = r.fixed()?,
                4 => m.op_seq = r.u32()?,
                5 => m.profile = Profile::decode(r.u8()?).ok_or(WRONG)?,
                6 => m.rinfo = r.fixed()?,
                7 => m.enc_r = r.fixed()?,
                8 => *m.psk = r.fixed()?,
                9 => *m.cb = r.fixed()?,
                10 => *m.rsk = r.fixed()?,
                11 => m.body_hash = r.fixed()?,
                _ => return Err(WRONG),
            }
            read += 1;
            Ok(true)
        })?;
        reader.finish()?;
        if read == 12 { Self::setup(m) } else { Err(WRONG) }
    }
}

impl fmt::Debug for ClientSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientSession(..)")
    }
}

/// `rinfo = "pam1 response\0" | SHA-256(info | enc)`.
fn response_info(rinfo: &[u8; 32]) -> Vec<u8> {
    [&b"pam1 response\0"[..], rinfo].concat()
}

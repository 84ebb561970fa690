//! One frame: fixed size, a tag to know it by, a key of its own (protocol section 5.1; RFC 9458 section 4.4). A fresh
//! nonce a frame means that no key seals twice, whatever restarts or answers in parallel.

use crate::{envelope::Secret, error::Error};
use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{AeadInOut, Nonce},
};
use alloc::vec::Vec;
use core::fmt;
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use rand_core::CryptoRng;
use sha2::Sha256;
use zeroize::Zeroizing;

/// Bytes of every frame, F.
pub const FRAME_LEN: usize = 512;

/// Most bytes of data in one frame: F less tag, nonce and AEAD tag (48), flags, sequence and length (7).
pub const MAX_DATA: usize = FRAME_LEN - 55;

/// Sendings of one frame, the first included.
pub const ATTEMPTS: u8 = 4;

/// The last frame of the record stream.
pub const FINAL: u8 = 1;

/// The answer ended in an error.
pub const ERROR: u8 = 2;

/// Nothing inside but time.
pub const PAD: u8 = 4;

const PLAINTEXT_LEN: usize = FRAME_LEN - 48;
const HEAD_LEN: usize = 7;

/// What a receiver knows a frame by: a PRF of its sequence and attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub [u8; 16]);

/// A sealed frame.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame(pub(crate) [u8; FRAME_LEN]);

impl Frame {
    /// Takes a frame's bytes, untrusted.
    pub fn from_bytes(bytes: &[u8; FRAME_LEN]) -> Self {
        Self(*bytes)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; FRAME_LEN] {
        &self.0
    }

    /// Its first 16 bytes.
    pub fn tag(&self) -> Tag {
        let mut tag = [0; 16];
        tag.copy_from_slice(&self.0[..16]);
        Tag(tag)
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Frame(..)")
    }
}

/// What was in a frame.
#[derive(Clone, PartialEq, Eq)]
pub struct Opened {
    /// [`FINAL`], [`ERROR`], [`PAD`].
    pub flags: u8,
    /// The next bytes of the record stream.
    pub data: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("flags", &self.flags).finish_non_exhaustive()
    }
}

/// The keys of one direction of one answer: `acc`, `stream` or `ctl`.
pub struct Direction {
    k_tag: Secret,
    secret: Secret,
    salt0: Vec<u8>,
}

impl Direction {
    pub(crate) fn new(k_tag: Secret, secret: Secret, salt0: &[u8]) -> Self {
        Self { k_tag, secret, salt0: salt0.into() }
    }

    /// The tag of frame `i` at its attempt `a`.
    pub fn tag(&self, i: u32, a: u8) -> Tag {
        let mut tag = [0; 16];
        tag.copy_from_slice(&mac(&self.k_tag, &[&i.to_be_bytes(), &[a]])[..16]);
        Tag(tag)
    }

    /// Seals frame `i`, attempt `a`.
    ///
    /// # Errors
    /// `TooLarge` when there is more data than [`MAX_DATA`].
    pub fn seal(
        &self,
        i: u32,
        a: u8,
        flags: u8,
        data: &[u8],
        rng: &mut (impl CryptoRng + ?Sized),
    ) -> Result<Frame, Error> {
        let mut rn = [0; 16];
        rng.fill_bytes(&mut rn);
        self.seal_with_nonce(i, a, flags, data, rn)
    }

    fn seal_with_nonce(&self, i: u32, a: u8, flags: u8, data: &[u8], rn: [u8; 16]) -> Result<Frame, Error> {
        if data.len() > MAX_DATA {
            return Err(Error::too_large("frame"));
        }
        let tag = self.tag(i, a);
        let mut plaintext = Zeroizing::new([0; PLAINTEXT_LEN]);
        plaintext[0] = flags;
        plaintext[1..5].copy_from_slice(&i.to_be_bytes());
        plaintext[5..HEAD_LEN].copy_from_slice(&(data.len() as u16).to_be_bytes());
        plaintext[HEAD_LEN..HEAD_LEN + data.len()].copy_from_slice(data);
        let (cipher, nonce) = self.cipher(&rn);
        let seal = cipher
            .encrypt_inout_detached(&nonce, &tag.0, (&mut plaintext[..]).into())
            .map_err(|_| Error::too_large("frame"))?;
        let mut frame = [0; FRAME_LEN];
        frame[..16].copy_from_slice(&tag.0);
        frame[16..32].copy_from_slice(&rn);
        frame[32..32 + PLAINTEXT_LEN].copy_from_slice(&*plaintext);
        frame[32 + PLAINTEXT_LEN..].copy_from_slice(&seal);
        Ok(Frame(frame))
    }

    /// Opens a frame as `i` at attempt `a`. A frame with the right tag that does not open was forged by someone who saw
    /// the tag: the tag stays good for the real one.
    ///
    /// # Errors
    /// `Unauthentic` when tag or seal are not those of this frame, `Malformed` when what was sealed breaks the format.
    pub fn open(&self, i: u32, a: u8, frame: &Frame) -> Result<Opened, Error> {
        let tag = self.tag(i, a);
        if frame.tag() != tag {
            return Err(Error::unauthentic("tag"));
        }
        let mut rn = [0; 16];
        rn.copy_from_slice(&frame.0[16..32]);
        let mut plaintext = Zeroizing::new([0; PLAINTEXT_LEN]);
        plaintext.copy_from_slice(&frame.0[32..32 + PLAINTEXT_LEN]);
        let mut seal = [0; 16];
        seal.copy_from_slice(&frame.0[32 + PLAINTEXT_LEN..]);
        let (cipher, nonce) = self.cipher(&rn);
        cipher
            .decrypt_inout_detached(&nonce, &tag.0, (&mut plaintext[..]).into(), &seal.into())
            .map_err(|_| Error::unauthentic("frame"))?;
        let flags = plaintext[0];
        let len = usize::from(u16::from_be_bytes([plaintext[5], plaintext[6]]));
        let rest = &plaintext[HEAD_LEN..];
        let (Some(data), Some(zeros)) = (rest.get(..len), rest.get(len..)) else {
            return Err(Error::malformed("frame length"));
        };
        if plaintext[1..5] != i.to_be_bytes() || zeros.iter().any(|b| *b != 0) || flags & !(FINAL | ERROR | PAD) != 0 {
            return Err(Error::malformed("frame"));
        }
        if flags & PAD != 0 && !data.is_empty() {
            return Err(Error::malformed("pad frame"));
        }
        Ok(Opened { flags, data: Zeroizing::new(data.into()) })
    }

    fn cipher(&self, rn: &[u8; 16]) -> (Aes256Gcm, Nonce<Aes256Gcm>) {
        let (key, nonce) = derive_frame_key(&self.salt0, rn, &self.secret[..]);
        (Aes256Gcm::new((&*key).into()), nonce.into())
    }
}

impl fmt::Debug for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Direction(..)")
    }
}

/// Key and nonce of one frame: RFC 9458 section 4.4 with `salt0` for `enc` and `rn` for the response nonce.
pub fn derive_frame_key(salt0: &[u8], rn: &[u8], secret: &[u8]) -> (Zeroizing<[u8; 32]>, [u8; 12]) {
    let mut salt = Vec::with_capacity(salt0.len() + rn.len());
    salt.extend_from_slice(salt0);
    salt.extend_from_slice(rn);
    let prk = Hkdf::<Sha256>::new(Some(&salt), secret);
    let (mut key, mut nonce) = (Zeroizing::new([0; 32]), [0; 12]);
    // Both are far below the 255 blocks that HKDF can give.
    let _ = prk.expand(b"key", &mut *key);
    let _ = prk.expand(b"nonce", &mut nonce);
    (key, nonce)
}

/// HMAC-SHA256 over the parts in a row.
pub(crate) fn mac(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC fills a key up with zeros to its block of 64 bytes; done here, nothing is left that could fail.
    let mut block = Zeroizing::new([0; 64]);
    block[..32].copy_from_slice(key);
    let mut mac = Hmac::<Sha256>::new((&*block).into());
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

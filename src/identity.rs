//! Who a provider is: the hash of its root key. Root and operational keys are ECDSA P-256 (protocol section 2.1); their
//! signatures are hedged, low-S, and over a label and the bytes as they travel.

use crate::{
    base,
    error::{Error, ErrorKind},
};
use alloc::string::String;
use core::{fmt, str::FromStr};
use p256::ecdsa::{
    Signature, SigningKey, VerifyingKey,
    signature::{MultipartVerifier, RandomizedMultipartSigner},
};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// A P-256 public key, SEC1 compressed.
pub type PublicKey = [u8; 33];

/// r || s of an ECDSA P-256 signature with s in the lower half.
pub type SignatureBytes = [u8; 64];

/// Algorithm id of ECDSA P-256 with SHA-256 in a certificate.
pub const ALG_P256: u64 = 1;

/// SHA-256 over the labelled root key; 32 bytes, never truncated (protocol section 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProviderId(pub [u8; 32]);

impl ProviderId {
    /// The id that belongs to this root key.
    pub fn derive(root: &PublicKey) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"pam1 pid\0");
        hash.update([ALG_P256 as u8]);
        hash.update(root);
        Self(hash.finalize().into())
    }

    /// The first 16 characters of the text form in groups of four, for people to compare.
    pub fn fingerprint(&self) -> String {
        let text = alloc::format!("{self}");
        let mut groups = String::with_capacity(19);
        for (i, c) in text.chars().take(16).enumerate() {
            if i > 0 && i % 4 == 0 {
                groups.push(' ');
            }
            groups.push(c);
        }
        groups
    }

    /// Five rows of five cells, mirrored left to right, drawn from SHA-256 of the id: it helps to recognise and proves
    /// nothing.
    pub fn glyph(&self) -> [[bool; 5]; 5] {
        let hash: [u8; 32] = Sha256::digest(self.0).into();
        let bits = u16::from_be_bytes([hash[0], hash[1]]);
        core::array::from_fn(|row| {
            core::array::from_fn(|column| {
                let mirrored = if column > 2 { 4 - column } else { column };
                bits >> (row * 3 + mirrored) & 1 == 1
            })
        })
    }
}

impl fmt::Display for ProviderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base::encode(base::BASE32, &self.0))
    }
}

impl FromStr for ProviderId {
    type Err = Error;

    /// Parses the one text form: 52 characters of lower-case base32 without padding.
    fn from_str(text: &str) -> Result<Self, Error> {
        const WRONG: Error = Error::new(ErrorKind::Invalid, "providerId");
        let bytes = base::decode(base::BASE32, text).ok_or(WRONG)?;
        bytes.try_into().map(Self).map_err(|_| WRONG)
    }
}

/// The provider's root key: it certifies operational keys and is the provider's name.
pub struct RootKey(SigningKey);

/// The key that signs bundles, heartbeats and receipts for at most 31 days.
pub struct OperationalKey(SigningKey);

macro_rules! signing_key {
    ($name:ident, $debug:literal) => {
        impl $name {
            /// A new random key.
            pub fn generate(rng: &mut (impl CryptoRng + ?Sized)) -> Self {
                let mut bytes = Zeroizing::new([0; 32]);
                loop {
                    rng.fill_bytes(&mut *bytes);
                    // A scalar of zero or over the order is drawn again, as FIPS 186-5 A.2.2 does.
                    if let Ok(key) = Self::from_bytes(&bytes) {
                        return key;
                    }
                }
            }

            /// The key with this secret scalar.
            ///
            /// # Errors
            /// `Invalid` when it is zero or not below the group order.
            pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, Error> {
                SigningKey::from_slice(bytes).map(Self).map_err(|_| Error::new(ErrorKind::Invalid, "secret key"))
            }

            /// The secret scalar, for the state folder alone.
            pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
                Zeroizing::new(self.0.to_bytes().into())
            }

            /// The public half.
            pub fn public(&self) -> PublicKey {
                compressed(self.0.verifying_key())
            }

            /// Signs `label || 0 || body`: RFC 6979 with 32 random bytes mixed in, low-S.
            pub fn sign(&self, label: &str, body: &[u8], rng: &mut (impl CryptoRng + ?Sized)) -> SignatureBytes {
                let signature: Signature =
                    self.0.multipart_sign_with_rng(&mut &mut *rng, &[label.as_bytes(), &[0], body]);
                signature.normalize_s().to_bytes().into()
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str($debug)
            }
        }
    };
}

signing_key!(RootKey, "RootKey(..)");
signing_key!(OperationalKey, "OperationalKey(..)");

impl RootKey {
    /// The provider that this key is.
    pub fn provider_id(&self) -> ProviderId {
        ProviderId::derive(&self.public())
    }

    /// The point of the public half, x and y, as a contract takes it.
    pub fn coordinates(&self) -> ([u8; 32], [u8; 32]) {
        let point = self.0.verifying_key().to_sec1_point(false);
        let (mut x, mut y) = ([0; 32], [0; 32]);
        // 4 || x || y
        x.copy_from_slice(&point.as_bytes()[1..33]);
        y.copy_from_slice(&point.as_bytes()[33..65]);
        (x, y)
    }
}

/// Verifies a signature over `label || 0 || body`. High-S is refused: the P-256 crate and WebCrypto take both, and two
/// valid signatures of one object would be two objects.
///
/// # Errors
/// `Unauthentic` whatever is wrong.
pub fn verify(key: &PublicKey, label: &str, body: &[u8], signature: &SignatureBytes) -> Result<(), Error> {
    const WRONG: Error = Error::unauthentic("signature");
    let key = VerifyingKey::from_sec1_bytes(key).map_err(|_| WRONG)?;
    let signature = Signature::from_slice(signature).map_err(|_| WRONG)?;
    if signature.normalize_s() != signature {
        return Err(Error::unauthentic("signature with high s"));
    }
    key.multipart_verify(&[label.as_bytes(), &[0], body], &signature).map_err(|_| WRONG)
}

/// Checks that the bytes are a point of the curve in compressed form.
pub(crate) fn decode_public(bytes: &[u8]) -> Result<PublicKey, Error> {
    const WRONG: Error = Error::malformed("public key");
    let key: PublicKey = bytes.try_into().map_err(|_| WRONG)?;
    VerifyingKey::from_sec1_bytes(&key).map_err(|_| WRONG)?;
    Ok(key)
}

fn compressed(key: &VerifyingKey) -> PublicKey {
    let mut bytes = [0; 33];
    bytes.copy_from_slice(key.to_sec1_point(true).as_bytes());
    bytes
}

//! What travels between client and provider, all of it sealed: requests, control frames and frame bundles (protocol
//! sections 4 and 5). The first byte is type and version; nothing behind it is parsed before it is authentic.

pub mod bundle;
pub mod control;
pub mod frame;
pub mod padding;
pub mod prompt;
pub mod response;

use crate::error::Error;
use hpke::{HpkeError, aead::AesGcm256, kdf::HkdfSha256};
use zeroize::Zeroizing;

/// First byte of a request.
pub const REQUEST: u8 = 0x01;

/// First byte of a control frame.
pub const CONTROL: u8 = 0x03;

/// First byte of a frame bundle.
pub const BUNDLE: u8 = 0x81;

/// The suite of requests: MLKEM768-P256, HKDF-SHA256, AES-256-GCM (protocol section 3).
pub const SUITE: u8 = 2;

/// KEM of requests, id 0x0050.
pub(crate) type RequestKem = hpke::kem::MlKem768P256;

/// KEM of replies, id 0x0010.
pub(crate) type ReplyKem = hpke::kem::DhP256HkdfSha256;

/// Receiver's context of a request.
pub(crate) type RequestContext = hpke::aead::AeadCtxR<AesGcm256, HkdfSha256, RequestKem>;

/// 32 secret bytes that are erased when dropped.
pub(crate) type Secret = Zeroizing<[u8; 32]>;

/// Collects the exports of one HPKE context.
pub(crate) fn exported(
    export: impl Fn(&[u8], &mut [u8]) -> Result<(), HpkeError>,
    label: &str,
) -> Result<Secret, Error> {
    let mut secret = Zeroizing::new([0; 32]);
    export(label.as_bytes(), &mut *secret).map_err(|_| Error::unauthentic("export"))?;
    Ok(secret)
}

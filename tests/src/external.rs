//! Published vectors of what the protocol is built from: HPKE (RFC 9180), its post-quantum KEM, and the key derivation
//! of frames (RFC 9458 appendix A).

use crate::{Check, hex, same};
use hpke::{
    Deserializable, Kem, OpModeR, OpModeS, PskBundle, Serializable,
    aead::{Aead, AesGcm128, AesGcm256},
    kdf::HkdfSha256,
    kem::{DhP256HkdfSha256, MlKem768P256},
    setup_receiver, setup_sender_with_rng,
};
use privacyai::envelope::frame::derive_frame_key;
use rand_core::{Infallible, TryCryptoRng, TryRng};
use serde::Deserialize;

/// The checks of this file.
pub const CHECKS: &[Check] = &[
    ("RFC 9180, DHKEM(P-256), base and PSK", rfc9180),
    ("HPKE-PQ, MLKEM768-P256", hpke_pq),
    ("RFC 9458 appendix A, keys of a response", rfc9458),
];

#[derive(Deserialize)]
struct File {
    suites: Vec<Suite>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Suite {
    #[serde(rename = "aead_id")]
    aead: u16,
    info: String,
    ikm_e: String,
    ikm_r: String,
    sk_rm: String,
    pk_rm: String,
    psk: Option<String>,
    #[serde(rename = "psk_id")]
    psk_id: Option<String>,
    enc: String,
    encryptions: Vec<Encryption>,
    exports: Vec<Export>,
}

#[derive(Deserialize)]
struct Encryption {
    aad: String,
    ct: String,
    pt: String,
}

#[derive(Deserialize)]
struct Export {
    context: String,
    value: String,
}

fn rfc9180() -> Result<(), String> {
    check::<DhP256HkdfSha256>(include_str!("../vectors/rfc9180.json"), 4)
}

fn hpke_pq() -> Result<(), String> {
    check::<MlKem768P256>(include_str!("../vectors/hpke_pq.json"), 1)
}

fn check<K: Kem>(json: &str, count: usize) -> Result<(), String> {
    let file: File = serde_json::from_str(json).map_err(|error| error.to_string())?;
    same("suites", file.suites.len(), count)?;
    for suite in &file.suites {
        match suite.aead {
            1 => check_suite::<K, AesGcm128>(suite)?,
            2 => check_suite::<K, AesGcm256>(suite)?,
            other => return Err(format!("AEAD {other}")),
        }
    }
    Ok(())
}

fn check_suite<K: Kem, A: Aead>(suite: &Suite) -> Result<(), String> {
    let failed = |error: hpke::HpkeError| error.to_string();
    let (info, psk, psk_id) = (
        hex(&suite.info)?,
        hex(suite.psk.as_deref().unwrap_or_default())?,
        hex(suite.psk_id.as_deref().unwrap_or_default())?,
    );
    let bundle = PskBundle::new(&psk, &psk_id).map_err(failed)?;
    let secret = K::PrivateKey::from_bytes(&hex(&suite.sk_rm)?).map_err(failed)?;
    let public = K::PublicKey::from_bytes(&hex(&suite.pk_rm)?).map_err(failed)?;
    let (derived, derived_public) = K::derive_keypair(&hex(&suite.ikm_r)?);
    same("derived secret key", derived.to_bytes().to_vec(), secret.to_bytes().to_vec())?;
    same("derived public key", derived_public.to_bytes().to_vec(), public.to_bytes().to_vec())?;

    let (sender_mode, receiver_mode) =
        if psk.is_empty() { (OpModeS::Base, OpModeR::Base) } else { (OpModeS::Psk(bundle), OpModeR::Psk(bundle)) };
    let (enc, mut sender) =
        setup_sender_with_rng::<A, HkdfSha256, K>(&sender_mode, &public, &info, &mut Script(hex(&suite.ikm_e)?))
            .map_err(failed)?;
    same("enc", enc.to_bytes().to_vec(), hex(&suite.enc)?)?;
    let enc = K::EncappedKey::from_bytes(&hex(&suite.enc)?).map_err(failed)?;
    let mut receiver = setup_receiver::<A, HkdfSha256, K>(&receiver_mode, &secret, &enc, &info).map_err(failed)?;
    for encryption in &suite.encryptions {
        let (aad, ct, pt) = (hex(&encryption.aad)?, hex(&encryption.ct)?, hex(&encryption.pt)?);
        same("ct", sender.seal(&pt, &aad).map_err(failed)?, ct.clone())?;
        same("pt", receiver.open(&ct, &aad).map_err(failed)?, pt)?;
    }
    for export in &suite.exports {
        let (context, value) = (hex(&export.context)?, hex(&export.value)?);
        let mut found = vec![0; value.len()];
        sender.export(&context, &mut found).map_err(failed)?;
        same("sender's export", &found, &value)?;
        receiver.export(&context, &mut found).map_err(failed)?;
        same("receiver's export", &found, &value)?;
    }
    Ok(())
}

/// RFC 9458 appendix A uses AES-128: its key is the first half of ours, as HKDF-Expand gives it.
fn rfc9458() -> Result<(), String> {
    let enc = hex("4b28f881333e7c164ffc499ad9796f877f4e1051ee6d31bad19dec96c208b472")?;
    let response_nonce = hex("c789e7151fcba46158ca84b04464910d")?;
    let (key, nonce) = derive_frame_key(&enc, &response_nonce, &hex("62d87a6ba569ee81014c2641f52bea36")?);
    same("key", key[..16].to_vec(), hex("5d0172a080e428b16d298c4ea0db620d")?)?;
    same("nonce", nonce.to_vec(), hex("f6bf1aeb88d6df87007fa263")?)
}

/// Randomness that a vector prescribes, and zeros after it.
struct Script(Vec<u8>);

impl TryRng for Script {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        let taken = bytes.len().min(self.0.len());
        bytes.fill(0);
        bytes[..taken].copy_from_slice(&self.0[..taken]);
        self.0.drain(..taken);
        Ok(())
    }
}

impl TryCryptoRng for Script {}

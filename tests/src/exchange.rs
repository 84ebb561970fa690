//! One provider, one question and its answer, all derived from fixed randomness: object n draws from ChaCha20 under the
//! key of 32 bytes n.

use privacyai::{
    announcement::{
        Signed,
        bundle::{KeyBundle, Registration, bhash},
        cert::{Cert, LIFETIME_S, Revocation},
        heartbeat::{Heartbeat, Model, Status},
    },
    client::Profile,
    effect::Millis,
    envelope::{
        padding::MAX_PLAINTEXT,
        prompt::{OVERHEAD, PREKEY_USE_S, Prekey, SealedRequest, Target, seal_request},
    },
    identity::{OperationalKey, ProviderId, RootKey},
    message::Body,
    receipt::{Receipt, model_hash},
};
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};

/// The hour at which all of it happens, in seconds since the Unix epoch.
pub const NOW_S: u64 = 1_800_000_000;

/// The same in ms.
pub const NOW: Millis = Millis(NOW_S * 1_000);

/// The randomness of object `n`.
pub fn rng(n: u8) -> ChaCha20Rng {
    ChaCha20Rng::from_seed([n; 32])
}

/// A provider with its keys and announcements.
#[derive(Debug)]
pub struct Provider {
    /// Its name.
    pub id: ProviderId,
    /// Its root key.
    pub root: RootKey,
    /// Its operational key.
    pub operational: OperationalKey,
    /// The certificate, as it travels.
    pub cert: Vec<u8>,
    /// Its prekey.
    pub prekey: Prekey,
    /// Its key bundle.
    pub bundle: KeyBundle,
    /// The same, signed.
    pub signed_bundle: Signed,
}

impl Provider {
    /// The provider whose keys draw from object `n` on; `n = 1` is the one of the golden vectors.
    pub fn derive(n: u8) -> Self {
        Self::derive_at(n, NOW_S, [0; 32])
    }

    /// The same provider with a later bundle.
    pub fn derive_at(n: u8, now_s: u64, prev: [u8; 32]) -> Self {
        let root = RootKey::generate(&mut rng(n));
        let operational = OperationalKey::generate(&mut rng(n + 1));
        let cert = Cert {
            root: root.public(),
            operational: operational.public(),
            op_seq: NOW_S as u32,
            not_before: NOW_S,
            not_after: NOW_S + LIFETIME_S,
        }
        .sign(&root, &mut rng(n + 2));
        let prekey = Prekey::generate(now_s, &mut rng(n + 3));
        let bundle = KeyBundle {
            provider: root.provider_id(),
            cert: cert.clone(),
            seq: now_s,
            prev,
            created: now_s,
            use_until: now_s + PREKEY_USE_S,
            prekey: prekey.public().into(),
            peer_ids: vec!["16Uiu2HAm4v86W3bmT1BiH6oSPzcsSr24iDQpSN5Qa992BCjjwgrD".into()],
            registration: Some(Registration { chain: 1, registry: [0x11; 20], payee: [0x22; 20] }),
            attestation: None,
            max_request: (MAX_PLAINTEXT + OVERHEAD) as u32,
        };
        let signed_bundle = bundle.sign(&operational, &mut rng(n + 4));
        Self { id: root.provider_id(), root, operational, cert, prekey, bundle, signed_bundle }
    }

    /// The hash of its bundle.
    pub fn bhash(&self) -> [u8; 32] {
        bhash(&self.signed_bundle.body)
    }

    /// What requests are sealed to.
    pub fn target(&self) -> Target {
        Target {
            provider: self.id,
            prekey: self.bundle.prekey.clone(),
            bhash: self.bhash(),
            operational: self.operational.public(),
            op_seq: NOW_S as u32,
            max_request: self.bundle.max_request,
        }
    }

    /// A heartbeat at this time.
    pub fn heartbeat(&self, ts: Millis) -> Heartbeat {
        let mut half = [0; 16];
        half.copy_from_slice(&self.bhash()[..16]);
        Heartbeat {
            provider: self.id,
            bundle_seq: self.bundle.seq,
            bhash: half,
            ts,
            load: 250,
            queue: 1,
            free_slots: 3,
            models: vec![
                Model {
                    id: "smollm2-360m".into(),
                    context: 8_192,
                    price_in: 0,
                    price_out: 1_500_000_000_000_000_000,
                    tokens_per_s: 84,
                    preset: "quick".into(),
                    quantisation: "q8_0".into(),
                    engine: "embedded".into(),
                    capabilities: 4,
                    weights_hash: Some([0x33; 32]),
                },
                Model {
                    id: "qwen3-8b".into(),
                    context: 32_768,
                    price_in: 1,
                    price_out: u128::from(u64::MAX),
                    tokens_per_s: 40,
                    preset: String::new(),
                    quantisation: String::new(),
                    engine: String::new(),
                    capabilities: 0,
                    weights_hash: None,
                },
            ],
            handle: "gpt-provider".into(),
            name: "GPT Provider \u{2014} Z\u{fc}rich".into(),
            status: Status::Busy,
            response_ms: 410,
            max_concurrent: 4,
        }
    }

    /// A revocation of its operational key.
    pub fn revocation(&self) -> Revocation {
        Revocation { provider: self.id, min_op_seq: NOW_S as u32 + 1, reason: 2, ts: NOW_S }
    }

    /// A receipt of an exchange with this channel binding and these commitments.
    pub fn receipt(&self, cb: [u8; 32], request: [u8; 32], response: [u8; 32]) -> Receipt {
        Receipt {
            provider: self.id,
            op_seq: NOW_S as u32,
            cb,
            bhash: self.bhash(),
            model: model_hash("smollm2-360m"),
            prompt: 12,
            completion: 345,
            price: 518,
            times_ms: [NOW.0 + 100, NOW.0 + 400, NOW.0 + 5_000],
            finish: "stop".into(),
            frames: 4,
            request_commitment: request,
            response_commitment: response,
            channel: None,
        }
    }
}

/// The question of the golden vectors.
pub fn body() -> Body {
    let content = br#"{"messages":[{"role":"user","content":"What is a prekey?"}]}"#;
    Body::infer(NOW, "smollm2-360m".into(), content.to_vec(), Profile::Balanced)
}

/// The question sealed to this provider.
///
/// # Errors
/// None, unless the protocol is broken.
pub fn request(provider: &Provider) -> Result<SealedRequest, String> {
    seal_request(&provider.target(), &body(), &mut rng(20)).map_err(|error| error.to_string())
}

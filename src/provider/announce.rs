//! What the provider says about itself, and when: certificate, key bundles, heartbeats (protocol sections 2.1 and 2.4).
//! Sequences are persisted before what carries them is published.

use super::{Drain, Effect, Note, Offer, Provider, load, session::Session};
use crate::announcement::{
    bundle::{KeyBundle, REPUBLISH_S, REPUBLISH_UNKNOWN_S, bhash},
    cert::{Cert, LIFETIME_S, OVERLAP_S},
    heartbeat::{Heartbeat, JITTER_MS, MAX_MODELS, PERIOD_MS},
};
use crate::effect::{Millis, Publication, Row, Table, Write};
use crate::envelope::{
    padding::MAX_PLAINTEXT,
    prompt::{Kid, OVERHEAD, PREKEY_PERIOD_S, PREKEY_USE_S, Prekey, Prekeys},
};
use crate::identity::{OperationalKey, ProviderId, RootKey};
use crate::message::Usage;
use crate::receipt::{Receipt, model_hash};
use crate::topic::Topic;
use alloc::{string::String, vec::Vec};
use rand_core::CryptoRng;

/// Rows of `Table::Announcement`.
const ROW_CERT: &[u8] = b"certificate";
const ROW_OPERATIONAL: &[u8] = b"operational";
const ROW_BUNDLE: &[u8] = b"bundle";
/// Bundles that requests and receipts may still speak of: prekeys overlap by two, a session outlives its prekey.
const BUNDLES: usize = 4;

/// One operational key in use.
struct Operational {
    key: OperationalKey,
    wire: Vec<u8>,
    cert: Cert,
}

/// A published bundle.
struct Bundle {
    seq: u64,
    bhash: [u8; 32],
    wire: Vec<u8>,
    op_seq: u32,
}

/// Keys and sequences of the announcement.
pub(super) struct Announcer {
    root: RootKey,
    id: ProviderId,
    /// The newest last; the one before it still signs receipts of its bundles.
    operational: Vec<Operational>,
    prekeys: Prekeys,
    bundles: Vec<Bundle>,
    last_seq: u64,
    last_bhash: [u8; 32],
    last_ts: Millis,
    renew_at: Millis,
    publish_at: Millis,
    republish_from: Millis,
    heartbeat_at: Millis,
}

impl Announcer {
    /// Nothing is announced yet.
    pub(super) fn new(root: RootKey) -> Self {
        let id = root.provider_id();
        Self {
            root,
            id,
            operational: Vec::new(),
            prekeys: Prekeys::default(),
            bundles: Vec::new(),
            last_seq: 0,
            last_bhash: [0; 32],
            last_ts: Millis(0),
            renew_at: Millis(0),
            publish_at: Millis(0),
            republish_from: Millis(0),
            heartbeat_at: Millis(0),
        }
    }

    /// Who announces.
    pub(super) fn id(&self) -> ProviderId {
        self.id
    }

    /// Takes back what was persisted; what does not fit this root key is passed over.
    pub(super) fn restore(&mut self, rows: &[Row]) {
        let value = |key: &[u8]| {
            let row = rows.iter().find(|row| row.table == Table::Announcement && row.key == key);
            row.map(|row| row.value.as_slice())
        };
        if let Some(row) = value(ROW_BUNDLE)
            && let Some((seq, bhash)) = row.split_first_chunk::<8>()
            && let Ok(bhash) = <[u8; 32]>::try_from(bhash)
        {
            self.last_seq = u64::from_be_bytes(*seq);
            self.last_bhash = bhash;
        }
        let secret = value(ROW_OPERATIONAL).and_then(|secret| <&[u8; 32]>::try_from(secret).ok());
        if let (Some(wire), Some(secret)) = (value(ROW_CERT), secret)
            && let (Ok(cert), Ok(key)) = (Cert::open(wire), OperationalKey::from_bytes(secret))
            && cert.provider() == self.id
            && cert.operational == key.public()
        {
            self.operational.push(Operational { key, wire: wire.into(), cert });
        }
    }

    /// A prekey that is held, and its bundle's hash.
    pub(super) fn prekey(&self, kid: &Kid) -> Option<(&Prekey, &[u8; 32])> {
        self.prekeys.find(kid)
    }

    /// Publishes the newest bundle again because a request named a prekey that is not held.
    pub(super) fn republish(&mut self, now: Millis, rng: &mut impl CryptoRng, out: &mut Vec<Effect>) {
        if now >= self.republish_from {
            self.republish_from = Millis(now.0.saturating_add(REPUBLISH_UNKNOWN_S * 1_000));
            self.publish_bundle(now, rng, out);
        }
    }

    /// Says everything again for a peer that just joined: what was said before it came never reaches it by gossip. Peers
    /// that come close together share one repetition.
    pub(super) fn repeat(&mut self, now: Millis) {
        let at = now.max(self.republish_from);
        self.republish_from = Millis(at.0.saturating_add(REPUBLISH_UNKNOWN_S * 1_000));
        self.publish_at = self.publish_at.min(at);
        self.heartbeat_at = self.heartbeat_at.min(at);
    }

    /// A signed receipt for an answer that is whole but for it.
    pub(super) fn receipt(
        &self,
        session: &mut Session,
        usage: &Usage,
        now: Millis,
        rng: &mut impl CryptoRng,
    ) -> Option<Vec<u8>> {
        let bhash = *session.keys.bhash();
        let bundle = self.bundles.iter().find(|bundle| bundle.bhash == bhash)?;
        let operational = self.operational.iter().find(|operational| operational.cert.op_seq == bundle.op_seq)?;
        let commitments = session.keys.commit(&session.stream.digest());
        let receipt = Receipt {
            provider: self.id,
            op_seq: bundle.op_seq,
            cb: *session.keys.channel_binding(),
            bhash,
            model: model_hash(&session.model),
            prompt: usage.prompt,
            completion: usage.completion,
            price: session.price(usage),
            times_ms: [session.accepted.0, session.first.unwrap_or(now).0, now.0],
            finish: usage.finish.clone(),
            frames: session.stream.data_frames(),
            request_commitment: commitments.request,
            response_commitment: commitments.response,
            channel: None,
        };
        Some(receipt.sign(&operational.key, rng))
    }

    /// When the announcement next needs the time.
    pub(super) fn wake_at(&self) -> Option<Millis> {
        let erase = self.prekeys.next_erase_s().map(|s| Millis(s.saturating_mul(1_000)));
        [Some(self.renew_at), Some(self.publish_at), Some(self.heartbeat_at), erase].into_iter().flatten().min()
    }

    /// A new operational key and certificate where the old one nears its end.
    fn certify(&mut self, now_s: u64, rng: &mut impl CryptoRng, out: &mut Vec<Effect>) {
        let fresh = |operational: &Operational| {
            operational.cert.verify_time(now_s).is_ok() && operational.cert.not_after > now_s.saturating_add(OVERLAP_S)
        };
        if self.operational.last().is_some_and(fresh) {
            return;
        }
        let last = self.operational.last().map_or(0, |operational| operational.cert.op_seq);
        let key = OperationalKey::generate(rng);
        let cert = Cert {
            root: self.root.public(),
            operational: key.public(),
            op_seq: u32::try_from(now_s).unwrap_or(u32::MAX).max(last.saturating_add(1)),
            not_before: now_s,
            not_after: now_s.saturating_add(LIFETIME_S),
        };
        let wire = cert.sign(&self.root, rng);
        let row =
            |key: &[u8], value: Vec<u8>| Write { table: Table::Announcement, key: key.into(), value: Some(value) };
        out.push(Effect::Persist([row(ROW_CERT, wire.clone()), row(ROW_OPERATIONAL, key.to_bytes().to_vec())].into()));
        out.push(Effect::Note(Note::Renewed));
        if self.operational.len() > 1 {
            self.operational.remove(0);
        }
        self.operational.push(Operational { key, wire, cert });
    }

    /// A new prekey and the bundle that announces it.
    fn renew(&mut self, peer_ids: &[String], now: Millis, rng: &mut impl CryptoRng, out: &mut Vec<Effect>) {
        let now_s = now.0 / 1_000;
        self.certify(now_s, rng, out);
        let Some(operational) = self.operational.last() else { return };
        let prekey = Prekey::generate(now_s, rng);
        let seq = now_s.max(self.last_seq.saturating_add(1));
        let bundle = KeyBundle {
            provider: self.id,
            cert: operational.wire.clone(),
            seq,
            prev: self.last_bhash,
            created: now_s,
            use_until: now_s.saturating_add(PREKEY_USE_S),
            prekey: prekey.public().to_vec(),
            peer_ids: peer_ids.to_vec(),
            registration: None,
            attestation: None,
            max_request: (MAX_PLAINTEXT + OVERHEAD) as u32,
        };
        let signed = bundle.sign(&operational.key, rng);
        let bhash = bhash(&signed.body);
        let op_seq = operational.cert.op_seq;
        let value = [&seq.to_be_bytes()[..], &bhash].concat();
        out.push(Effect::Persist(
            [Write { table: Table::Announcement, key: ROW_BUNDLE.into(), value: Some(value) }].into(),
        ));
        (self.last_seq, self.last_bhash) = (seq, bhash);
        self.prekeys.insert(prekey, bhash);
        if self.bundles.len() == BUNDLES {
            self.bundles.remove(0);
        }
        self.bundles.push(Bundle { seq, bhash, wire: signed.encode(), op_seq });
        self.renew_at = Millis((now_s + PREKEY_PERIOD_S).saturating_mul(1_000));
        self.publish_bundle(now, rng, out);
        self.heartbeat_at = now;
    }

    fn publish_bundle(&mut self, now: Millis, rng: &mut impl CryptoRng, out: &mut Vec<Effect>) {
        let Some(bundle) = self.bundles.last() else { return };
        out.push(Effect::Publish(Publication::new(Topic::Discovery, bundle.wire.clone(), now, rng)));
        out.push(Effect::Note(Note::Announced));
        self.publish_at = Millis(now.0.saturating_add(REPUBLISH_S * 1_000));
    }
}

impl Provider {
    /// These offers take the place of the old ones.
    pub(super) fn offers(&mut self, offers: Vec<Offer>, now: Millis) {
        self.config.offers = offers;
        self.config.offers.truncate(MAX_MODELS as usize);
        self.announcer.heartbeat_at = now;
    }

    /// Erases prekeys whose time is over, and all that was decapsulated.
    pub(super) fn erase(&mut self, now: Millis) {
        let now_s = now.0 / 1_000;
        if self.announcer.prekeys.next_erase_s().is_some_and(|at| at <= now_s) {
            self.announcer.prekeys.erase(now_s);
            self.requests.erase_contexts();
        }
    }

    /// Announces what is due, and every change of status at once.
    pub(super) fn announce(&mut self, now: Millis, rng: &mut impl CryptoRng, out: &mut Vec<Effect>) {
        if now >= self.announcer.renew_at {
            self.announcer.renew(&self.config.peer_ids, now, rng, out);
        } else if now >= self.announcer.publish_at {
            self.announcer.publish_bundle(now, rng, out);
        }
        let (status, until) = self.load.status(&self.config.offers, self.drain != Drain::No, now);
        self.status_until = until;
        if status != self.status || now >= self.announcer.heartbeat_at {
            self.status = status;
            self.heartbeat(now, rng, out);
        }
    }

    fn heartbeat(&mut self, now: Millis, rng: &mut impl CryptoRng, out: &mut Vec<Effect>) {
        let offers = &self.config.offers;
        let announcer = &mut self.announcer;
        let (Some(bundle), Some(operational)) = (announcer.bundles.last(), announcer.operational.last()) else {
            return;
        };
        let [half @ .., _, _, _, _, _, _, _, _, _, _, _, _, _, _, _, _] = bundle.bhash;
        announcer.last_ts = now.max(Millis(announcer.last_ts.0.saturating_add(1)));
        let heartbeat = Heartbeat {
            provider: announcer.id,
            bundle_seq: bundle.seq,
            bhash: half,
            ts: announcer.last_ts,
            load: self.load.permille(offers),
            queue: self.load.queue(offers),
            free_slots: self.load.free(offers),
            models: offers.iter().map(|offer| offer.model.clone()).collect(),
            handle: self.config.handle.clone(),
            name: self.config.name.clone(),
            status: self.status,
            response_ms: self.load.response_ms(),
            max_concurrent: load::slots(offers),
        };
        let wire = heartbeat.sign(&operational.key, rng);
        out.push(Effect::Publish(Publication::new(Topic::Discovery, wire, now, rng)));
        out.push(Effect::Note(Note::Announced));
        let spread = rng.next_u64() % (2 * JITTER_MS + 1);
        announcer.heartbeat_at = Millis(now.0.saturating_add(PERIOD_MS - JITTER_MS + spread));
    }
}

//! What a client remembers of one provider, and its stored row.

use crate::{
    announcement::{
        MAX_SIGNED, Signed,
        bundle::{KeyBundle, bhash},
        cert::Cert,
        heartbeat::{Heartbeat, MAX_NAME, Status, VALID_MS},
    },
    cbor,
    effect::Millis,
    error::Error,
    identity::ProviderId,
};
use alloc::{string::String, vec::Vec};

const USED: u8 = 1;
const TRUSTED: u8 = 2;
const CONFIRMED: u8 = 4;

/// One provider.
#[derive(Debug)]
pub(super) struct Entry {
    /// The newest bundle as it came, and what is in it.
    pub(super) wire: Vec<u8>,
    pub(super) bundle: KeyBundle,
    pub(super) bhash: [u8; 32],
    pub(super) cert: Cert,
    /// Operational keys below are revoked.
    pub(super) min_op_seq: u32,
    /// A second bundle of the same sequence: the proof of equivocation, with `wire`.
    pub(super) second: Option<Vec<u8>>,
    pub(super) handle: String,
    /// When it took this handle, by our clock.
    pub(super) handle_since: Millis,
    pub(super) name: String,
    /// The service node that gave the newest bundle first, in this run.
    pub(super) source: Option<String>,
    /// Another node gave the same one.
    pub(super) confirmed: bool,
    /// The user asked it.
    pub(super) used: bool,
    /// The user trusts it under a handle that was another's.
    pub(super) trusted: bool,
    /// When it was last heard, by our clock.
    pub(super) heard: Millis,
    /// The newest heartbeat as it came, and what is in it.
    pub(super) beat: Vec<u8>,
    pub(super) heartbeat: Option<Heartbeat>,
    /// What the edge was last told.
    pub(super) told: (Status, bool),
}

impl Entry {
    /// Takes an accepted bundle as the newest.
    pub(super) fn replace(&mut self, wire: &[u8], bundle: KeyBundle, bhash: [u8; 32], cert: Cert) {
        self.wire = wire.into();
        self.bundle = bundle;
        self.bhash = bhash;
        self.cert = cert;
        self.source = None;
        self.confirmed = false;
    }

    /// A service node gave the newest bundle; true when that confirms it (protocol section 2.4, targeted keys).
    pub(super) fn confirm(&mut self, source: &str) -> bool {
        let own = |peer: &str| self.bundle.peer_ids.iter().any(|id| id == peer);
        match &self.source {
            _ if self.confirmed => return false,
            None => self.source = Some(source.into()),
            Some(first) => self.confirmed = first != source && !(own(first) && own(source)),
        }
        self.confirmed
    }

    /// A provider that is seen for the first time.
    pub(super) fn new(wire: &[u8], bundle: KeyBundle, bhash: [u8; 32], cert: Cert, now: Millis) -> Self {
        Self {
            wire: wire.into(),
            bundle,
            bhash,
            cert,
            min_op_seq: 0,
            second: None,
            handle: String::new(),
            handle_since: now,
            name: String::new(),
            source: None,
            confirmed: false,
            used: false,
            trusted: false,
            heard: now,
            beat: Vec::new(),
            heartbeat: None,
            told: (Status::Unknown, false),
        }
    }

    /// Its status as announced while the heartbeat is fresh.
    pub(super) fn status(&self, now: Millis) -> Status {
        match &self.heartbeat {
            Some(heartbeat) if heartbeat.verify_time(now).is_ok() => heartbeat.status,
            _ => Status::Unknown,
        }
    }

    /// A request can be sealed to it now.
    pub(super) fn is_usable(&self, now: Millis) -> bool {
        let now_s = now.0 / 1_000;
        self.second.is_none()
            && self.cert.op_seq >= self.min_op_seq
            && matches!(self.status(now), Status::Online | Status::Busy)
            && self.bundle.verify_time(now_s).is_ok()
            && self.cert.verify_time(now_s).is_ok()
    }

    /// When status or use next end by time alone.
    pub(super) fn expiry(&self, now: Millis) -> Option<Millis> {
        let heartbeat = self.heartbeat.as_ref().map(|heartbeat| heartbeat.ts.0.saturating_add(VALID_MS + 1));
        let seconds = [self.bundle.use_until, self.cert.not_after];
        let rest = seconds.map(|s| s.saturating_add(1).saturating_mul(1_000));
        heartbeat.into_iter().chain(rest).filter(|at| *at > now.0).min().map(Millis)
    }

    /// The user's own providers are never evicted.
    pub(super) fn is_protected(&self) -> bool {
        self.used || self.trusted
    }

    /// The stored row.
    pub(super) fn encode(&self) -> Vec<u8> {
        let flags = [(self.used, USED), (self.trusted, TRUSTED), (self.confirmed, CONFIRMED)];
        let flags = flags.into_iter().filter(|(is, _)| *is).fold(0, |all, (_, flag)| all | flag);
        let mut map = cbor::Map::new();
        map.uint(0, 1u8).bytes(1, &self.wire).uint(2, self.min_op_seq).text(3, &self.handle);
        map.uint(4, self.handle_since.0).text(5, &self.name).uint(6, flags).uint(7, self.heard.0);
        if let Some(second) = &self.second {
            map.bytes(8, second);
        }
        if !self.beat.is_empty() {
            map.bytes(9, &self.beat);
        }
        map.finish()
    }

    /// Reads a stored row. Its objects were verified before they were stored.
    pub(super) fn decode(id: &ProviderId, row: &[u8]) -> Result<Self, Error> {
        const WRONG: Error = Error::malformed("stored provider");
        let (mut wire, mut min_op_seq, mut handle, mut handle_since) = (None, 0, String::new(), Millis(0));
        let (mut name, mut flags, mut heard, mut second) = (String::new(), 0, Millis(0), None);
        let mut beat = Vec::new();
        let mut reader = cbor::Reader::new(row);
        reader.map(|key, r| {
            match key {
                0 if r.uint()? == 1 => {}
                1 => wire = Some(r.bytes(MAX_SIGNED)?),
                2 => min_op_seq = r.u32()?,
                3 => handle = r.text(MAX_NAME)?.into(),
                4 => handle_since = Millis(r.uint()?),
                5 => name = r.text(MAX_NAME)?.into(),
                6 => flags = r.u8()?,
                7 => heard = Millis(r.uint()?),
                8 => second = Some(r.bytes(MAX_SIGNED)?.into()),
                9 => beat = r.bytes(MAX_SIGNED)?.into(),
                _ => return Ok(false),
            }
            Ok(true)
        })?;
        reader.finish()?;
        let wire = wire.ok_or(WRONG)?;
        let signed = Signed::decode(wire)?;
        let bundle = KeyBundle::decode(&signed)?;
        let (cert, _) = Cert::decode(&bundle.cert)?;
        if bundle.provider != *id || cert.provider() != *id {
            return Err(WRONG);
        }
        let heartbeat = Signed::decode(&beat).and_then(|signed| Heartbeat::decode(&signed)).ok();
        Ok(Self {
            beat,
            heartbeat,
            min_op_seq,
            second,
            handle,
            handle_since,
            name,
            used: flags & USED != 0,
            trusted: flags & TRUSTED != 0,
            confirmed: flags & CONFIRMED != 0,
            heard,
            ..Self::new(wire, bundle, bhash(&signed.body), cert, Millis(0))
        })
    }
}

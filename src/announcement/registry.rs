//! A client's memory of the providers it has verified, and its judgement of each new announcement (protocol section
//! 2.4): rollback, replay and equivocation are refused, handles stay with the key that had them first.

use crate::map::{Map, Set};
use crate::{
    announcement::{
        Kind, Signed,
        bundle::{KeyBundle, bhash},
        cert::{Cert, Revocation},
        clock::ClockWatch,
        entry::Entry,
        heartbeat::{Heartbeat, Model, Status},
    },
    effect::{Batch, Millis, Row, Table, Write},
    envelope::prompt::Target,
    error::{Error, ErrorKind},
    identity::ProviderId,
};
use alloc::{collections::VecDeque, string::String, vec::Vec};

/// Most providers remembered.
pub const MAX_PROVIDERS: usize = 2_048;

/// Newcomers share half of the table, so that a flood of new ids cannot crowd out the user's own.
const MAX_NEWCOMERS: usize = MAX_PROVIDERS / 2;

/// Heartbeats that wait for their bundle: the store gives both in any order.
const MAX_WAITING: usize = 1_024;

/// So many providers' heartbeats are stored whether or not the user has asked them: few enough to write every half
/// minute, so that a background that comes back within a heartbeat's life knows at once whom it can ask.
const FEW: usize = 16;

/// What an accepted announcement changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// This provider's [`Seen`] may be another now.
    Changed(ProviderId),
    /// Nothing new.
    Known,
    /// A heartbeat of a bundle that is not known: fetch it from the store, on the discovery topic.
    UnknownBundle(ProviderId),
}

/// A seen provider, verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its id.
    pub id: ProviderId,
    /// The operator's handle.
    pub handle: String,
    /// The name to show.
    pub name: String,
    /// Its models.
    pub models: Vec<Model>,
    /// As announced and still fresh; `Unknown` without a fresh heartbeat or bundle.
    pub status: Status,
    /// Its own median response time in ms, as announced.
    pub response_ms: u32,
    /// Maximum concurrent requests.
    pub max_concurrent: u32,
    /// Waiting requests, as announced.
    pub queue: u32,
    /// Time of the last accepted heartbeat.
    pub heard: Millis,
    /// libp2p peer ids of the provider's own nodes (protocol section 6.3).
    pub peer_ids: Vec<String>,
    /// Bundle and heartbeat are verified and fresh, and it is not offline: a question can be sealed to it now.
    pub usable: bool,
    /// The id that was known under this handle before, when the user has not trusted this one.
    pub key_changed_from: Option<ProviderId>,
    /// It signed two bundles with one sequence: refused for good.
    pub equivocated: bool,
    /// Two service nodes gave the same key bundle, and not both are the provider's own: it is no key made for one user
    /// alone, by which the provider would know that user again.
    pub confirmed: bool,
}

/// The seen providers.
#[derive(Debug, Default)]
pub struct Registry {
    entries: Map<ProviderId, Entry>,
    waiting: VecDeque<(ProviderId, Signed)>,
    clock: ClockWatch,
    /// Rows to write, or to delete when the entry is gone.
    dirty: Set<ProviderId>,
}

impl Registry {
    /// Takes the stored rows of `Table::Providers`; rows that do not decode are passed over.
    pub fn restore(&mut self, rows: &[Row]) {
        for row in rows.iter().filter(|row| row.table == Table::Providers).take(MAX_PROVIDERS) {
            let Ok(id) = row.key.as_slice().try_into().map(ProviderId) else { continue };
            if let Ok(entry) = Entry::decode(&id, &row.value) {
                self.entries.insert(id, entry);
            }
        }
    }

    /// Judges a payload of the discovery topic; `source` is the peer id of the service node that gave it.
    ///
    /// # Errors
    /// Of whatever kind: drop it silently. One that is new of a provider may still have changed what [`Self::seen`]
    /// says: `Equivocated` comes back as [`Heard::Changed`] the first time.
    pub fn accept(&mut self, payload: &[u8], source: &str, now: Millis) -> Result<Heard, Error> {
        let signed = Signed::decode(payload)?;
        match signed.kind {
            Kind::KeyBundle => self.accept_bundle(&signed, payload, source, now),
            Kind::Heartbeat => self.accept_heartbeat(signed, now),
            Kind::Revocation => self.accept_revocation(&signed, now),
            _ => Err(Error::malformed("type of an announcement")),
        }
    }

    /// What is known of a provider now.
    pub fn seen(&self, id: &ProviderId, now: Millis) -> Option<Seen> {
        let entry = self.entries.get(id)?;
        let owner = self
            .entries
            .iter()
            .filter(|(_, other)| other.handle == entry.handle)
            .min_by_key(|(id, other)| (other.handle_since, **id))
            .map(|(id, _)| *id);
        Some(view(id, entry, owner, now))
    }

    /// All that are known, in the order of their ids.
    pub fn all(&self, now: Millis) -> Vec<Seen> {
        let mut owners: Map<&str, (Millis, ProviderId)> = Map::new();
        for (id, entry) in &self.entries {
            let claim = (entry.handle_since, *id);
            let first = owners.get_or_insert_with(&entry.handle, || claim);
            *first = claim.min(*first);
        }
        let owner = |entry: &Entry| owners.get(entry.handle.as_str()).map(|(_, id)| *id);
        self.entries.iter().map(|(id, entry)| view(id, entry, owner(entry), now)).collect()
    }

    /// What a request to this provider is sealed to; none when it is not usable now.
    pub fn target(&self, id: &ProviderId, now: Millis) -> Option<Target> {
        let entry = self.entries.get(id).filter(|entry| entry.is_usable(now))?;
        Some(Target {
            provider: *id,
            prekey: entry.bundle.prekey.clone(),
            bhash: entry.bhash,
            operational: entry.cert.operational,
            op_seq: entry.cert.op_seq,
            max_request: entry.bundle.max_request,
        })
    }

    /// When a provider's state next changes by time alone: call [`Self::expired`] then.
    pub fn next_expiry(&self, now: Millis) -> Option<Millis> {
        let told = self.entries.values().filter(|entry| entry.told != (Status::Unknown, false));
        told.filter_map(|entry| entry.expiry(now)).min()
    }

    /// The providers whose state changed by time alone since they were last spoken of.
    pub fn expired(&mut self, now: Millis) -> Vec<ProviderId> {
        let mut changed = Vec::new();
        for (id, entry) in &mut self.entries {
            let state = (entry.status(now), entry.is_usable(now));
            if entry.told != state {
                entry.told = state;
                changed.push(*id);
            }
        }
        changed
    }

    /// The user has asked this provider: it is never evicted.
    pub fn mark_used(&mut self, id: &ProviderId) {
        if let Some(entry) = self.entries.get_mut(id).filter(|entry| !entry.used) {
            entry.used = true;
            self.dirty.insert(*id, ());
        }
    }

    /// The user trusts this provider though its handle was known under another key.
    pub fn trust(&mut self, id: &ProviderId) {
        if let Some(entry) = self.entries.get_mut(id).filter(|entry| !entry.trusted) {
            entry.trusted = true;
            self.dirty.insert(*id, ());
        }
    }

    /// Those that the user has to do with are in the next batch.
    pub fn store_again(&mut self) {
        self.dirty.extend(self.entries.iter().filter(|(_, entry)| entry.is_protected()).map(|(id, _)| (*id, ())));
    }

    /// The rows that changed since the last call, to persist.
    pub fn take_batch(&mut self) -> Batch {
        let dirty = core::mem::take(&mut self.dirty);
        let row = |id: ProviderId| Write {
            table: Table::Providers,
            key: id.0.into(),
            value: self.entries.get(&id).map(Entry::encode),
        };
        dirty.into_iter().map(|(id, ())| row(id)).collect()
    }

    /// Two bundles of one sequence that a provider signed, as they came: the proof of its equivocation.
    pub fn equivocation(&self, id: &ProviderId) -> Option<(&[u8], &[u8])> {
        let entry = self.entries.get(id)?;
        Some((&entry.wire, entry.second.as_ref()?))
    }

    /// Seconds that our clock is ahead of several providers' that verify except for time; none while it seems right.
    pub fn clock_offset(&self, now: Millis) -> Option<i64> {
        self.clock.offset(now)
    }

    fn accept_bundle(&mut self, signed: &Signed, wire: &[u8], source: &str, now: Millis) -> Result<Heard, Error> {
        let bundle = KeyBundle::decode(signed)?;
        let hash = bhash(&signed.body);
        let id = bundle.provider;
        if let Some(entry) = self.entries.get_mut(&id) {
            if entry.second.is_some() {
                return Err(Error::new(ErrorKind::Equivocated, "key bundle"));
            }
            if bundle.seq < entry.bundle.seq {
                return Err(Error::untimely("sequence of a key bundle"));
            }
            if hash == entry.bhash {
                if !entry.confirm(source) {
                    return Ok(Heard::Known);
                }
                self.dirty.insert(id, ());
                return Ok(Heard::Changed(id));
            }
        }
        let cert = Cert::open(&bundle.cert)?;
        if cert.provider() != id {
            return Err(Error::unauthentic("providerId"));
        }
        if let Some(entry) = self.entries.get(&id)
            && (cert.op_seq < entry.cert.op_seq || cert.op_seq < entry.min_op_seq)
        {
            return Err(Error::untimely("operational key"));
        }
        signed.verify(&cert.operational)?;
        if let Some(entry) = self.entries.get_mut(&id) {
            if bundle.seq == entry.bundle.seq {
                entry.second = Some(wire.into());
                entry.told = (entry.status(now), false);
                self.dirty.insert(id, ());
                return Ok(Heard::Changed(id));
            }
            if entry.bundle.seq.checked_add(1) == Some(bundle.seq) && bundle.prev != entry.bhash {
                return Err(Error::unauthentic("previous key bundle"));
            }
        }
        if let Err(error) = cert.verify_time(now.0 / 1_000).and_then(|()| bundle.verify_time(now.0 / 1_000)) {
            if error.kind() == ErrorKind::Untimely {
                self.clock.note_key(id, cert.operational);
            }
            return Err(error);
        }
        match self.entries.get_mut(&id) {
            Some(entry) => {
                entry.replace(wire, bundle, hash, cert);
                entry.heard = now;
            }
            None => {
                self.make_room()?;
                self.entries.insert(id, Entry::new(wire, bundle, hash, cert, now));
            }
        }
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.confirm(source);
        }
        self.dirty.insert(id, ());
        while let Some(at) = self.waiting.iter().position(|(waiting, _)| *waiting == id) {
            if let Some((_, heartbeat)) = self.waiting.remove(at) {
                // It waited unverified: a wrong one is dropped like any other.
                let _ = self.judge_heartbeat(&heartbeat, now);
            }
        }
        self.tell(&id, now);
        Ok(Heard::Changed(id))
    }

    fn accept_heartbeat(&mut self, signed: Signed, now: Millis) -> Result<Heard, Error> {
        let heard = self.judge_heartbeat(&signed, now)?;
        match heard {
            Heard::Changed(id) => self.tell(&id, now),
            Heard::UnknownBundle(id) => {
                // The newest of each provider waits.
                self.waiting.retain(|(waiting, _)| *waiting != id);
                if self.waiting.len() == MAX_WAITING {
                    self.waiting.pop_front();
                }
                self.waiting.push_back((id, signed));
            }
            Heard::Known => {}
        }
        Ok(heard)
    }

    fn judge_heartbeat(&mut self, signed: &Signed, now: Millis) -> Result<Heard, Error> {
        let heartbeat = Heartbeat::decode(signed)?;
        let id = heartbeat.provider;
        let few = self.entries.len() <= FEW;
        let Some(entry) = self.entries.get_mut(&id) else {
            if let (Some(key), Err(error)) = (self.clock.key(&id), heartbeat.verify_time(now)) {
                signed.verify(key)?;
                self.clock.note_off(id, heartbeat.ts, now);
                return Err(error);
            }
            heartbeat.verify_time(now)?;
            return Ok(Heard::UnknownBundle(id));
        };
        if entry.second.is_some() {
            return Err(Error::new(ErrorKind::Equivocated, "heartbeat"));
        }
        if entry.heartbeat.as_ref().is_some_and(|last| last.ts >= heartbeat.ts) {
            return Err(Error::untimely("sequence of a heartbeat"));
        }
        if let Err(error) = heartbeat.verify_time(now) {
            if !self.clock.is_right(now) && signed.verify(&entry.cert.operational).is_ok() {
                self.clock.note_off(id, heartbeat.ts, now);
            }
            return Err(error);
        }
        if heartbeat.bundle_seq > entry.bundle.seq {
            return Ok(Heard::UnknownBundle(id));
        }
        if heartbeat.bundle_seq < entry.bundle.seq || entry.bhash[..16] != heartbeat.bhash {
            return Err(Error::untimely("key bundle of a heartbeat"));
        }
        signed.verify(&entry.cert.operational)?;
        self.clock.note_good(&id, now);
        entry.heard = now;
        if entry.handle != heartbeat.handle {
            entry.handle.clone_from(&heartbeat.handle);
            entry.handle_since = now;
            // Trust was in the old handle's change of keys.
            entry.trusted = false;
            self.dirty.insert(id, ());
        }
        if entry.name != heartbeat.name {
            entry.name.clone_from(&heartbeat.name);
            self.dirty.insert(id, ());
        }
        entry.heartbeat = Some(heartbeat);
        entry.beat = signed.encode();
        if few || entry.is_protected() {
            self.dirty.insert(id, ());
        }
        Ok(Heard::Changed(id))
    }

    fn accept_revocation(&mut self, signed: &Signed, now: Millis) -> Result<Heard, Error> {
        let revocation = Revocation::decode(signed)?;
        let id = revocation.provider;
        let entry = self.entries.get_mut(&id).ok_or(Error::new(ErrorKind::Incomplete, "revocation"))?;
        if revocation.min_op_seq <= entry.min_op_seq {
            return Ok(Heard::Known);
        }
        signed.verify(&entry.cert.root)?;
        entry.min_op_seq = revocation.min_op_seq;
        self.dirty.insert(id, ());
        self.tell(&id, now);
        Ok(Heard::Changed(id))
    }

    fn tell(&mut self, id: &ProviderId, now: Millis) {
        if let Some(entry) = self.entries.get_mut(id) {
            entry.told = (entry.status(now), entry.is_usable(now));
        }
    }

    /// Makes room for a newcomer: the newcomer heard longest ago goes; the user's own never do.
    fn make_room(&mut self) -> Result<(), Error> {
        let newcomers = self.entries.values().filter(|entry| !entry.is_protected()).count();
        let most = MAX_NEWCOMERS.min(MAX_PROVIDERS.saturating_sub(self.entries.len() - newcomers));
        if newcomers < most {
            return Ok(());
        }
        let oldest =
            self.entries.iter().filter(|(_, entry)| !entry.is_protected()).min_by_key(|(_, entry)| entry.heard);
        let id = oldest.map(|(id, _)| *id).ok_or(Error::too_large("provider table"))?;
        self.entries.remove(&id);
        self.dirty.insert(id, ());
        Ok(())
    }
}

fn view(id: &ProviderId, entry: &Entry, owner: Option<ProviderId>, now: Millis) -> Seen {
    let heartbeat = entry.heartbeat.as_ref();
    Seen {
        id: *id,
        handle: entry.handle.clone(),
        name: entry.name.clone(),
        models: heartbeat.map_or(Vec::new(), |heartbeat| heartbeat.models.clone()),
        status: entry.status(now),
        response_ms: heartbeat.map_or(0, |heartbeat| heartbeat.response_ms),
        max_concurrent: heartbeat.map_or(0, |heartbeat| heartbeat.max_concurrent),
        queue: heartbeat.map_or(0, |heartbeat| heartbeat.queue),
        heard: entry.heard,
        peer_ids: entry.bundle.peer_ids.clone(),
        usable: entry.is_usable(now),
        key_changed_from: owner.filter(|owner| owner != id && !entry.trusted && !entry.handle.is_empty()),
        equivocated: entry.second.is_some(),
        confirmed: entry.confirmed,
    }
}

//! A client's memory of the providers it has verified, and its judgement of each new announcement (protocol section
//! 2.4): rollback, replay and equivocation are refused, handles stay with the key that had them first.

use crate::{
    announcement::heartbeat::{Model, Status},
    effect::{Batch, Millis, Row},
    envelope::prompt::Target,
    error::Error,
    identity::ProviderId,
};
use alloc::{string::String, vec::Vec};

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
}

/// The seen providers.
#[derive(Debug, Default)]
pub struct Registry {}

impl Registry {
    /// Takes the stored rows of `Table::Providers`; rows that do not decode are passed over.
    pub fn restore(&mut self, _rows: &[Row]) {}

    /// Judges a payload of the discovery topic.
    ///
    /// # Errors
    /// Of whatever kind: drop it silently. `Equivocated` is told once, with a changed [`Seen`].
    pub fn accept(&mut self, _payload: &[u8], _now: Millis) -> Result<Heard, Error> {
        Ok(Heard::Known)
    }

    /// What is known of a provider now.
    pub fn seen(&self, _id: &ProviderId, _now: Millis) -> Option<Seen> {
        None
    }

    /// All that are known, in the order of their ids.
    pub fn all(&self, _now: Millis) -> Vec<Seen> {
        Vec::new()
    }

    /// What a request to this provider is sealed to; none when it is not usable now.
    pub fn target(&self, _id: &ProviderId, _now: Millis) -> Option<Target> {
        None
    }

    /// When a provider's state next changes by time alone: call [`Self::expired`] then.
    pub fn next_expiry(&self, _now: Millis) -> Option<Millis> {
        None
    }

    /// The providers whose state changed by time alone since the last call.
    pub fn expired(&mut self, _now: Millis) -> Vec<ProviderId> {
        Vec::new()
    }

    /// The user has asked this provider: it is never evicted.
    pub fn mark_used(&mut self, _id: &ProviderId) {}

    /// The user trusts this provider though its handle was known under another key.
    pub fn trust(&mut self, _id: &ProviderId) {}

    /// Forgets all.
    pub fn forget(&mut self) {}

    /// The rows that changed since the last call, to persist.
    pub fn take_batch(&mut self) -> Batch {
        Batch::new()
    }

    /// Seconds that our clock is ahead of several providers' that verify except for time; none while it seems right.
    pub fn clock_offset(&self, _now: Millis) -> Option<i64> {
        None
    }
}

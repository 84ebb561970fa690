//! Each request once: the provider's memory of what it opened, and of what it decapsulated but could not open
//! (protocol section 5.2). In memory only: after a restart the prekeys are gone too.

use crate::{
    effect::Millis,
    envelope::prompt::{Decapsulated, Rid},
    error::Error,
    message::Body,
};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};

/// Most requests remembered: 1,000 a second for 17 minutes, at 4 minutes of need; some 80 MB when full.
pub const MAX_REQUESTS: usize = 1 << 20;

/// A request is remembered this long after its expiry, in ms.
pub const MEMORY_MS: u64 = 240_000;

/// Most contexts kept: about 2 MB.
pub const MAX_CONTEXTS: usize = 1_024;

/// A context is kept this long, in ms.
pub const CONTEXT_MS: u64 = 60_000;

/// The requests that were opened.
#[derive(Debug, Default)]
pub struct ReplayCache {
    by_rid: BTreeMap<Rid, Entry>,
    by_expiry: BTreeSet<(u64, Rid)>,
    by_iat: BTreeSet<(u64, Rid)>,
    /// Requests up to this iat may have been forgotten under load, so none of them is taken any more.
    floor_ms: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    iat_ms: u64,
    expiry_ms: u64,
}

impl ReplayCache {
    /// Whether this request was opened before.
    pub fn contains(&self, rid: &Rid) -> bool {
        self.by_rid.contains_key(rid)
    }

    /// Step 8: remembers a request that opened, and its body's time is good.
    ///
    /// # Errors
    /// `Unauthentic` when it is there already; `Untimely` when it is older than what had to be forgotten under load.
    pub fn insert(&mut self, rid: Rid, body: &Body, now: Millis) -> Result<(), Error> {
        self.insert_within(rid, body.iat_ms, body.ttl_ms, now, MAX_REQUESTS)
    }

    fn insert_within(&mut self, rid: Rid, iat_ms: u64, ttl_ms: u32, now: Millis, most: usize) -> Result<(), Error> {
        self.forget(now);
        if self.contains(&rid) {
            return Err(Error::unauthentic("replay"));
        }
        if iat_ms <= self.floor_ms {
            return Err(Error::untimely("request"));
        }
        if self.by_rid.len() >= most {
            let Some((oldest, old_rid)) = self.by_iat.first().copied() else {
                return Err(Error::untimely("request"));
            };
            if iat_ms <= oldest {
                return Err(Error::untimely("request"));
            }
            self.floor_ms = oldest;
            self.remove(&old_rid);
        }
        let expiry_ms = iat_ms.saturating_add(u64::from(ttl_ms)).saturating_add(MEMORY_MS);
        self.by_rid.insert(rid, Entry { iat_ms, expiry_ms });
        self.by_expiry.insert((expiry_ms, rid));
        self.by_iat.insert((iat_ms, rid));
        Ok(())
    }

    /// Forgets what is long expired.
    pub fn forget(&mut self, now: Millis) {
        while let Some((expiry_ms, rid)) = self.by_expiry.first().copied() {
            if expiry_ms > now.0 {
                break;
            }
            self.remove(&rid);
        }
    }

    fn remove(&mut self, rid: &Rid) {
        if let Some(entry) = self.by_rid.remove(rid) {
            self.by_expiry.remove(&(entry.expiry_ms, *rid));
            self.by_iat.remove(&(entry.iat_ms, *rid));
        }
    }
}

/// Contexts whose request did not open yet: a mangled copy that comes first costs one AEAD, and does not stop the real
/// request behind it.
#[derive(Debug, Default)]
pub struct Contexts(VecDeque<(Rid, Millis, Decapsulated)>);

impl Contexts {
    /// Takes the context out, if it is kept.
    pub fn take(&mut self, rid: &Rid, now: Millis) -> Option<Decapsulated> {
        self.forget(now);
        let index = self.0.iter().position(|(kept, ..)| kept == rid)?;
        self.0.remove(index).map(|(_, _, context)| context)
    }

    /// Keeps a context whose request did not open; the least recently used one goes when there are too many.
    pub fn keep(&mut self, rid: Rid, context: Decapsulated, now: Millis) {
        self.forget(now);
        if self.0.len() == MAX_CONTEXTS {
            self.0.pop_front();
        }
        self.0.push_back((rid, now, context));
    }

    /// Erases what is too old.
    pub fn forget(&mut self, now: Millis) {
        self.0.retain(|(_, kept, _)| now.0 < kept.0.saturating_add(CONTEXT_MS));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_opens_once_and_floods_only_cost_old_ones() {
        let mut cache = ReplayCache::default();
        let rid = |n: u8| [n; 16];
        let now = Millis(1_000_000);
        assert!(cache.insert_within(rid(1), 1_000_000, 1_000, now, 3).is_ok());
        assert!(cache.insert_within(rid(1), 1_000_000, 1_000, now, 3).is_err());
        let last = Millis(1_000_000 + 1_000 + MEMORY_MS - 1);
        assert!(cache.insert_within(rid(1), 1_000_000, 1_000, last, 3).is_err());
        cache.forget(Millis(last.0 + 1));
        assert!(!cache.contains(&rid(1)));

        for n in 2..5 {
            assert!(cache.insert_within(rid(n), 2_000_000 + u64::from(n), 1_000, now, 3).is_ok());
        }
        assert!(cache.insert_within(rid(9), 2_000_001, 1_000, now, 3).is_err(), "older than all that is kept");
        assert!(cache.insert_within(rid(5), 2_000_005, 1_000, now, 3).is_ok(), "the oldest makes way");
        assert!(cache.insert_within(rid(2), 2_000_002, 1_000, now, 3).is_err(), "and never comes back");
        assert_eq!((cache.by_rid.len(), cache.by_iat.len(), cache.by_expiry.len()), (3, 3, 3));
    }
}

//! Addresses a node wants to stay connected to, and when to try each again.

use std::time::{Duration, Instant};

use libp2p::{Multiaddr, PeerId, core::multiaddr::Protocol};

/// Addresses dialled again and again; a network's entry nodes are fewer.
const MAX_TARGETS: usize = 64;
/// The pause after a first failure; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause: a returning entry node has its peers back in about a minute.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The addresses and their pauses.
#[derive(Default)]
pub(crate) struct Redial(Vec<Target>);

struct Target {
    peer: Option<PeerId>,
    address: Multiaddr,
    pause: Duration,
    next: Option<Instant>,
    done: bool,
}

impl Redial {
    /// Adds an address, to be dialled at once; false when there are too many.
    pub(crate) fn add(&mut self, address: Multiaddr) -> bool {
        if let Some(known) = self.0.iter_mut().find(|target| target.address == address) {
            known.next = None;
            known.done = false;
            return true;
        }
        if self.0.len() >= MAX_TARGETS {
            return false;
        }
        let peer = address.iter().last().and_then(|last| match last {
            Protocol::P2p(peer) => Some(peer),
            _ => None,
        });
        self.0.push(Target { peer, address, pause: FIRST_PAUSE, next: None, done: false });
        true
    }

    /// The addresses whose time has come; their pauses grow. All addresses of one peer come together, the old ones of
    /// one that moved beside the new: a second dial to a peer under way is refused. One that names no peer is dialled
    /// once: nobody could tell whether it is connected.
    pub(crate) fn due(
        &mut self,
        now: Instant,
        connected: impl Fn(&PeerId) -> bool,
    ) -> Vec<(Option<PeerId>, Vec<Multiaddr>)> {
        let mut due: Vec<(Option<PeerId>, Vec<Multiaddr>)> = Vec::new();
        for target in &mut self.0 {
            let settled = target.done || target.peer.as_ref().is_some_and(&connected);
            if settled || target.next.is_some_and(|next| next > now) {
                continue;
            }
            target.done = target.peer.is_none();
            target.next = Some(now + target.pause);
            target.pause = (target.pause * 2).min(LONGEST_PAUSE);
            match due.iter_mut().find(|(peer, _)| peer.is_some() && *peer == target.peer) {
                Some((_, addresses)) => addresses.push(target.address.clone()),
                None => due.push((target.peer, vec![target.address.clone()])),
            }
        }
        due
    }

    /// A peer is here: when it is lost, it is dialled again soon.
    pub(crate) fn connected(&mut self, peer: &PeerId) {
        for target in &mut self.0 {
            if target.peer.as_ref() == Some(peer) {
                target.pause = FIRST_PAUSE;
            }
        }
    }
}

impl FromIterator<Multiaddr> for Redial {
    fn from_iter<I: IntoIterator<Item = Multiaddr>>(addresses: I) -> Self {
        let mut redial = Self::default();
        for address in addresses {
            redial.add(address);
        }
        redial
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_start_over_after_a_connection() {
        let peer = PeerId::random();
        let address: Multiaddr = format!("/ip4/192.0.2.1/tcp/1/p2p/{peer}").parse().unwrap();
        let mut redial: Redial = [address].into_iter().collect();
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut dials = Vec::new();
        for passed in 0..200 {
            let now = start + second * passed;
            if !redial.due(now, |_| false).is_empty() {
                dials.push(passed);
            }
        }
        assert_eq!(dials, [0, 1, 3, 7, 15, 31, 63, 123, 183]);
        assert!(redial.due(start + second * 1000, |_| true).is_empty());
        redial.connected(&peer);
        assert_eq!(redial.due(start + second * 1000, |_| false).len(), 1);
        assert_eq!(redial.due(start + second * 1001, |_| false).len(), 1);
    }

    #[test]
    fn a_peer_that_moved_is_dialled_at_all_its_addresses_at_once() {
        let peer = PeerId::random();
        let [old, new]: [Multiaddr; 2] =
            [1, 2].map(|port| format!("/ip4/192.0.2.1/tcp/{port}/p2p/{peer}").parse().unwrap());
        let mut redial: Redial = [old.clone(), new.clone()].into_iter().collect();
        assert_eq!(redial.due(Instant::now(), |_| false), [(Some(peer), vec![old, new])]);
    }

    #[test]
    fn targets_are_bounded_and_a_nameless_one_is_dialled_once() {
        let mut redial = Redial::default();
        for port in 0..MAX_TARGETS {
            let address = format!("/ip4/192.0.2.1/tcp/{port}").parse().unwrap();
            assert!(redial.add(address));
        }
        assert!(redial.add("/ip4/192.0.2.1/tcp/1".parse().unwrap()), "known");
        assert!(!redial.add("/ip4/192.0.2.1/tcp/9999".parse().unwrap()));
        let now = Instant::now();
        assert_eq!(redial.due(now, |_| false).len(), MAX_TARGETS);
        let later = now + Duration::from_secs(3600);
        assert!(redial.due(later, |_| false).is_empty());
    }
}

//! Which entry node carries what (protocol section 6.3). A node that carries a request learns the user's address and
//! which provider is asked; the provider learns the words. Only if they differ nobody learns both.

use privacyai::map::sort;

/// The order in which connected nodes are tried, as indices into `connected`.
///
/// `connected` are peer ids; `own` the provider's own nodes; `well` those that answer; `other_way` the
/// node that carries the other direction, if it is fixed already; `attempt` counts earlier tries. First come nodes that
/// are not the provider's own, among these who answers, among these nodes other than `other_way`, and each attempt begins
/// one further.
pub fn order(connected: &[&str], own: &[String], well: &[&str], other_way: Option<&str>, attempt: usize) -> Vec<usize> {
    let rank = |peer: &str| (own.iter().any(|id| id == peer), !well.contains(&peer), other_way == Some(peer));
    let mut order: Vec<usize> = (0..connected.len()).collect();
    let key = |index: usize| (connected.get(index).map(|peer| rank(peer)), index);
    sort(&mut order, &|a, b| key(*a).cmp(&key(*b)));
    if !order.is_empty() {
        let first = attempt % order.len();
        order.rotate_left(first);
    }
    order
}

/// The peer id at the end of an entry node's address, when the address is one that a browser can dial: a WebSocket
/// multiaddr with peer id.
pub fn entry_peer(address: &str) -> Option<&str> {
    const LONGEST: usize = 256;
    if address.len() > LONGEST {
        return None;
    }
    let mut parts = address.strip_prefix('/')?.split('/');
    let host_kind = parts.next()?;
    let host = parts.next()?;
    let host_ok = match host_kind {
        "ip4" => host.parse::<std::net::Ipv4Addr>().is_ok(),
        "ip6" => host.parse::<std::net::Ipv6Addr>().is_ok(),
        "dns" | "dns4" | "dns6" => {
            !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'))
        }
        _ => false,
    };
    let port_ok = parts.next()? == "tcp" && parts.next()?.parse::<u16>().is_ok_and(|port| port != 0);
    let transport_ok = match parts.next()? {
        "ws" | "wss" => true,
        "tls" => parts.next()? == "ws",
        _ => false,
    };
    let peer = (parts.next()? == "p2p").then(|| parts.next()).flatten()?;
    let peer_ok = (40..=64).contains(&peer.len()) && peer.bytes().all(|b| b.is_ascii_alphanumeric());
    (host_ok && port_ok && transport_ok && peer_ok && parts.next().is_none()).then_some(peer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_node_of_the_provider_while_another_is_there() {
        let own = ["a".to_owned()];
        let check = |connected: &[&str], other_way, attempt, want: &[usize]| {
            assert_eq!(
                order(connected, &own, connected, other_way, attempt),
                want,
                "{connected:?} {other_way:?} {attempt}"
            );
        };
        check(&[], None, 3, &[]);
        check(&["a"], None, 0, &[0]);
        check(&["a", "b"], None, 0, &[1, 0]);
        check(&["a", "b"], Some("b"), 0, &[1, 0]);
        check(&["a", "b", "c"], Some("b"), 0, &[2, 1, 0]);
        check(&["a", "b", "c"], Some("b"), 1, &[1, 0, 2]);
        check(&["a", "b", "c"], Some("b"), 2, &[0, 2, 1]);
        check(&["b", "c"], Some("c"), 4, &[0, 1]);
        assert_eq!(
            order(&["a", "b", "c"], &own, &["a", "c"], Some("c"), 0),
            [2, 1, 0],
            "who hangs comes before its own only"
        );
    }

    #[test]
    fn only_what_a_browser_can_dial() {
        let peer = "12D3KooWGzxzKZYveHXtpG6AsrUJBcWxHBFS2HsEoGTxrMLvKXtf";
        for good in ["/ip4/127.0.0.1/tcp/8000/ws", "/dns4/a.example/tcp/443/wss", "/ip6/::1/tcp/1/tls/ws"] {
            assert_eq!(entry_peer(&format!("{good}/p2p/{peer}")), Some(peer), "{good}");
        }
        for bad in [
            "/ip4/127.0.0.1/tcp/8000",
            "/ip4/999.0.0.1/tcp/8000/ws",
            "/ip4/1.2.3.4/udp/1/ws",
            "ip4",
            "",
            "/dns4//tcp/1/ws",
        ] {
            assert_eq!(entry_peer(&format!("{bad}/p2p/{peer}")), None, "{bad}");
        }
        assert_eq!(entry_peer("/ip4/127.0.0.1/tcp/8000/ws"), None);
        assert_eq!(entry_peer(&format!("/ip4/1.2.3.4/tcp/1/ws/p2p/{peer}/p2p-circuit")), None);
    }
}

//! Whom a worker reaches and who reaches it: the entry nodes it dials, and its own place in the world.

use super::{Grade, Report, Running};
use crate::config::{Config, Mode};
use futures::future::join_all;
use std::{
    net::{IpAddr, Ipv4Addr, UdpSocket},
    time::Duration,
};
use tokio::net::TcpStream;

/// How long an address may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// An address of the documentation range: to ask the system by which of its own addresses it would go out.
const OUTSIDE: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 1), 9);

/// Dials every entry node of the network once.
pub(super) async fn check_entry_nodes(report: &mut Report, config: &Config, nodes: &[String]) {
    if config.mode == Mode::Local || nodes.is_empty() {
        return;
    }
    let answered = join_all(nodes.iter().map(|node| answers(node))).await;
    let silent: Vec<&str> =
        nodes.iter().zip(&answered).filter(|(_, answered)| !**answered).map(|(node, _)| node.as_str()).collect();
    let found = format!("{} of {} answer", nodes.len() - silent.len(), nodes.len());
    match silent.len() {
        0 => report.add("entry nodes", Grade::Ok, found, ""),
        all if all == nodes.len() => report.add(
            "entry nodes",
            Grade::Fail,
            format!("none of {all} answers, so this worker meets nobody unless others dial it"),
            "is this machine online, and does its firewall let it out? If so, ask for a newer invite",
        ),
        _ => report.add("entry nodes", Grade::Note, format!("{found}; silent: {}", silent.join(", ")), ""),
    }
}

/// Whether others can dial this worker, as far as it can be told from here.
pub(super) async fn check_reachability(report: &mut Report, config: &Config, running: Running) {
    let external = &config.listen.external;
    let name = "reachability";
    if config.mode == Mode::Local {
        return report.add(name, Grade::Ok, "this machine only, as local mode means", "");
    }
    if external.is_empty() {
        let (found, fix) = match own_address().filter(|address| !is_private(address)) {
            Some(address) => (
                format!("no external address is set; this machine's own, {address}, is a public one"),
                "let a firewall pass tcp_port and ws_port; browsers need external = [\"/dns4/HOST/tcp/443/wss\"]",
            ),
            None => (
                "this machine has no public address, so it cannot be reached from outside unless a router forwards to \
                 it: the worker works through the nodes it dials, and users need an invite of one of those"
                    .to_owned(),
                "nothing, or forward a port and set external = [\"/dns4/HOST/tcp/443/wss\"] in [worker]",
            ),
        };
        return report.add(name, Grade::Note, found, fix);
    }
    let announced = external.join(", ");
    if running == Running::No {
        return report.add(name, Grade::Ok, format!("announced as {announced}; run doctor again while it runs"), "");
    }
    let answered = join_all(external.iter().map(|address| answers(address))).await;
    if answered.into_iter().all(|answered| answered) {
        return report.add(name, Grade::Ok, format!("announced as {announced}, which answers from here"), "");
    }
    report.add(
        name,
        Grade::Note,
        format!(
            "announced as {announced}, of which not all answer from here. Where none answers from outside either, the \
             worker works through the nodes it dials"
        ),
        "try the address from another network; where it is silent, forward its port to this machine or correct external",
    );
}

/// Whether something listens at this multiaddr.
async fn answers(multiaddr: &str) -> bool {
    let Some((host, port)) = host_and_port(multiaddr) else { return false };
    matches!(tokio::time::timeout(PATIENCE, TcpStream::connect((host, port))).await, Ok(Ok(_)))
}

fn host_and_port(multiaddr: &str) -> Option<(&str, u16)> {
    let mut parts = multiaddr.strip_prefix('/')?.split('/');
    let (kind, host, transport, port) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let known = matches!(kind, "ip4" | "ip6" | "dns" | "dns4" | "dns6") && transport == "tcp";
    port.parse().ok().filter(|_| known).map(|port| (host, port))
}

/// By which address this machine goes out. A UDP socket that is connected has sent nothing.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(OUTSIDE).ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

fn is_private(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            // 100.64.0.0/10 is what providers share among their customers (RFC 6598).
            let shared = matches!(v4.octets(), [100, 64..=127, _, _]);
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified() || shared
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_unspecified(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_of_multiaddrs() {
        let check = |text: &str, expected| assert_eq!(host_and_port(text), expected, "{text}");
        check("/ip4/10.0.0.1/tcp/26400/p2p/12D3", Some(("10.0.0.1", 26_400)));
        check("/dns4/node.example.org/tcp/443/wss/p2p/12D3", Some(("node.example.org", 443)));
        check("/ip6/::1/tcp/1", Some(("::1", 1)));
        check("/ip4/10.0.0.1/udp/1/quic-v1", None);
        check("/ip4/10.0.0.1/tcp/70000", None);
        check("/p2p/12D3", None);
        check("", None);
    }

    #[test]
    fn addresses_that_the_world_does_not_reach() {
        for (address, private) in [
            ("192.168.1.4", true),
            ("100.64.0.1", true),
            ("100.128.0.1", false),
            ("9.9.9.9", false),
            ("fd00::1", true),
            ("fe80::1", true),
            ("2620:fe::fe", false),
        ] {
            assert_eq!(is_private(&address.parse().unwrap()), private, "{address}");
        }
    }
}

//! Starting the Waku node on the ports that are set: a taken default port gives way to the next free one, a taken
//! configured port is an error.

use crate::config::Port;
use privacyai_waku::{Error, ErrorKind, Node, NodeConfig};
use std::fmt;

/// Ports tried after a taken default one.
const TRIES: u16 = 64;

/// A node that runs, and what the operator should know about its ports.
pub struct Started {
    /// The node.
    pub node: Node,
    /// One line for each port that moved.
    pub moved: Vec<String>,
}

/// Starts a node; `tcp` and `ws` replace the ports of `config`.
///
/// # Errors
/// [`StartError::PortTaken`] names a configured port that another program has.
pub async fn start_node(mut config: NodeConfig, tcp: Port, ws: Port) -> Result<Started, StartError> {
    config.tcp_port = first(tcp);
    config.ws_port = first(ws);
    loop {
        let error = match Node::start(config.clone()).await {
            Ok(node) => {
                let moved = [("tcp_port", tcp, config.tcp_port), ("ws_port", ws, config.ws_port)]
                    .into_iter()
                    .filter(|(_, wanted, got)| matches!(wanted, Port::From(default) if default != got))
                    .map(|(field, wanted, got)| {
                        format!("port {} is taken, so {field} moved to {got}; set it to pin one", first(wanted))
                    })
                    .collect();
                return Ok(Started { node, moved });
            }
            Err(error) => error,
        };
        let ErrorKind::PortInUse(taken) = *error.kind() else { return Err(StartError::Node(error)) };
        let (field, wanted, port) = if taken == config.ws_port && taken != config.tcp_port {
            ("ws_port", ws, &mut config.ws_port)
        } else {
            ("tcp_port", tcp, &mut config.tcp_port)
        };
        match (wanted, port.checked_add(1)) {
            (Port::From(default), Some(next)) if next - default <= TRIES => *port = next,
            _ => return Err(StartError::PortTaken(field, taken)),
        }
        // Two transports cannot share one: the WebSocket one gives way.
        if config.ws_port == config.tcp_port && config.ws_port != 0 {
            config.ws_port = config.ws_port.saturating_add(1);
        }
    }
}

fn first(port: Port) -> u16 {
    match port {
        Port::Free => 0,
        Port::From(port) | Port::Exactly(port) => port,
    }
}

/// Why no node runs.
#[derive(Debug)]
pub enum StartError {
    /// Another program has this port; the field that sets it comes first.
    PortTaken(&'static str, u16),
    /// Anything else.
    Node(Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PortTaken(field, port) => write!(
                f,
                "port {port} is in use by another program\n  to fix: stop that program, or set {field} in [worker] to a \
                 free port, or to 0 for any"
            ),
            Self::Node(error) => write!(f, "the Waku node does not start: {error}"),
        }
    }
}

impl std::error::Error for StartError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::PortTaken(..) => None,
            Self::Node(error) => Some(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn config() -> NodeConfig {
        NodeConfig::new(1747, 8)
    }

    #[tokio::test]
    async fn a_taken_default_port_moves_and_a_taken_configured_one_is_named() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();

        let started = start_node(config(), Port::From(port), Port::Free).await.unwrap();
        let [moved] = &started.moved[..] else { panic!("{:?}", started.moved) };
        assert!(moved.contains(&format!("port {port} is taken, so tcp_port moved to ")), "{moved}");
        assert!(!started.node.addresses().iter().any(|address| address.contains(&format!("/tcp/{port}/"))));
        started.node.shutdown().await;

        let started = start_node(config(), Port::Free, Port::From(port)).await.unwrap();
        assert!(started.moved[0].contains("ws_port moved"), "{:?}", started.moved);
        started.node.shutdown().await;

        for (tcp, ws, field) in
            [(Port::Exactly(port), Port::Free, "tcp_port"), (Port::Free, Port::Exactly(port), "ws_port")]
        {
            let error = start_node(config(), tcp, ws).await.err().unwrap().to_string();
            assert!(error.contains(&format!("port {port} is in use")) && error.contains(field), "{error}");
        }
    }
}

//! Which network this worker is in, and the invite to it.

use crate::{
    config::{Config, ConfigError, Mode},
    local::{self, Entry},
};
use privacyai::network::{INVITE_PREFIX, MAX_FILE, Network};
use std::{error::Error, io::Read as _, path::Path};

/// Entry nodes of one invite; a client dials three at once, and the link must stay short enough to paste.
const MAX_ENTRY_NODES: usize = 8;

/// The network of the configuration: its file or invite, else the shipped file.
///
/// # Errors
/// Names what is wrong with the file or the invite.
pub fn load(config: &Config) -> Result<Network, ConfigError> {
    let Some(text) = &config.network else {
        return Network::shipped().map_err(|error| {
            ConfigError::command_line(format!("the shipped network file: {error}"), "install this program anew")
        });
    };
    if text.starts_with(INVITE_PREFIX) {
        return Network::parse(text).map_err(|error| {
            ConfigError::command_line(format!("the invite is not usable: {error}"), "paste it again")
        });
    }
    let fix = "name a network file or paste an invite (pam1:...)";
    let json = read(Path::new(text))
        .map_err(|error| ConfigError::command_line(format!("network file {text}: {error}"), fix))?;
    Network::parse(&json).map_err(|error| ConfigError::command_line(format!("network file {text}: {error}"), fix))
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut json = String::new();
    // One byte over the limit is enough for the parser to refuse it.
    std::fs::File::open(path)?.take(MAX_FILE as u64 + 1).read_to_string(&mut json)?;
    Ok(json)
}

/// The invite to the network of these running workers, the first of which leads: its network file with the addresses
/// that a browser dials.
///
/// # Errors
/// When a worker's network file does not parse, which only another version can cause.
pub fn invite(workers: &[Entry]) -> Result<String, Box<dyn Error>> {
    let first = workers.first().ok_or("no worker runs on this machine\n  to fix: start one with `worker run`")?;
    let mut network = Network::parse(&first.network)?;
    let known = std::mem::take(&mut network.entry_nodes);
    let own = workers.iter().filter(|worker| worker.is_of_same_network(first)).flat_map(dialable);
    for address in own.chain(known) {
        if network.entry_nodes.len() < MAX_ENTRY_NODES && !network.entry_nodes.contains(&address) {
            network.entry_nodes.push(address);
        }
    }
    while network.to_json().is_err() && network.entry_nodes.pop().is_some() {}
    Ok(network.to_invite()?)
}

/// The invite to the workers that run on this machine. `preferred` is the PROVIDER_ID that leads, where it runs.
///
/// # Errors
/// When none runs.
pub fn invite_of_running(base: &Path, preferred: Option<&str>) -> Result<String, Box<dyn Error>> {
    let mut workers = local::running(base);
    workers.sort_by_key(|worker| preferred != Some(worker.handle.as_str()));
    if let (Some(wanted), Some(first)) = (preferred, workers.first())
        && first.handle != wanted
    {
        return Err(format!("no worker with PROVIDER_ID={wanted} runs\n  to fix: start it with `worker run`").into());
    }
    invite(&workers)
}

/// The addresses of a worker that a browser dials: those that others reach, when there are some.
fn dialable(worker: &Entry) -> Vec<String> {
    let all: Vec<&str> = worker.websocket_addresses().collect();
    let is_remote = |address: &&&str| !address.starts_with("/ip4/127.") && !address.starts_with("/ip6/::1/");
    let remote: Vec<&&str> = all.iter().filter(is_remote).collect();
    if worker.mode == Mode::Local.as_str() || remote.is_empty() {
        all.into_iter().map(str::to_owned).collect()
    } else {
        remote.into_iter().map(|address| (*address).to_owned()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(handle: &str, mode: &str, addresses: &[&str]) -> Entry {
        Entry {
            handle: handle.to_owned(),
            provider_id: None,
            peer_id: "12D3".to_owned(),
            pid: 1,
            mode: mode.to_owned(),
            cluster: Network::shipped().unwrap().cluster,
            shards: Network::shipped().unwrap().shards,
            addresses: addresses.iter().map(|address| (*address).to_owned()).collect(),
            dashboard: None,
            network: Network::shipped().unwrap().to_json().unwrap(),
        }
    }

    fn check(workers: &[Entry], nodes: &[&str]) {
        let invite = invite(workers).unwrap();
        assert!(invite.starts_with(INVITE_PREFIX) && invite.len() < 6 * 1024, "{invite}");
        let network = Network::parse(&invite).unwrap();
        assert_eq!(network.entry_nodes, nodes, "{workers:?}");
        assert_eq!(network.cluster, Network::shipped().unwrap().cluster);
    }

    #[test]
    fn an_invite_names_what_a_browser_can_dial() {
        let a = entry("a", "local", &["/ip4/127.0.0.1/tcp/1/p2p/A", "/ip4/127.0.0.1/tcp/2/ws/p2p/A"]);
        let b = entry("b", "local", &["/ip4/127.0.0.1/tcp/3/p2p/B", "/ip4/127.0.0.1/tcp/4/ws/p2p/B"]);
        check(&[a.clone(), b.clone()], &["/ip4/127.0.0.1/tcp/2/ws/p2p/A", "/ip4/127.0.0.1/tcp/4/ws/p2p/B"]);
        let world = entry("w", "network", &["/dns4/w.example.org/tcp/443/wss/p2p/W", "/ip4/127.0.0.1/tcp/5/ws/p2p/W"]);
        check(std::slice::from_ref(&world), &["/dns4/w.example.org/tcp/443/wss/p2p/W"]);
        check(&[b, world], &["/ip4/127.0.0.1/tcp/4/ws/p2p/B"]);
        let long = format!("/dns4/{}/tcp/1/ws/p2p/A", "x".repeat(200));
        let many: Vec<Entry> = (0..40).map(|n| entry(&format!("n{n}"), "local", &[&format!("{long}{n}")])).collect();
        assert_eq!(Network::parse(&invite(&many).unwrap()).unwrap().entry_nodes.len(), MAX_ENTRY_NODES);
        assert!(invite(&[]).unwrap_err().to_string().contains("no worker runs"));
    }
}

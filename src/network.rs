//! The network file: which network a worker or an extension belongs to, in one JSON of at most 4 KiB, and the invite
//! that carries it as text. The shipped one names no entry node: nothing of a running network is baked into a build.

use crate::{
    base,
    error::{Error, ErrorKind},
    topic::SHARDS,
};
use alloc::{
    collections::BTreeMap,
    format,
    string::{String, ToString},
    vec::Vec,
};
use serde::Serialize;
use serde_json::Value;

/// Largest network file, in bytes of JSON.
pub const MAX_FILE: usize = 4 * 1024;

/// What an invite begins with.
pub const INVITE_PREFIX: &str = "pam1:";

/// The network file of this repository.
pub const SHIPPED: &str = include_str!("../assets/network.json");

/// Most entry nodes: a client dials at most three at once.
const MAX_ENTRY_NODES: usize = 32;

/// Most contracts.
const MAX_CONTRACTS: usize = 16;

/// Cluster ids below this one belong to Waku's own networks.
const FIRST_CLUSTER: u64 = 16;

/// A network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Network {
    /// Waku's cluster id, 16 to 65,535.
    pub cluster: u16,
    /// Static shards, [`SHARDS`] in this version.
    pub shards: u16,
    /// Free requests a day and user.
    pub free_daily: u32,
    /// Multiaddresses to begin with, each with its `/p2p/` part; may be none.
    pub entry_nodes: Vec<String>,
    /// The chain's id, none for a network without money.
    pub chain: Option<u64>,
    /// Contract addresses (`0x` and 40 hex digits) by name.
    pub contracts: BTreeMap<String, String>,
}

impl Network {
    /// Parses a network file or an invite, whichever it is.
    ///
    /// # Errors
    /// `Invalid`, with the field at fault and what it must be.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        if text.starts_with(INVITE_PREFIX) { Self::parse_invite(text) } else { Self::parse_json(text) }
    }

    /// Parses a network file. Unknown fields are ignored.
    ///
    /// # Errors
    /// `Invalid`, with the field at fault and what it must be.
    pub fn parse_json(text: &str) -> Result<Self, Error> {
        if text.len() > MAX_FILE {
            return Err(invalid("network file: over 4,096 bytes"));
        }
        let value: Value = serde_json::from_str(text).map_err(|_| invalid("network file: not JSON"))?;
        let Value::Object(fields) = value else { return Err(invalid("network file: not a JSON object")) };
        Ok(Self {
            cluster: match fields.get("cluster").and_then(Value::as_u64) {
                Some(id) if id >= FIRST_CLUSTER => {
                    id.try_into().map_err(|_| invalid("cluster: must be a number from 16 to 65535"))?
                }
                _ => return Err(invalid("cluster: must be a number from 16 to 65535")),
            },
            shards: match fields.get("shards").and_then(Value::as_u64) {
                Some(shards) if shards == u64::from(SHARDS) => SHARDS,
                _ => return Err(invalid("shards: must be 8")),
            },
            free_daily: match fields.get("free_daily") {
                None => 0,
                Some(free) => free
                    .as_u64()
                    .and_then(|free| free.try_into().ok())
                    .ok_or(invalid("free_daily: must be a whole number, 0 or more"))?,
            },
            entry_nodes: match fields.get("entry_nodes") {
                None => Vec::new(),
                Some(Value::Array(nodes)) if nodes.len() <= MAX_ENTRY_NODES => {
                    nodes.iter().map(entry_node).collect::<Result<_, _>>()?
                }
                Some(_) => return Err(invalid("entry_nodes: must be a list of at most 32 multiaddresses")),
            },
            chain: match fields.get("chain") {
                None | Some(Value::Null) => None,
                Some(chain) => Some(chain.as_u64().ok_or(invalid("chain: must be a chain id or null"))?),
            },
            contracts: match fields.get("contracts") {
                None => BTreeMap::new(),
                Some(Value::Object(contracts)) if contracts.len() <= MAX_CONTRACTS => contracts
                    .iter()
                    .map(|(name, address)| Ok((name.clone(), contract(address)?)))
                    .collect::<Result<_, Error>>()?,
                Some(_) => return Err(invalid("contracts: must be an object of at most 16 addresses")),
            },
        })
    }

    /// Parses an invite.
    ///
    /// # Errors
    /// `Invalid`, with what is wrong.
    pub fn parse_invite(text: &str) -> Result<Self, Error> {
        let code = text.trim().strip_prefix(INVITE_PREFIX).ok_or(invalid("invite: must begin with pam1:"))?;
        if code.len() > MAX_FILE * 4 / 3 + 2 {
            return Err(invalid("invite: too long"));
        }
        let json = base::decode(base::BASE64URL, code).ok_or(invalid("invite: damaged or cut short"))?;
        Self::parse_json(core::str::from_utf8(&json).map_err(|_| invalid("invite: damaged or cut short"))?)
    }

    /// The network that the shipped file names.
    ///
    /// # Errors
    /// None with the file of this repository, as a test holds.
    pub fn shipped() -> Result<Self, Error> {
        Self::parse_json(SHIPPED)
    }

    /// The network file, in one line.
    ///
    /// # Errors
    /// `TooLarge` when it has more than fits an invite.
    pub fn to_json(&self) -> Result<String, Error> {
        let json = serde_json::to_string(self).map_err(|_| invalid("network file"))?;
        if json.len() > MAX_FILE { Err(Error::too_large("network file: over 4,096 bytes")) } else { Ok(json) }
    }

    /// The invite to this network.
    ///
    /// # Errors
    /// As [`Self::to_json`].
    pub fn to_invite(&self) -> Result<String, Error> {
        Ok(format!("{INVITE_PREFIX}{}", base::encode(base::BASE64URL, self.to_json()?.as_bytes())))
    }

    /// What joining `other` would change, a sentence each; nothing when they are the same.
    pub fn changes(&self, other: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        let mut number = |name: &str, ours: String, theirs: String| {
            if ours != theirs {
                changes.push(format!("{name}: {ours} becomes {theirs}"));
            }
        };
        let chain = |network: &Self| network.chain.map_or("none".into(), |id| id.to_string());
        number("Cluster", self.cluster.to_string(), other.cluster.to_string());
        number("Shards", self.shards.to_string(), other.shards.to_string());
        number("Free requests a day", self.free_daily.to_string(), other.free_daily.to_string());
        number("Chain", chain(self), chain(other));
        let names = self.contracts.keys().chain(other.contracts.keys().filter(|k| !self.contracts.contains_key(*k)));
        for name in names {
            let address = |network: &Self| network.contracts.get(name).map_or("none".into(), String::clone);
            number(&format!("Contract {name}"), address(self), address(other));
        }
        for (word, here, there) in [("new", other, self), ("dropped", self, other)] {
            for node in here.entry_nodes.iter().filter(|node| !there.entry_nodes.contains(node)) {
                changes.push(format!("Entry node {word}: {node}"));
            }
        }
        changes
    }
}

const fn invalid(what: &'static str) -> Error {
    Error::new(ErrorKind::Invalid, what)
}

fn entry_node(value: &Value) -> Result<String, Error> {
    match value {
        Value::String(node)
            if node.len() <= 256
                && node.starts_with('/')
                && node.contains("/p2p/")
                && node.bytes().all(|b| b.is_ascii_graphic()) =>
        {
            Ok(node.clone())
        }
        _ => Err(invalid("entry_nodes: each must be a multiaddress with a /p2p/ part")),
    }
}

fn contract(value: &Value) -> Result<String, Error> {
    match value.as_str().and_then(|address| address.strip_prefix("0x")) {
        Some(hex) if hex.len() == 40 && hex.bytes().all(|b| b.is_ascii_hexdigit()) => Ok(format!("0x{hex}")),
        _ => Err(invalid("contracts: each must be 0x and 40 hex digits")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: &str = "/ip4/127.0.0.1/tcp/4001/ws/p2p/16Uiu2HAmPk";

    #[test]
    fn the_shipped_file_names_no_node() {
        let shipped = Network::shipped().unwrap();
        assert_eq!((shipped.cluster, shipped.shards, shipped.free_daily), (1747, 8, 3));
        assert!(shipped.entry_nodes.is_empty() && shipped.contracts.is_empty() && shipped.chain.is_none());
    }

    #[test]
    fn invites_carry_a_network_and_tell_what_changes() {
        let shipped = Network::shipped().unwrap();
        let mut other = shipped.clone();
        other.entry_nodes.push(NODE.into());
        other.cluster = 2000;
        other.contracts.insert("registry".into(), format!("0x{}", "ab".repeat(20)));
        let invite = other.to_invite().unwrap();
        assert_eq!(Network::parse(&format!(" {invite}\n")), Ok(other.clone()));
        assert_eq!(shipped.changes(&shipped), Vec::<String>::new());
        let changes = shipped.changes(&other);
        assert_eq!(changes.len(), 3, "{changes:?}");
        assert_eq!(changes[0], "Cluster: 1747 becomes 2000");
        assert!(Network::parse_invite(&invite[..invite.len() - 3]).is_err());
    }

    #[test]
    fn errors_name_the_field() {
        let check = |json: &str, field: &str| {
            let error = Network::parse_json(json).unwrap_err();
            assert!(error.what().starts_with(field), "{json}: {error}");
        };
        check("", "network file");
        check("[]", "network file");
        check(&" ".repeat(5_000), "network file");
        check("{}", "cluster");
        check(r#"{"cluster":1,"shards":8}"#, "cluster");
        check(r#"{"cluster":70000,"shards":8}"#, "cluster");
        check(r#"{"cluster":20}"#, "shards");
        check(r#"{"cluster":20,"shards":9}"#, "shards");
        check(r#"{"cluster":20,"shards":8,"free_daily":-1}"#, "free_daily");
        check(r#"{"cluster":20,"shards":8,"entry_nodes":"x"}"#, "entry_nodes");
        check(r#"{"cluster":20,"shards":8,"entry_nodes":["/ip4/1.2.3.4"]}"#, "entry_nodes");
        check(r#"{"cluster":20,"shards":8,"chain":"1"}"#, "chain");
        check(r#"{"cluster":20,"shards":8,"contracts":{"a":"0x1"}}"#, "contracts");
        let ok = Network::parse_json(r#"{"cluster":20,"shards":8,"later":[1]}"#).unwrap();
        assert_eq!((ok.free_daily, ok.entry_nodes.len()), (0, 0));
    }
}

//! Workers of one machine find each other: each leaves its addresses in `local/<PROVIDER_ID>.json` beside the state
//! folders while it runs. A file whose worker is gone is skipped: a running one holds the lock of its state folder.

use crate::state::{create_private_dir, is_in_use, write_private};
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// The folder's name beside the state folders.
const FOLDER: &str = "local";
/// Workers of one machine that are looked at; more are not expected on one.
const MAX_ENTRIES: usize = 64;
/// A file is a few addresses.
const MAX_FILE_BYTES: u64 = 16 * 1024;

/// What a running worker tells others of its machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// PROVIDER_ID
    pub handle: String,
    /// The provider's id as text; none for a node without a model.
    pub provider_id: Option<String>,
    /// Its node's libp2p peer id.
    pub peer_id: String,
    /// Its process.
    pub pid: u32,
    /// `local` or `network`: a worker of the one never joins the other.
    pub mode: String,
    /// Cluster of the network it is in.
    pub cluster: u16,
    /// Shards of that network.
    pub shards: u16,
    /// Multiaddrs with `/p2p/`.
    pub addresses: Vec<String>,
    /// Where its dashboard listens; none for a node without a model.
    #[serde(default)]
    pub dashboard: Option<SocketAddr>,
    /// The network file it runs by, as JSON.
    pub network: String,
}

impl Entry {
    /// Addresses that a browser dials.
    pub fn websocket_addresses(&self) -> impl Iterator<Item = &str> {
        self.addresses.iter().map(String::as_str).filter(|address| is_websocket(address))
    }

    /// Whether both are to be connected.
    pub fn is_of_same_network(&self, other: &Self) -> bool {
        (&self.mode, self.cluster, self.shards) == (&other.mode, other.cluster, other.shards)
    }
}

/// Whether a multiaddr is one of the WebSocket transport.
pub fn is_websocket(address: &str) -> bool {
    address.split('/').any(|part| part == "ws" || part == "wss")
}

/// An entry on disk, removed when dropped.
#[derive(Debug)]
pub struct Listing(PathBuf);

impl Listing {
    /// Writes the entry; a reader sees the whole of it or the one before.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write(base: &Path, entry: &Entry) -> io::Result<Self> {
        let folder = base.join(FOLDER);
        create_private_dir(&folder)?;
        let path = folder.join(format!("{}.json", entry.handle));
        let json = serde_json::to_vec_pretty(entry)?;
        write_private(&path, &json)?;
        Ok(Self(path))
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// The entries of running workers, in the order of their names. What is no entry or whose worker is gone is skipped.
pub fn running(base: &Path) -> Vec<Entry> {
    let Ok(folder) = fs::read_dir(base.join(FOLDER)) else { return Vec::new() };
    let mut entries: Vec<Entry> = folder
        .take(MAX_ENTRIES)
        .filter_map(Result::ok)
        .filter_map(|file| {
            let name = file.file_name();
            let handle = name.to_str()?.strip_suffix(".json")?;
            let entry = read(&file.path())?;
            (entry.handle == handle && is_in_use(base, handle)).then_some(entry)
        })
        .collect();
    entries.sort_by(|a, b| a.handle.cmp(&b.handle));
    entries
}

fn read(path: &Path) -> Option<Entry> {
    use io::Read as _;
    let mut json = Vec::new();
    fs::File::open(path).ok()?.take(MAX_FILE_BYTES).read_to_end(&mut json).ok()?;
    serde_json::from_slice(&json).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{scratch::Scratch, state::StateFolder};

    fn entry(handle: &str) -> Entry {
        Entry {
            handle: handle.to_owned(),
            provider_id: None,
            peer_id: "12D3".to_owned(),
            pid: 1,
            mode: "local".to_owned(),
            cluster: 66,
            shards: 8,
            addresses: vec!["/ip4/127.0.0.1/tcp/1/p2p/12D3".into(), "/ip4/127.0.0.1/tcp/2/ws/p2p/12D3".into()],
            dashboard: Some(([127, 0, 0, 1], 9464).into()),
            network: "{}".to_owned(),
        }
    }

    #[test]
    fn running_workers_see_each_other_and_no_stale_ones() {
        let scratch = Scratch::new();
        assert_eq!(running(scratch.path()), []);

        let _a = StateFolder::open(scratch.path(), "a").unwrap();
        let b = StateFolder::open(scratch.path(), "b").unwrap();
        let listed = Listing::write(scratch.path(), &entry("a")).unwrap();
        let _left = Listing::write(scratch.path(), &entry("b")).unwrap();
        assert_eq!(running(scratch.path()), [entry("a"), entry("b")]);

        drop(b);
        assert_eq!(running(scratch.path()), [entry("a")], "b was killed and left its file");

        fs::write(scratch.path().join(FOLDER).join("c.json"), "not json").unwrap();
        fs::copy(scratch.path().join(FOLDER).join("a.json"), scratch.path().join(FOLDER).join("d.json")).unwrap();
        assert_eq!(running(scratch.path()), [entry("a")], "junk and a file under another's name");

        drop(listed);
        assert_eq!(running(scratch.path()), []);
    }

    #[test]
    fn a_browser_is_given_websockets_only() {
        assert_eq!(entry("a").websocket_addresses().collect::<Vec<_>>(), ["/ip4/127.0.0.1/tcp/2/ws/p2p/12D3"]);
    }
}

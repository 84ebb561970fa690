//! `worker run` and `worker node`: from the configuration to a serving process, and back to nothing.

use crate::{
    config::{Config, Environment, Flags, Mode},
    dashboard::Dashboard,
    discovery,
    fleet::{self, Fleet},
    local::{self, Listing},
    network,
    ports::{self, Started},
    serve::{self, Edge, End},
    state::{self, StateError, StateFolder},
    status::Facts,
    storage::SqliteStorage,
    tally::Tally,
};
use getrandom::SysRng;
use privacyai::{
    identity::RootKey,
    network::Network,
    provider::{Admission, Config as ProviderConfig, Offer, Open, Provider},
};
use privacyai_waku::{Node, NodeConfig};
use rand_core::{Rng as _, UnwrapErr};
use serde::Serialize;
use std::{
    error::Error,
    io::{self, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tokio::{
    runtime,
    sync::{mpsc, oneshot, watch},
};
use zeroize::Zeroizing;

/// Threads of everything but the Waku node and the inference runtime: the loop, and what it waits for.
const EDGE_THREADS: usize = 2;
/// Threads that talk to backends; the embedded engine has one of its own.
const INFERENCE_THREADS: usize = 1;
/// How long the node may take to close its connections and its store.
const CLOSING: Duration = Duration::from_secs(5);

/// What stays the same over the life of a serving process.
pub struct Setting {
    /// As checked.
    pub config: Config,
    /// To read the configuration anew.
    pub flags: Flags,
    /// Likewise.
    pub environment: Environment,
    /// The folder of all state folders.
    pub base: PathBuf,
    /// `--ready-file`
    pub ready_file: Option<PathBuf>,
}

/// What others need to know of a serving worker, as `--ready-file` holds it.
#[derive(Clone, Debug, Serialize)]
pub struct Ready {
    /// PROVIDER_ID
    pub handle: String,
    /// The provider's id, none for an entry node.
    pub provider_id: Option<String>,
    /// The node's libp2p peer id.
    pub peer_id: String,
    /// Multiaddrs with `/p2p/`.
    pub addresses: Vec<String>,
    /// The link that users paste.
    pub invite: String,
}

/// Offers the configured models until stopped.
///
/// # Errors
/// What keeps the worker from serving, with what to do about it.
pub fn run(setting: &Setting) -> Result<End, Box<dyn Error>> {
    let network = network::load(&setting.config)?;
    let folder = StateFolder::open(&setting.base, &setting.config.provider_id)?;
    let root = root_key(&folder)?;
    // Inference has threads of its own, so that a busy model never delays a frame.
    let inference = runtime::Builder::new_multi_thread()
        .worker_threads(INFERENCE_THREADS)
        .thread_name("backends")
        .enable_all()
        .build()?;
    let fleet = inference.block_on(Fleet::start(&setting.config))?;
    let edge = edge_runtime()?;
    let end = edge.block_on(run_edge(setting, &folder, &network, root, fleet, inference.handle().clone()));
    edge.shutdown_timeout(CLOSING);
    // Backends may hang; the operator does not wait for them.
    inference.shutdown_background();
    end
}

/// Runs an entry node without a model until stopped.
///
/// # Errors
/// What keeps it from serving, with what to do about it.
pub fn node(setting: &Setting) -> Result<End, Box<dyn Error>> {
    let network = network::load(&setting.config)?;
    let folder = StateFolder::open(&setting.base, &setting.config.provider_id)?;
    let edge = edge_runtime()?;
    let end = edge.block_on(async {
        let mut stop = stop_signals()?;
        let place = Place::open(setting, &folder, &network, Who::default()).await?;
        place.tell_ready(setting, None)?;
        let _ = stop.changed().await;
        tracing::info!("stopping");
        place.close().await;
        Ok(End::Drained)
    });
    edge.shutdown_timeout(CLOSING);
    end
}

fn edge_runtime() -> std::io::Result<runtime::Runtime> {
    runtime::Builder::new_multi_thread().worker_threads(EDGE_THREADS).thread_name("edge").enable_all().build()
}

/// The provider's root key, made at the first start.
///
/// # Errors
/// When the state folder refuses, or holds something that is no key.
pub fn root_key(folder: &StateFolder) -> Result<RootKey, Box<dyn Error>> {
    let secret = folder.secret(ROOT_KEY, || RootKey::generate(&mut UnwrapErr(SysRng)).to_bytes())?;
    RootKey::from_bytes(&secret).map_err(|_| state::StateError::Damaged(folder.path().join(ROOT_KEY)).into())
}

/// The root key of a worker that may be running: it is only read. None where there is none yet.
///
/// # Errors
/// When others can read the file, or it is no key.
pub fn existing_root_key(base: &Path, provider_id: &str) -> Result<Option<RootKey>, StateError> {
    let path = base.join(provider_id).join(ROOT_KEY);
    if !path.exists() {
        return Ok(None);
    }
    RootKey::from_bytes(&*state::read_secret(&path)?).map(Some).map_err(|_| StateError::Damaged(path))
}

/// The root key's name in the state folder.
const ROOT_KEY: &str = "root.key";
/// The node identity's name in the state folder.
const NODE_KEY: &str = "node.key";

async fn run_edge(
    setting: &Setting,
    folder: &StateFolder,
    network: &Network,
    root: RootKey,
    fleet: Fleet,
    inference: runtime::Handle,
) -> Result<End, Box<dyn Error>> {
    let stop = stop_signals()?;
    let storage = SqliteStorage::open(&folder.path().join(state::DATABASE)).await?;
    let provider_id = root.provider_id();
    let dashboard = Dashboard::open(setting.config.metrics, folder).await?;
    let who = Who { provider_id: Some(provider_id.to_string()), dashboard: Some(dashboard.address()) };
    let place = Place::open(setting, folder, network, who).await?;
    let machine = Provider::new(
        ProviderConfig {
            handle: setting.config.provider_id.clone(),
            name: setting.config.provider_name.clone(),
            offers: fleet.offers.clone(),
            peer_ids: vec![place.node.peer_id()],
        },
        root,
    )
    .with_admission(Admission::new(setting.config.requests_per_minute, Open));
    let (ready, is_ready) = oneshot::channel();
    let reloaded = reloads(setting, &fleet)?;
    let tally = Arc::new(Tally::new(fleet.scheduler.metrics()));
    let page = dashboard.url();
    let showing = dashboard.serve(Facts {
        handle: setting.config.provider_id.clone(),
        name: setting.config.provider_name.clone(),
        provider_id,
        mode: setting.config.mode,
        tally: tally.clone(),
        scheduler: fleet.scheduler.clone(),
        node: Arc::downgrade(&place.node),
    });
    let edge = Edge {
        node: place.node.clone(),
        storage,
        scheduler: fleet.scheduler,
        runtime: inference,
        inference: fleet.inference,
        tally,
        joined: place.joined.clone(),
        reloaded,
        offers: fleet.offers,
        stop,
        ready,
    };
    let serving = serve::serve(machine, edge);
    let telling = async {
        match is_ready.await {
            Ok(()) => place.tell_ready(setting, Some(&page)),
            // Serving ended before it began; its own error says why.
            Err(_) => Ok(()),
        }
    };
    let (end, told) = tokio::join!(serving, telling);
    showing.abort();
    place.close().await;
    told?;
    Ok(end?)
}

/// What a worker has and an entry node has not.
#[derive(Default)]
struct Who {
    provider_id: Option<String>,
    dashboard: Option<SocketAddr>,
}

/// A running node and its entry among the workers of this machine.
struct Place {
    node: Arc<Node>,
    entry: local::Entry,
    listing: Listing,
    joined: watch::Receiver<u64>,
    tasks: [tokio::task::JoinHandle<()>; 2],
}

impl Place {
    async fn open(
        setting: &Setting,
        folder: &StateFolder,
        network: &Network,
        who: Who,
    ) -> Result<Self, Box<dyn Error>> {
        let config = &setting.config;
        let identity = folder.secret(NODE_KEY, || {
            let mut seed = Zeroizing::new([0; 32]);
            UnwrapErr(SysRng).fill_bytes(seed.as_mut_slice());
            seed
        })?;
        let messages = folder.path().join(state::MESSAGES);
        state::touch_private(&messages)?;
        let mut node = NodeConfig::new(network.cluster, network.shards);
        node.listen_ip = config.listen.ip;
        node.identity = Some(*identity);
        node.store = Some(messages);
        node.external.clone_from(&config.listen.external);
        if config.mode == Mode::Network {
            node.bootstrap.clone_from(&network.entry_nodes);
        }
        let Started { node, moved } = ports::start_node(node, config.listen.tcp, config.listen.ws).await?;
        for line in moved {
            eprintln!("{line}");
        }
        let node = Arc::new(node);
        let entry = local::Entry {
            handle: config.provider_id.clone(),
            provider_id: who.provider_id,
            peer_id: node.peer_id(),
            pid: std::process::id(),
            mode: config.mode.as_str().to_owned(),
            cluster: network.cluster,
            shards: network.shards,
            addresses: node.addresses(),
            dashboard: who.dashboard,
            network: network.to_json()?,
        };
        let listing = Listing::write(&setting.base, &entry)?;
        let (count, joined) = watch::channel(0);
        let tasks = [
            tokio::spawn(discovery::meet(setting.base.clone(), entry.clone(), node.clone())),
            tokio::spawn(discovery::watch_relays(node.clone(), count)),
        ];
        Ok(Self { node, entry, listing, joined, tasks })
    }

    /// Says on stdout and in the ready file that the worker serves; `page` is the dashboard's address.
    fn tell_ready(&self, setting: &Setting, page: Option<&str>) -> Result<(), Box<dyn Error>> {
        let ready = Ready {
            handle: self.entry.handle.clone(),
            provider_id: self.entry.provider_id.clone(),
            peer_id: self.entry.peer_id.clone(),
            addresses: self.entry.addresses.clone(),
            invite: network::invite(std::slice::from_ref(&self.entry))?,
        };
        let who = ready.provider_id.as_deref().unwrap_or("entry node");
        let page = page.map_or_else(String::new, |page| format!("dashboard: {page}\n"));
        let ready_line = format!("ready: {} ({who}) on {}\n", ready.handle, ready.addresses.join(" "));
        // Who reads no more of it than the first line must not end the worker.
        let _ = io::stdout().write_all((ready_line + &page).as_bytes());
        if let Some(path) = &setting.ready_file {
            write_ready(path, &ready)?;
        }
        Ok(())
    }

    async fn close(self) {
        drop(self.listing);
        for task in self.tasks {
            task.abort();
            let _ = task.await;
        }
        // Whoever still holds the node lets go of it when the runtime ends; it then closes by itself.
        if let Ok(node) = Arc::try_unwrap(self.node)
            && tokio::time::timeout(CLOSING, node.shutdown()).await.is_err()
        {
            tracing::warn!("the node did not close in time");
        }
    }
}

fn write_ready(path: &Path, ready: &Ready) -> Result<(), Box<dyn Error>> {
    let json = serde_json::to_vec_pretty(ready)?;
    state::write_private(path, &json).map_err(|error| format!("--ready-file {}: {error}", path.display()).into())
}

/// Counts SIGINT and SIGTERM from now on.
fn stop_signals() -> std::io::Result<watch::Receiver<u32>> {
    let (count, counted) = watch::channel(0);
    #[cfg(unix)]
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    #[cfg(unix)]
    let mut interrupt = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::interrupt())?;
    tokio::spawn(async move {
        loop {
            #[cfg(unix)]
            tokio::select! {
                signal = terminate.recv() => if signal.is_none() { return },
                signal = interrupt.recv() => if signal.is_none() { return },
            }
            #[cfg(not(unix))]
            if tokio::signal::ctrl_c().await.is_err() {
                return;
            }
            count.send_modify(|count: &mut u32| *count = count.saturating_add(1));
        }
    });
    Ok(counted)
}

/// On SIGHUP the configuration is read anew; prices and limits take effect, everything else needs a restart.
#[cfg(unix)]
fn reloads(setting: &Setting, fleet: &Fleet) -> std::io::Result<mpsc::Receiver<Vec<Offer>>> {
    let (offers, capacity, scheduler) = (fleet.offers.clone(), fleet.capacity.clone(), fleet.scheduler.clone());
    let (send, reloaded) = mpsc::channel(1);
    let mut hangup = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup())?;
    let (old, flags) = (setting.config.clone(), setting.flags.clone());
    let (environment, base) = (setting.environment.clone(), setting.base.clone());
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            match Config::load(&flags, &environment, &base) {
                Ok(new) => match fleet::reload(&old, &new, &offers, &capacity) {
                    Some(terms) => {
                        tracing::info!("the configuration was read anew");
                        for (model, limits) in terms.limits {
                            scheduler.limit(&model, limits);
                        }
                        if send.send(terms.offers).await.is_err() {
                            return;
                        }
                    }
                    None => {
                        tracing::warn!("the new configuration changes more than prices and limits: restart to use it")
                    }
                },
                Err(error) => tracing::error!(%error, "the new configuration is wrong; the old one stays"),
            }
        }
    });
    Ok(reloaded)
}

#[cfg(not(unix))]
fn reloads(_: &Setting, _: &Fleet) -> std::io::Result<mpsc::Receiver<Vec<Offer>>> {
    Ok(mpsc::channel(1).1)
}

//! From the configuration to what runs and what is announced: backends, the scheduler's models and the core's offers,
//! all from the same numbers.

use crate::{
    config::{Backend as BackendConfig, BackendKind, Config, Model as ModelConfig, Quant, Server, Weights},
    inference::{
        Backend, Limits, Model, Route, Scheduler,
        openai::{self, Program},
        preset::Preset,
    },
};
use privacyai::{
    announcement::heartbeat::CONTINUES,
    client,
    provider::{Input, Offer},
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::sync::{Semaphore, mpsc};
use zeroize::Zeroizing;

#[cfg(feature = "embedded")]
use crate::inference::{catalogue, embedded};

/// Jobs at once of an embedded backend that sets none: sequences share the processor, so more only slows all.
const EMBEDDED_CONCURRENCY: u32 = 2;
/// The engine in this process, as announced.
pub const EMBEDDED_ENGINE: &str = "candle";
/// Jobs that may wait, per job at once.
const QUEUE_PER_JOB: u32 = 2;
/// Longer is no API key.
const MAX_KEY_BYTES: usize = 4_096;

/// Everything that runs models.
pub struct Fleet {
    /// Runs the core's jobs.
    pub scheduler: Scheduler,
    /// What comes of them.
    pub inference: mpsc::Receiver<Input>,
    /// What is announced while every backend is up.
    pub offers: Vec<Offer>,
    /// Jobs at once of each model's backends together, in the order of the offers.
    pub capacity: Vec<u32>,
}

/// What the operator may change while the worker runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms {
    /// What is announced from then on.
    pub offers: Vec<Offer>,
    /// The limits of each model of this id.
    pub limits: Vec<(String, Limits)>,
}

/// Why a backend cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("backend {backend:?}: {reason}")]
pub struct FleetError {
    backend: String,
    reason: String,
}

/// One backend, ready to use, and what is known of its weights.
pub struct Running {
    /// The backend.
    pub backend: Arc<dyn Backend>,
    /// Jobs at once.
    pub concurrency: u32,
    /// The longest context, where the engine knows it.
    context: Option<u32>,
    weights_hash: Option<[u8; 32]>,
    quantisation: &'static str,
    /// The program that runs it, as announced.
    pub engine: &'static str,
}

impl Fleet {
    /// Loads the embedded models, asks the servers what they are and starts the scheduler. Needs a tokio runtime; loading
    /// blocks for about a second.
    ///
    /// # Errors
    /// Names the backend and how to get what is missing.
    pub async fn start(config: &Config) -> Result<Self, FleetError> {
        let mut running = Vec::new();
        for (index, backend) in config.backends.iter().enumerate() {
            running.push(start_backend(config, index, backend).await?);
        }
        let slots: Vec<Arc<Semaphore>> =
            running.iter().map(|running| Arc::new(Semaphore::new(running.concurrency as usize))).collect();
        let (mut models, mut offers, mut capacity) = (Vec::new(), Vec::new(), Vec::new());
        for model in &config.models {
            let runners: Vec<(&Running, &Arc<Semaphore>)> =
                model.backends.iter().filter_map(|index| Some((running.get(*index)?, slots.get(*index)?))).collect();
            let names = model.backends.iter().filter_map(|index| Some(config.backends.get(*index)?.name.clone()));
            let sum = runners.iter().fold(0_u32, |sum, (running, _)| sum.saturating_add(running.concurrency)).max(1);
            let offer = offer(model, &runners.iter().map(|(running, _)| *running).collect::<Vec<_>>(), sum);
            capacity.push(sum);
            let preset = model.preset.as_deref().and_then(Preset::parse);
            models.push(Model {
                id: model.id.clone(),
                routes: runners
                    .iter()
                    .zip(names)
                    .map(|((running, slots), name)| Route {
                        name,
                        backend: running.backend.clone(),
                        upstream_id: model.upstream_id.clone(),
                        slots: (*slots).clone(),
                    })
                    .collect(),
                system: preset.map(|preset| preset.system.to_owned()),
                temperature: preset.map(|preset| preset.temperature),
                top_p: preset.map(|preset| preset.top_p),
                concurrency: offer.concurrency,
                queue: offer.queue,
                max_output_tokens: model.max_output_tokens,
            });
            offers.push(offer);
        }
        let (scheduler, inference) = Scheduler::start(models);
        Ok(Self { scheduler, inference, offers, capacity })
    }
}

/// What the configuration offers now, when only prices and limits changed since `old`; none when a restart is needed.
pub fn reload(old: &Config, new: &Config, offers: &[Offer], capacity: &[u32]) -> Option<Terms> {
    let same = old.backends == new.backends
        && old.models.len() == new.models.len()
        && old.models.iter().zip(&new.models).all(|(old, new)| {
            let terms = ModelConfig {
                price_in: new.price_in,
                price_out: new.price_out,
                queue: new.queue,
                max_concurrency: new.max_concurrency,
                max_output_tokens: new.max_output_tokens,
                ..old.clone()
            };
            terms == *new
        });
    same.then(|| {
        let (mut offers, mut limits) = (offers.to_vec(), Vec::new());
        for ((offer, model), sum) in offers.iter_mut().zip(&new.models).zip(capacity) {
            offer.model.price_in = model.price_in;
            offer.model.price_out = model.price_out;
            (offer.concurrency, offer.queue) = places(model, *sum);
            let limits_of_model = Limits {
                concurrency: offer.concurrency,
                queue: offer.queue,
                max_output_tokens: model.max_output_tokens,
            };
            limits.push((model.id.clone(), limits_of_model));
        }
        Terms { offers, limits }
    })
}

/// Jobs of a model that run at once and that may wait, of so many that its backends run at once.
fn places(model: &ModelConfig, capacity: u32) -> (u32, u32) {
    let concurrency = model.max_concurrency.unwrap_or(capacity).min(capacity);
    (concurrency, model.queue.unwrap_or(concurrency.saturating_mul(QUEUE_PER_JOB)))
}

fn offer(model: &ModelConfig, runners: &[&Running], capacity: u32) -> Offer {
    let (concurrency, queue) = places(model, capacity);
    let first = runners.first();
    let context = runners.iter().filter_map(|running| running.context).min();
    // The engine of this process goes on from any beginning.
    let continues = !runners.is_empty() && runners.iter().all(|running| running.engine == EMBEDDED_ENGINE);
    Offer {
        model: client::Model {
            id: model.id.clone(),
            context: context.map_or(model.context_length, |context| context.min(model.context_length)),
            price_in: model.price_in,
            price_out: model.price_out,
            tokens_per_s: 0,
            preset: model.preset.clone().unwrap_or_default(),
            quantisation: first.map_or("", |running| running.quantisation).to_owned(),
            engine: first.map_or("", |running| running.engine).to_owned(),
            capabilities: model.capabilities | if continues { CONTINUES } else { 0 },
            weights_hash: first.and_then(|running| running.weights_hash),
        },
        concurrency,
        queue,
    }
}

/// Starts one backend of the configuration.
///
/// # Errors
/// As [`Fleet::start`].
pub async fn start_backend(config: &Config, index: usize, backend: &BackendConfig) -> Result<Running, FleetError> {
    let failed = |reason: String| FleetError { backend: backend.name.clone(), reason };
    match &backend.kind {
        BackendKind::Embedded { weights, quant, .. } => {
            start_embedded(config, index, backend, weights, *quant).map_err(failed)
        }
        BackendKind::OpenAi { server, url, api_key_file, timeouts } => {
            let key = api_key_file.as_deref().map(read_key).transpose().map_err(failed)?;
            let settings = openai::Settings { url: url.clone(), api_key: key, timeouts: *timeouts };
            let client = openai::OpenAi::new(&settings).map_err(|error| failed(error.to_string()))?;
            let program = match server {
                Server::Any => client.recognise().await,
                Server::Ollama => Program::Ollama,
            };
            let concurrency = match backend.max_concurrency {
                Some(jobs) => jobs,
                None => client.slots(program).await,
            };
            tracing::info!(backend = backend.name, program = program.as_str(), concurrency, "a server");
            Ok(Running {
                backend: Arc::new(client),
                concurrency,
                context: None,
                weights_hash: None,
                quantisation: "",
                engine: program.as_str(),
            })
        }
    }
}

/// The key in a file: of `$CREDENTIALS_DIRECTORY` when the service manager gives one of that name, else as configured.
fn read_key(path: &Path) -> Result<Zeroizing<String>, String> {
    let given = std::env::var_os("CREDENTIALS_DIRECTORY")
        .zip(path.file_name())
        .map(|(folder, name)| Path::new(&folder).join(name))
        .filter(|given| given.is_file());
    let path = given.as_deref().unwrap_or(path);
    let text = std::fs::read_to_string(path).map(Zeroizing::new).map_err(|error| {
        format!("api_key_file {} cannot be read: {error}\n  to fix: write the key there, mode 600", path.display())
    })?;
    let key = text.trim();
    if key.is_empty() || key.len() > MAX_KEY_BYTES || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(format!("api_key_file {} holds no key\n  to fix: write the key alone there", path.display()));
    }
    Ok(Zeroizing::new(key.to_owned()))
}

#[cfg(feature = "embedded")]
fn start_embedded(
    config: &Config,
    index: usize,
    backend: &BackendConfig,
    weights: &Weights,
    quant: Quant,
) -> Result<Running, String> {
    let path = weights_file(weights, quant)?;
    let served: Vec<&ModelConfig> = config.models.iter().filter(|model| model.backends.contains(&index)).collect();
    let context = served.iter().map(|model| model.context_length).max().unwrap_or(embedded::DEFAULT_CONTEXT);
    let system = served
        .first()
        .and_then(|model| model.preset.as_deref())
        .and_then(Preset::parse)
        .map(|preset| preset.system.to_owned());
    tracing::info!(file = %path.display(), "loading the model");
    let settings = embedded::Settings { path: path.clone(), context, system };
    let loaded = embedded::Embedded::load(&settings).map_err(|error| format!("{}: {error}", path.display()))?;
    let weights_hash = match weights {
        Weights::Catalogue(name) => catalogue::Entry::find(name).ok().and_then(catalogue::Entry::weights_hash),
        Weights::Path(path) => Some(hash_file(path)?),
    };
    let quantisation = match (weights, quant) {
        (Weights::Path(_), _) | (_, Quant::Keep) => "",
        (_, quant) => as_engine_quant(quant).as_str(),
    };
    let most = u32::try_from(embedded::MAX_SEQUENCES).unwrap_or(u32::MAX);
    Ok(Running {
        concurrency: backend.max_concurrency.unwrap_or(EMBEDDED_CONCURRENCY).min(most),
        context: Some(loaded.context()),
        backend: Arc::new(loaded),
        weights_hash,
        quantisation,
        engine: EMBEDDED_ENGINE,
    })
}

#[cfg(not(feature = "embedded"))]
fn start_embedded(_: &Config, _: usize, _: &BackendConfig, _: &Weights, _: Quant) -> Result<Running, String> {
    Err("this worker was built without the embedded engine\n  to fix: use kind = \"openai\"".to_owned())
}

/// The file of an embedded backend's weights.
///
/// # Errors
/// Says which file is missing and how to get it.
#[cfg(feature = "embedded")]
pub fn weights_file(weights: &Weights, quant: Quant) -> Result<PathBuf, String> {
    match weights {
        Weights::Catalogue(name) => {
            let entry = catalogue::Entry::find(name).map_err(|error| error.to_string())?;
            let cache = catalogue::cache_folder().map_err(|error| error.to_string())?;
            catalogue::installed(entry, &cache, as_engine_quant(quant)).map_err(|error| error.to_string())
        }
        Weights::Path(path) if path.is_file() => Ok(path.clone()),
        Weights::Path(path) => {
            Err(format!("there is no file {}\n  to fix: put the GGUF file there or correct model_path", path.display()))
        }
    }
}

#[cfg(feature = "embedded")]
fn hash_file(path: &Path) -> Result<[u8; 32], String> {
    use sha2::{Digest as _, Sha256};
    use std::io::Read as _;
    let failed = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
    let mut file = std::fs::File::open(path).map_err(failed)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer).map_err(failed)? {
            0 => return Ok(hasher.finalize().into()),
            read => hasher.update(buffer.get(..read).unwrap_or_default()),
        }
    }
}

#[cfg(feature = "embedded")]
pub(crate) const fn as_engine_quant(quant: Quant) -> embedded::Quant {
    match quant {
        Quant::F16 => embedded::Quant::F16,
        Quant::Q8_0 => embedded::Quant::Q8,
        Quant::Keep => embedded::Quant::Keep,
    }
}

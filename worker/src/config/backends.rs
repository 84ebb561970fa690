//! `[[backend]]` sections: which fields belong to which kind.

use super::{
    Backend, BackendKind, ConfigError, DEFAULT_MODEL, Quant, Server, Weights,
    check::{MAX_PARALLEL, Source},
    file::{self, Concurrency},
};
use crate::inference::openai::Timeouts;
use std::collections::BTreeSet;
use toml::Spanned;

/// Backends one worker drives; more belong behind a cluster's URL.
const MAX_BACKENDS: usize = 64;
/// Where Ollama listens by itself.
const OLLAMA_URL: &str = "http://127.0.0.1:11434/v1";

pub(super) fn check_backends(
    source: &Source<'_>,
    written: &[Spanned<file::Backend>],
) -> Result<Vec<Backend>, ConfigError> {
    let mut names = BTreeSet::new();
    let mut backends = Vec::new();
    for section in written.iter().take(MAX_BACKENDS + 1) {
        if backends.len() == MAX_BACKENDS {
            return Err(source.at(
                section,
                format!("more than {MAX_BACKENDS} backends"),
                "put a cluster behind one URL, or run more workers",
            ));
        }
        let backend = section.get_ref();
        if backend.name.get_ref().is_empty() || !names.insert(backend.name.get_ref().as_str()) {
            return Err(source.at(
                &backend.name,
                format!("backend name {:?} is empty or taken", backend.name.get_ref()),
                "give each backend a name of its own",
            ));
        }
        let max_concurrency = match &backend.max_concurrency {
            None => None,
            Some(at) => match *at.get_ref() {
                Concurrency::Auto => None,
                Concurrency::At(jobs) if (1..=MAX_PARALLEL).contains(&jobs) => Some(jobs),
                Concurrency::At(jobs) => {
                    return Err(source.at(
                        at,
                        format!("max_concurrency = {jobs} is out of range"),
                        format!("write \"auto\" or 1 to {MAX_PARALLEL}"),
                    ));
                }
            },
        };
        let kind = match backend.kind.get_ref().as_str() {
            "embedded" => check_embedded(source, section)?,
            "openai" => check_server(source, section, Server::Any)?,
            "ollama" => check_server(source, section, Server::Ollama)?,
            other => {
                return Err(source.at(
                    &backend.kind,
                    format!("kind {other:?} is no kind of backend"),
                    "write \"embedded\", \"openai\" or \"ollama\"",
                ));
            }
        };
        backends.push(Backend { name: backend.name.get_ref().clone(), kind, max_concurrency });
    }
    Ok(backends)
}

fn check_embedded(source: &Source<'_>, section: &Spanned<file::Backend>) -> Result<BackendKind, ConfigError> {
    let backend = section.get_ref();
    if let Some(url) = &backend.url {
        return Err(source.at(url, "an embedded backend has no url", "remove the line or write kind = \"openai\""));
    }
    if backend.api_key_file.is_some() {
        return Err(source.at(section, "an embedded backend has no api_key_file", "remove the line"));
    }
    let weights = match (&backend.model, &backend.model_path) {
        (Some(model), None) => Weights::Catalogue(model.get_ref().clone()),
        (None, Some(path)) => Weights::Path(source.resolve(path)),
        (None, None) => {
            return Err(source.at(
                section,
                format!("embedded backend {:?} names no weights", backend.name.get_ref()),
                format!("add model = \"{DEFAULT_MODEL}\" or model_path = \"file.gguf\""),
            ));
        }
        (Some(model), Some(_)) => {
            return Err(source.at(model, "model and model_path exclude each other", "keep one of them"));
        }
    };
    let quant = match &backend.quant {
        None => Quant::default(),
        Some(quant) => match quant.get_ref().as_str() {
            "f16" => Quant::F16,
            "q8_0" => Quant::Q8_0,
            "keep" => Quant::Keep,
            other => {
                return Err(source.at(
                    quant,
                    format!("quant {other:?} is unknown"),
                    "write \"f16\", \"q8_0\" or \"keep\"",
                ));
            }
        },
    };
    let threads = match &backend.threads {
        None => default_threads(),
        Some(threads) if (1..=MAX_PARALLEL as usize).contains(threads.get_ref()) => *threads.get_ref(),
        Some(threads) => {
            return Err(source.at(threads, "threads is out of range", format!("write 1 to {MAX_PARALLEL}")));
        }
    };
    Ok(BackendKind::Embedded { weights, quant, threads })
}

fn check_server(
    source: &Source<'_>,
    section: &Spanned<file::Backend>,
    server: Server,
) -> Result<BackendKind, ConfigError> {
    let backend = section.get_ref();
    if let Some(model) = &backend.model {
        return Err(source.at(
            model,
            format!("an {} backend takes its models from [[model]] sections", backend.kind.get_ref()),
            "remove the line and write upstream_id in a [[model]]",
        ));
    }
    if backend.model_path.is_some() || backend.quant.is_some() || backend.threads.is_some() {
        return Err(source.at(
            section,
            "model_path, quant and threads belong to embedded backends",
            "remove them or write kind = \"embedded\"",
        ));
    }
    let url = match (&backend.url, server) {
        (Some(url), _) => check_url(source, url, server)?,
        (None, Server::Ollama) => OLLAMA_URL.to_owned(),
        (None, Server::Any) => {
            return Err(source.at(
                section,
                format!("openai backend {:?} has no url", backend.name.get_ref()),
                "add url = \"http://127.0.0.1:8000/v1\"",
            ));
        }
    };
    let default = Timeouts::default();
    Ok(BackendKind::OpenAi {
        server,
        url,
        api_key_file: backend.api_key_file.as_deref().map(|path| source.resolve(path)),
        timeouts: Timeouts {
            connect: backend.timeouts.connect.map_or(default.connect, |pause| pause.0),
            first_token: backend.timeouts.first_token.map_or(default.first_token, |pause| pause.0),
            idle: backend.timeouts.idle.map_or(default.idle, |pause| pause.0),
        },
    })
}

/// The base address without its last slash. Ollama's is often written without the path that speaks OpenAI's protocol.
fn check_url(source: &Source<'_>, url: &Spanned<String>, server: Server) -> Result<String, ConfigError> {
    let parsed = reqwest::Url::parse(url.get_ref())
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host() && url.username().is_empty());
    let Some(parsed) = parsed else {
        return Err(source.at(
            url,
            format!("url {:?} is no http or https address", url.get_ref()),
            "write one such as \"http://127.0.0.1:8000/v1\"; keys go into api_key_file",
        ));
    };
    let base = url.get_ref().trim_end_matches('/');
    Ok(match server {
        Server::Ollama if parsed.path() == "/" => format!("{base}/v1"),
        Server::Ollama | Server::Any => base.to_owned(),
    })
}

pub(super) fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).saturating_sub(1).max(1)
}

//! From the file as written to [`Config`]: every rule that one field alone cannot hold.

use super::{
    Backend, BackendKind, Config, ConfigError, DEFAULT_MODEL, DEFAULT_PROVIDER_ID, DEFAULT_REQUESTS_PER_MINUTE,
    DEFAULT_TCP_PORT, DEFAULT_WS_PORT, Environment, Flags, Listen, Mode, Place, Port, Quant, Weights,
    backends::{check_backends, default_threads},
    chain::check_chain,
    environment::{PROVIDER_ID_FIX, check_provider_id, check_provider_name, parse_mode},
    file::{self, File},
    models::{add_implied_models, check_models},
};
use crate::inference::preset::Preset;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    ops::Range,
    path::{Path, PathBuf},
};
use toml::Spanned;

/// Most threads or jobs that a field may ask for: beyond it is a slip of the hand.
pub(super) const MAX_PARALLEL: u32 = 4_096;
/// Most questions a minute that a limit may name: one in a millisecond.
const MAX_REQUESTS_PER_MINUTE: u32 = 60_000;

/// A file under reading: for errors that name its lines.
pub(super) struct Source<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    pub fn error(&self, span: Option<Range<usize>>, what: impl Into<String>, fix: impl Into<String>) -> ConfigError {
        let line = span.map(|span| {
            let before = self.text.as_bytes().get(..span.start).unwrap_or(self.text.as_bytes());
            before.iter().filter(|byte| **byte == b'\n').count() + 1
        });
        ConfigError { place: Place::File(self.path.to_owned(), line), what: what.into(), fix: fix.into() }
    }

    pub fn at<T>(&self, value: &Spanned<T>, what: impl Into<String>, fix: impl Into<String>) -> ConfigError {
        self.error(Some(value.span()), what, fix)
    }

    /// A file named in the configuration, seen from the configuration's own folder.
    pub fn resolve(&self, path: &Path) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(path)
    }
}

pub(super) fn check(
    path: Option<&Path>,
    text: &str,
    flags: &Flags,
    environment: &Environment,
) -> Result<Config, ConfigError> {
    let source = Source { path: path.unwrap_or(Path::new(super::FILE_NAME)), text };
    let file: File = toml::from_str(text).map_err(|error| {
        source.error(error.span(), error.message().trim().replace('\n', "; "), "correct this line or remove it")
    })?;
    let mut notices = Vec::new();
    if environment.payments {
        notices.push(
            "ENABLE_PAYMENTS=true: payments are not there yet; this worker answers without being paid".to_owned(),
        );
    }

    let worker = &file.worker;
    let provider_id = match (&environment.provider_id, &worker.provider_id) {
        (Some(id), _) => id.clone(),
        (None, Some(id)) => {
            check_provider_id(id.get_ref())
                .map_err(|rule| source.at(id, format!("provider_id {rule}"), PROVIDER_ID_FIX))?;
            id.get_ref().clone()
        }
        (None, None) => DEFAULT_PROVIDER_ID.to_owned(),
    };
    let provider_name = match (&environment.provider_name, &worker.provider_name) {
        (Some(name), _) => name.clone(),
        (None, Some(name)) => {
            check_provider_name(name.get_ref())
                .map_err(|rule| source.at(name, format!("provider_name {rule}"), "choose another name"))?;
            name.get_ref().clone()
        }
        (None, None) => provider_id.clone(),
    };
    let metrics = match &worker.metrics {
        Some(metrics) => {
            let fix = "write an address with a port, such as \"127.0.0.1:9464\"";
            let address: SocketAddr =
                metrics.get_ref().parse().map_err(|_| source.at(metrics, "metrics is no address", fix))?;
            if !address.ip().is_loopback() {
                let what = format!("metrics {address} is not loopback, and they are for this computer alone");
                return Err(source.at(metrics, what, fix));
            }
            address
        }
        None => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
    };

    let requests_per_minute = match &worker.requests_per_minute {
        Some(limit) if *limit.get_ref() > MAX_REQUESTS_PER_MINUTE => {
            let what = format!("requests_per_minute {} is out of range", limit.get_ref());
            return Err(source.at(limit, what, "write a number from 1 to 60000, or 0 for no limit"));
        }
        Some(limit) => *limit.get_ref(),
        None => DEFAULT_REQUESTS_PER_MINUTE,
    };
    let (mode, network) = check_network(&source, worker, flags, environment)?;
    let listen = check_listen(&source, worker, mode)?;
    let mut backends = check_backends(&source, &file.backend)?;
    let mut models = check_models(&source, &file.model, &file.backend, &backends)?;
    if backends.is_empty() {
        backends.push(Backend {
            name: "embedded".to_owned(),
            kind: BackendKind::Embedded {
                weights: Weights::Catalogue(DEFAULT_MODEL.to_owned()),
                quant: Quant::default(),
                threads: default_threads(),
            },
            max_concurrency: None,
        });
    }
    add_implied_models(&source, &file.backend, &backends, &mut models, &provider_id)?;
    for model in &mut models {
        let embedded = model.backends.iter().any(|index| {
            backends.get(*index).is_some_and(|backend| matches!(backend.kind, BackendKind::Embedded { .. }))
        });
        if embedded && model.preset.is_none() {
            model.preset = Some(Preset::of_handle(&provider_id).name.to_owned());
        }
    }
    if models.iter().any(|model| model.price_in > 0 || model.price_out > 0) {
        notices.push("prices are announced; nobody is charged, because payments are not there yet".to_owned());
    }
    let chain = check_chain(&source, &file.chain)?;
    Ok(Config {
        source: path.map(Path::to_owned),
        provider_id,
        provider_name,
        mode,
        network,
        listen,
        metrics,
        requests_per_minute,
        backends,
        models,
        chain,
        notices,
    })
}

/// `--network` means network mode, unless something louder says local.
fn check_network(
    source: &Source<'_>,
    worker: &file::Worker,
    flags: &Flags,
    environment: &Environment,
) -> Result<(Mode, Option<String>), ConfigError> {
    let in_file = match &worker.mode {
        Some(mode) => Some(parse_mode(mode.get_ref()).ok_or_else(|| {
            source.at(mode, format!("mode {:?} is no mode", mode.get_ref()), "write \"local\" or \"network\"")
        })?),
        None => None,
    };
    if let Some(network) = &flags.network {
        if environment.mode == Some(Mode::Local) {
            return Err(ConfigError::command_line(
                "--network joins a network, and MARKETPLACE_MODE=local forbids it",
                "unset MARKETPLACE_MODE or leave --network out",
            ));
        }
        return Ok((Mode::Network, Some(network.clone())));
    }
    let mode = environment.mode.or(in_file).unwrap_or_else(|| {
        // A network in the file without a mode beside it can mean one thing only.
        if worker.network.is_some() { Mode::Network } else { Mode::Local }
    });
    let network = worker.network.as_ref().filter(|_| mode == Mode::Network).map(|network| {
        let text = network.get_ref();
        if text.starts_with("pam1:") { text.clone() } else { source.resolve(Path::new(text)).display().to_string() }
    });
    Ok((mode, network))
}

fn check_listen(source: &Source<'_>, worker: &file::Worker, mode: Mode) -> Result<Listen, ConfigError> {
    let ip = match (&worker.listen_ip, mode) {
        (Some(text), _) => {
            let ip: IpAddr = text.get_ref().parse().map_err(|_| {
                source.at(
                    text,
                    format!("listen_ip {:?} is no IP address", text.get_ref()),
                    "write one, such as \"0.0.0.0\"",
                )
            })?;
            if mode == Mode::Local && !ip.is_loopback() {
                return Err(source.at(
                    text,
                    format!("listen_ip {ip} is not loopback, and local mode never leaves this machine"),
                    "remove the line or set mode = \"network\"",
                ));
            }
            ip
        }
        (None, Mode::Local) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        (None, Mode::Network) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    };
    let port = |set: Option<u16>, default: u16| match (set, mode) {
        (Some(0), _) | (None, Mode::Local) => Port::Free,
        (Some(port), _) => Port::Exactly(port),
        (None, Mode::Network) => Port::From(default),
    };
    if let (Some(tcp), Some(ws)) = (worker.tcp_port, worker.ws_port)
        && tcp == ws
        && tcp != 0
    {
        return Err(source.error(None, format!("tcp_port and ws_port are both {tcp}"), "give each a port of its own"));
    }
    let external = worker.external.as_deref().unwrap_or_default();
    for address in external {
        let text = address.get_ref();
        if !text.starts_with('/') || text.contains("/p2p/") {
            return Err(source.at(
                address,
                format!("external {text:?} is no multiaddr without a peer id"),
                "write one such as \"/dns4/worker.example.org/tcp/443/wss\"",
            ));
        }
    }
    Ok(Listen {
        ip,
        tcp: port(worker.tcp_port, DEFAULT_TCP_PORT),
        ws: port(worker.ws_port, DEFAULT_WS_PORT),
        external: external.iter().map(|address| address.get_ref().clone()).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Server;

    fn read(text: &str) -> Result<Config, ConfigError> {
        check(Some(Path::new("/etc/w.toml")), text, &Flags::default(), &Environment::default())
    }

    /// The error must name the line and say these words.
    fn refuses(text: &str, line: usize, words: &str) {
        let error = read(text).expect_err(text);
        let shown = error.to_string();
        assert_eq!(error.line(), Some(line), "{shown}");
        assert!(shown.starts_with(&format!("/etc/w.toml:{line}: ")), "{shown}");
        assert!(shown.contains(words) && shown.contains("to fix: "), "{words:?} is not in: {shown}");
    }

    const GPU: &str = "[[backend]]\nname = \"gpu0\"\nkind = \"openai\"\nurl = \"http://127.0.0.1:8000/v1\"\n";
    const LLAMA: &str = "[[model]]\nid = \"llama\"\nbackends = [\"gpu0\"]\n";

    #[test]
    fn what_is_wrong_is_named_by_line() {
        refuses("[worker]\nfoo = 1\n", 2, "unknown field `foo`");
        refuses("[worker\n", 1, "");
        refuses("[[backend]]\nname = \"a\"\n", 1, "missing field `kind`");
        refuses("[worker]\n\nmode = \"main\"\n", 3, "\"main\" is no mode");
        refuses("[worker]\nprovider_id = \"A B\"\n", 2, "'A' is not allowed");
        refuses("[worker]\nprovider_name = \"\"\n", 2, "0 bytes");
        refuses("[worker]\nlisten_ip = \"0.0.0.0\"\n", 2, "not loopback");
        refuses("[worker]\nlisten_ip = \"here\"\n", 2, "no IP address");
        refuses("[worker]\ntcp_port = 70000\n", 2, "70000");
        refuses("[worker]\nexternal = [\"example.org\"]\n", 2, "no multiaddr");
        refuses("[worker]\nmetrics = \"9464\"\n", 2, "no address");
        refuses("[worker]\nmetrics = \"0.0.0.0:9464\"\n", 2, "not loopback");
        refuses("[worker]\nrequests_per_minute = 60001\n", 2, "out of range");
        refuses("[worker]\nrequests_per_minute = -1\n", 2, "u32");
        refuses("[chain]\nrpc = \"127.0.0.1:8545\"\n", 2, "no http or https");
        refuses("[chain]\nkey = \"0x1\"\n", 2, "unknown field `key`");
        refuses("[[backend]]\nname = \"a\"\nkind = \"magic\"\n", 3, "\"magic\" is no kind");
        refuses("[[backend]]\nname = \"a\"\nkind = \"ollama\"\n", 1, "\"a\" serves no model");
        refuses("[[backend]]\nname = \"a\"\nkind = \"ollama\"\nmodel = \"m\"\n", 4, "[[model]]");
        refuses("[[backend]]\nname = \"a\"\nkind = \"ollama\"\nurl = \"gpu:11434\"\n", 4, "no http or https");
        refuses("[[backend]]\nname = \"a\"\nkind = \"openai\"\n", 1, "has no url");
        refuses("[[backend]]\nname = \"a\"\nkind = \"openai\"\nurl = \"file:///x\"\n", 4, "no http or https");
        refuses("[[backend]]\nname = \"a\"\nkind = \"embedded\"\n", 1, "names no weights");
        refuses("[[backend]]\nname = \"a\"\nkind = \"embedded\"\nmodel = \"m\"\nmodel_path = \"x\"\n", 4, "exclude");
        refuses(
            "[[backend]]\nname = \"a\"\nkind = \"embedded\"\nmodel = \"m\"\nquant = \"q2\"\n",
            5,
            "\"q2\" is unknown",
        );
        refuses("[[backend]]\nname = \"a\"\nkind = \"embedded\"\nmodel = \"m\"\nthreads = 0\n", 5, "threads");
        refuses(&format!("{GPU}max_concurrency = 0\n"), 5, "out of range");
        refuses(&format!("{GPU}max_concurrency = \"many\"\n"), 5, "\"auto\" or a number");
        refuses(&format!("{GPU}timeouts = {{ idle = \"1h\" }}\n"), 5, "a time span such as");
        refuses(&format!("{GPU}{GPU}"), 6, "empty or taken");
        refuses(GPU, 1, "\"gpu0\" serves no model");
        refuses(&format!("{GPU}[[model]]\nid = \"m\"\nbackends = [\"gpu1\"]\n"), 7, "no backend \"gpu1\"");
        refuses(&format!("{GPU}[[model]]\nid = \"m\"\nbackends = []\n"), 7, "has no backend");
        refuses(&format!("{GPU}[[model]]\nid = \"\"\nbackends = [\"gpu0\"]\n"), 6, "model id");
        refuses(&format!("{GPU}{LLAMA}{LLAMA}"), 9, "is taken");
        refuses(&format!("{GPU}{LLAMA}context_length = 0\n"), 8, "context_length is 0");
        refuses(&format!("{GPU}{LLAMA}context_length = 8\nmax_output_tokens = 9\n"), 9, "more than context_length");
        refuses(&format!("{GPU}{LLAMA}capabilities = [\"wings\"]\n"), 8, "\"wings\" is unknown");
        refuses(&format!("{GPU}{LLAMA}preset = \"pirate\"\n"), 8, "\"pirate\" is unknown");
        refuses(&format!("{GPU}{LLAMA}price = {{ input_per_mtok = \"1e3\" }}\n"), 8, "no amount");
        refuses(&format!("{GPU}{LLAMA}price = {{ cheap = \"1\" }}\n"), 8, "unknown field `cheap`");
    }

    #[test]
    fn the_papers_example_is_read() {
        let text = format!(
            "[worker]\nmetrics = \"127.0.0.1:9464\"\nrequests_per_minute = 30\n[[backend]]\nname = \"demo\"\nkind = \"embedded\"\n\
             model = \"smollm2\"\nquant = \"q8_0\"\nthreads = 1\nmax_concurrency = 2\n{GPU}\
             api_key_file = \"openai_key\"\nmax_concurrency = \"auto\"\n\
             timeouts = {{ connect = \"5s\", first_token = \"90s\", idle = \"30s\" }}\n{LLAMA}\
             upstream_id = \"meta/llama\"\ncontext_length = 32768\nmax_output_tokens = 4096\n\
             price = {{ input_per_mtok = \"0.20\", output_per_mtok = \"1\" }}\n"
        );
        let config = read(&text).unwrap();
        assert_eq!(config.backends.len(), 2);
        assert_eq!(
            config.backends[0].kind,
            BackendKind::Embedded { weights: Weights::Catalogue("smollm2".into()), quant: Quant::Q8_0, threads: 1 }
        );
        assert_eq!(config.backends[0].max_concurrency, Some(2));
        let BackendKind::OpenAi { server, url, api_key_file, timeouts } = &config.backends[1].kind else {
            panic!("{:?}", config.backends[1])
        };
        assert_eq!((*server, url.as_str()), (Server::Any, "http://127.0.0.1:8000/v1"));
        assert_eq!(api_key_file.as_deref(), Some(Path::new("/etc/openai_key")));
        assert_eq!(timeouts.first_token.as_secs(), 90);
        let [llama, smollm] = &config.models[..] else { panic!("{:?}", config.models) };
        assert_eq!((llama.id.as_str(), llama.upstream_id.as_str()), ("llama", "meta/llama"));
        assert_eq!((llama.price_in, llama.price_out), (200_000_000_000_000_000, 1_000_000_000_000_000_000));
        assert_eq!((llama.preset.as_deref(), smollm.id.as_str()), (None, "smollm2"));
        assert!(smollm.preset.is_some());
        assert_eq!(config.notices.len(), 1, "prices: {:?}", config.notices);
        assert_eq!(config.metrics, SocketAddr::from(([127, 0, 0, 1], 9464)));
        assert_eq!(config.requests_per_minute, 30);
        assert!(config.summary().contains("30 questions a minute at most"), "{}", config.summary());
        assert_eq!(read("").unwrap().requests_per_minute, DEFAULT_REQUESTS_PER_MINUTE);
    }

    #[test]
    fn ollama_needs_no_url_and_no_path() {
        let check = |line: &str, expected: &str| {
            let text = format!(
                "[[backend]]\nname = \"here\"\nkind = \"ollama\"\n{line}\n[[model]]\nid = \"llama3.2\"\n\
                 backends = [\"here\"]\n"
            );
            let config = read(&text).unwrap();
            let BackendKind::OpenAi { server, url, .. } = &config.backends[0].kind else {
                panic!("{:?}", config.backends[0])
            };
            assert_eq!((*server, url.as_str()), (Server::Ollama, expected), "{line}");
        };
        check("", "http://127.0.0.1:11434/v1");
        check("url = \"http://gpu:11434\"", "http://gpu:11434/v1");
        check("url = \"http://gpu:11434/\"", "http://gpu:11434/v1");
        check("url = \"https://gpu/ollama/v1/\"", "https://gpu/ollama/v1");
    }

    #[test]
    fn the_environment_stands_above_the_file() {
        let text = "[worker]\nprovider_id = \"file\"\nprovider_name = \"File\"\nmode = \"network\"\n";
        let environment = Environment {
            provider_id: Some("env".into()),
            provider_name: Some("Env".into()),
            mode: Some(Mode::Local),
            payments: true,
        };
        let config = check(None, text, &Flags::default(), &environment).unwrap();
        assert_eq!((config.provider_id.as_str(), config.provider_name.as_str()), ("env", "Env"));
        assert_eq!(config.mode, Mode::Local);
        assert!(config.notices[0].contains("payments are not there yet"));
        let config = read(text).unwrap();
        assert_eq!((config.provider_id.as_str(), config.mode), ("file", Mode::Network));
        assert_eq!(config.listen.tcp, Port::From(DEFAULT_TCP_PORT));
    }

    #[test]
    fn a_network_on_the_command_line_is_joined() {
        let flags = Flags { config: None, network: Some("pam1:abc".into()) };
        let config = check(None, "", &flags, &Environment::default()).unwrap();
        assert_eq!((config.mode, config.network.as_deref()), (Mode::Network, Some("pam1:abc")));
        let local = Environment { mode: Some(Mode::Local), ..Environment::default() };
        let error = check(None, "", &flags, &local).unwrap_err();
        assert!(error.to_string().contains("MARKETPLACE_MODE=local forbids it"), "{error}");
        let config = read("[worker]\nnetwork = \"net.json\"\nws_port = 9000\n").unwrap();
        assert_eq!((config.mode, config.network.as_deref()), (Mode::Network, Some("/etc/net.json")));
        assert_eq!(config.listen.ws, Port::Exactly(9000));
    }
}

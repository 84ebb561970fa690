//! `worker init`: the state folder with its keys and a configuration to edit.

use crate::{
    config::{Config, FILE_NAME},
    run::root_key,
    state::{self, StateFolder},
};
use std::{error::Error, path::Path};

/// Makes what is missing and says what there is.
///
/// # Errors
/// When the folder cannot be used, or a configuration is there and `force` is not set.
pub fn init(config: &Config, base: &Path, force: Force) -> Result<(), Box<dyn Error>> {
    let folder = StateFolder::open(base, &config.provider_id)?;
    let root = root_key(&folder)?;
    let file = folder.path().join(FILE_NAME);
    if file.exists() && force == Force::No {
        println!("{} is kept; --force replaces it", file.display());
    } else {
        state::write_private(&file, TEMPLATE.as_bytes())?;
        println!("{} is written: edit it, then run `worker check-config`", file.display());
    }
    println!("provider {} ({})", config.provider_id, root.provider_id());
    println!("fingerprint {}", root.provider_id().fingerprint());
    println!("keys lie in {}: keep a copy, whoever has them is this provider", folder.path().display());
    Ok(())
}

/// Whether to replace a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// Keep it.
    No,
    /// Replace it.
    Yes,
}

/// The default, written out.
pub const TEMPLATE: &str = r#"# Configuration of one provider. Everything that is left out has the default shown;
# the environment (PROVIDER_ID, PROVIDER_NAME, MARKETPLACE_MODE) stands above it.

[worker]
# provider_name = "My provider"     # what users see; default: PROVIDER_ID
# mode = "local"                    # "local": this machine only; "network": join others
# network = "pam1:..."              # an invite or the path of a network file, for mode = "network"
# listen_ip = "0.0.0.0"             # network mode only
# tcp_port = 26400                  # set: a taken port is an error; 0: any free one
# ws_port = 26401
# external = ["/dns4/worker.example.org/tcp/443/wss"]   # how the world reaches this node, if it does
# metrics = "127.0.0.1:9464"        # dashboard and metrics, loopback only; default: any free port
# requests_per_minute = 600         # questions taken a minute for each hour's key; 0 for no limit

# The contracts, for `worker chain`; its flags of the same names stand above this.
[chain]
# rpc = "http://127.0.0.1:8545"     # a node of the chain; it learns your address, so prefer your own
# contracts = "contracts.json"      # the JSON that the contracts' deployment wrote, beside this file
# keystore = "account.json"         # made by `worker chain account new`
# passphrase_file = "passphrase"    # or a systemd credential; default: $CHAIN_PASSPHRASE, or asked for

# The embedded engine with a small model; fetch it once with `worker model pull smollm2`.
[[backend]]
name = "demo"
kind = "embedded"
model = "smollm2"                   # or model_path = "file.gguf"
# quant = "f16"                     # "f16" fastest, "q8_0" half the memory, "keep" as in the file
# threads = 1                       # default: all cores but one
# max_concurrency = 2

# Any OpenAI-compatible server: vLLM, llama.cpp, LM Studio, Ollama, a hosted one.
# [[backend]]
# name = "gpu0"
# kind = "openai"                   # or "ollama", whose url may be left out
# url = "http://127.0.0.1:8000/v1"
# api_key_file = "openai_key"       # beside this file, or a systemd credential
# max_concurrency = "auto"          # as the server tells: llama.cpp its slots, vLLM 32, Ollama 1, others 8
# timeouts = { connect = "5s", first_token = "120s", idle = "30s" }
#
# [[model]]
# id = "llama-3.3-70b-instruct"     # as announced
# backends = ["gpu0"]
# upstream_id = "meta-llama/Llama-3.3-70B-Instruct"
# context_length = 32768
# max_output_tokens = 4096
# price = { input_per_mtok = "0.20", output_per_mtok = "0.60" }
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{Environment, Flags},
        scratch::Scratch,
    };

    #[test]
    fn what_init_writes_is_read_again() {
        let scratch = Scratch::new();
        let load = || Config::load(&Flags::default(), &Environment::default(), scratch.path()).unwrap();
        let before = load();
        init(&before, scratch.path(), Force::No).unwrap();
        let written = load();
        assert_eq!(written.source.as_deref(), Some(scratch.path().join("provider").join(FILE_NAME).as_path()));
        assert_eq!(written.models, before.models, "the template is the embedded default");
        init(&written, scratch.path(), Force::No).unwrap();
    }

    #[test]
    fn every_line_of_the_template_is_valid_when_switched_on() {
        let on: String = TEMPLATE
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(code) if code.starts_with("[[") || code.contains(" = ") && !code.starts_with("mode =") => code,
                _ => line,
            })
            .map(|line| format!("{line}\n"))
            .collect();
        let scratch = Scratch::new();
        let path = scratch.path().join("w.toml");
        std::fs::write(&path, on).unwrap();
        let flags = Flags { config: Some(path), network: None };
        let config = Config::load(&flags, &Environment::default(), scratch.path()).unwrap();
        assert_eq!((config.backends.len(), config.models.len()), (2, 2));
    }
}

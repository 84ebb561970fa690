//! Which program an OpenAI-compatible server is, by what it says about itself, and how many jobs it runs at once.

use super::{ListedModel, MAX_JSON_BYTES, OpenAi, PROBE_TIMEOUT, read_at_most};
use serde_json::Value;
use std::sync::atomic::Ordering;
use tokio::time::timeout;

/// Jobs at once of a server that nobody knows: what a hosted service or a small GPU takes.
const UNKNOWN_SLOTS: u32 = 8;
/// vLLM batches as it goes; more than this slows every answer.
const VLLM_SLOTS: u32 = 32;
/// Ollama's and llama.cpp's own default.
const SINGLE_SLOT: u32 = 1;
/// More slots than any machine has are a mistake of the server's.
const MAX_SLOTS: u64 = 4_096;

/// Which program a server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// None of those known here, or it did not answer.
    Unknown,
    /// llama.cpp's `llama-server`.
    LlamaCpp,
    /// Ollama.
    Ollama,
    /// vLLM.
    Vllm,
}

impl Program {
    /// As announced.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "openai",
            Self::LlamaCpp => "llama.cpp",
            Self::Ollama => "ollama",
            Self::Vllm => "vllm",
        }
    }

    /// By the owner that it writes beside its models.
    fn of_owner(owner: &str) -> Self {
        match owner {
            "llamacpp" => Self::LlamaCpp,
            "vllm" => Self::Vllm,
            _ => Self::Unknown,
        }
    }
}

impl OpenAi {
    /// Finds out which program the server is, and from then on speaks to it as such.
    pub async fn recognise(&self) -> Program {
        let Ok(Some(models)) = self.list().await else { return Program::Unknown };
        let program = models.iter().map(ListedModel::program).find(|program| *program != Program::Unknown);
        let program = match program {
            Some(program) => program,
            // Ollama names a model's publisher as its owner, but has an interface of its own.
            None if self.look_at("../api/version", "version").await.is_some() => Program::Ollama,
            None => Program::Unknown,
        };
        self.continuous_usage.store(program == Program::Vllm, Ordering::Relaxed);
        program
    }

    /// Jobs that the server runs at once, as it says or as programs of its kind do.
    pub async fn slots(&self, program: Program) -> u32 {
        match program {
            Program::Unknown => UNKNOWN_SLOTS,
            Program::Vllm => VLLM_SLOTS,
            Program::Ollama => SINGLE_SLOT,
            Program::LlamaCpp => {
                let told = self.look_at("../props", "total_slots").await.as_ref().and_then(Value::as_u64);
                let told = told.map(|slots| slots.clamp(1, MAX_SLOTS));
                told.and_then(|slots| u32::try_from(slots).ok()).unwrap_or(SINGLE_SLOT)
            }
        }
    }

    /// A field of a JSON object that the server has beside its `/v1`.
    async fn look_at(&self, path: &str, field: &str) -> Option<Value> {
        let url = self.models.join(path).ok()?;
        let ask = async {
            let response = self.client.get(url).send().await.ok()?;
            if !response.status().is_success() {
                return None;
            }
            read_at_most(response, MAX_JSON_BYTES).await.ok()
        };
        let body = timeout(PROBE_TIMEOUT, ask).await.ok()??;
        let mut object: Value = serde_json::from_slice(&body).ok()?;
        object.get_mut(field).map(Value::take)
    }
}

impl ListedModel {
    fn program(&self) -> Program {
        Program::of_owner(self.owned_by.as_deref().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inference::openai::{Settings, Timeouts};
    use tokio::{
        io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
        net::TcpListener,
    };

    /// A server that answers these paths with these bodies, and 404 to any other; what it is told to be, and its slots.
    async fn check(base: &str, pages: &'static [(&str, &str)], expected: (Program, u32)) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut line = String::new();
                let _ = BufReader::new(&mut stream).read_line(&mut line).await;
                let path = line.split(' ').nth(1).unwrap_or_default();
                let page = pages.iter().find(|(known, _)| *known == path);
                let status = if page.is_some() { "200 OK" } else { "404 Not Found" };
                let body = page.map_or("", |(_, body)| body);
                let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", body.len());
                let _ = stream.write_all((head + body).as_bytes()).await;
            }
        });
        let settings =
            Settings { url: format!("http://{address}{base}"), api_key: None, timeouts: Timeouts::default() };
        let client = OpenAi::new(&settings).unwrap();
        let program = client.recognise().await;
        assert_eq!((program, client.slots(program).await), expected, "{base} {pages:?}");
        assert_eq!(client.dialect().continuous_usage, program == Program::Vllm);
    }

    #[tokio::test]
    async fn servers_are_known_by_what_they_say() {
        const VLLM: &str = r#"{"data":[{"id":"m","owned_by":"vllm"}]}"#;
        const LLAMA: &str = r#"{"data":[{"id":"m","owned_by":"llamacpp"}]}"#;
        const OTHER: &str = r#"{"data":[{"id":"m","owned_by":"library"},{"id":"n"}]}"#;
        check("/v1", &[("/v1/models", VLLM)], (Program::Vllm, 32)).await;
        check("/v1", &[("/v1/models", LLAMA), ("/props", r#"{"total_slots":6}"#)], (Program::LlamaCpp, 6)).await;
        check("/x/v1", &[("/x/v1/models", LLAMA), ("/x/props", r#"{"total_slots":3}"#)], (Program::LlamaCpp, 3)).await;
        check("/v1", &[("/v1/models", LLAMA), ("/props", r#"{"total_slots":-1}"#)], (Program::LlamaCpp, 1)).await;
        check("/v1", &[("/v1/models", LLAMA)], (Program::LlamaCpp, 1)).await;
        check("/v1", &[("/v1/models", OTHER), ("/api/version", r#"{"version":"0.12"}"#)], (Program::Ollama, 1)).await;
        check("/v1", &[("/v1/models", OTHER), ("/api/version", "<html>")], (Program::Unknown, 8)).await;
        check("/v1", &[("/v1/models", OTHER)], (Program::Unknown, 8)).await;
        check("/v1", &[("/v1/models", "[]")], (Program::Unknown, 8)).await;
        check("/v1", &[], (Program::Unknown, 8)).await;
    }
}

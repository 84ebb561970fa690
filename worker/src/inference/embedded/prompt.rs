//! From messages to token ids: the GGUF's own tokenizer and chat template. Text of users and clients can never become a
//! control token: it is encoded apart from the template's text, by a tokenizer that takes special tokens literally.

use super::LoadError;
use crate::inference::Message;
use candle_core::quantized::gguf_file::{Content, Value};
use candle_core::quantized::tokenizer::TokenizerFromGguf;
use minijinja::value::{Serde, Value as Rendered};
use minijinja::{Environment, ErrorKind};
use tokenizers::Tokenizer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::{PreTokenizerWrapper, digits::Digits, sequence::Sequence};

/// Work that rendering one chat template may take; SmolLM2's takes about 30 a message.
const TEMPLATE_FUEL: u64 = 1_000_000;
/// A template is a few kilobytes.
const MAX_TEMPLATE_BYTES: usize = 64 * 1024;
/// What stands for the n-th message's text while the template is rendered; private-use characters, which no template
/// contains ([`Prompter::load`] checks).
const OPEN: char = '\u{E000}';
/// See [`OPEN`].
const CLOSE: char = '\u{E001}';

/// Makes prompts for one model.
pub struct Prompter {
    /// Knows control tokens.
    tokenizer: Tokenizer,
    /// Takes them as plain text.
    literal: Tokenizer,
    template: String,
    bos: String,
    eos: String,
    ends: Vec<u32>,
}

impl Prompter {
    /// Reads tokenizer and template.
    ///
    /// # Errors
    /// Without a chat template (a base model) and for a pre-tokenizer that candle would silently replace.
    pub fn load(content: &Content) -> Result<Self, LoadError> {
        let text = |key: &str| content.metadata.get(key).and_then(|value| value.to_string().ok()).cloned();
        let template = text("tokenizer.chat_template").ok_or(LoadError::NoTemplate)?;
        if template.len() > MAX_TEMPLATE_BYTES || template.contains([OPEN, CLOSE]) {
            return Err(LoadError::Unusable("its chat template"));
        }
        let mut tokenizer = Tokenizer::from_gguf(content)?;
        let pre = text("tokenizer.ggml.pre").unwrap_or_default();
        match pre.as_str() {
            // candle takes an unknown name for GPT-2 with a false space after each special token.
            "smollm" => {
                let steps: Vec<PreTokenizerWrapper> =
                    vec![Digits::new(true).into(), ByteLevel::new(false, true, true).into()];
                tokenizer.with_pre_tokenizer(Some(Sequence::new(steps)));
                tokenizer.with_decoder(Some(ByteLevel::new(false, true, true)));
                tokenizer.with_post_processor(Some(ByteLevel::new(false, true, true)));
            }
            "qwen2" | "llama3" | "smaug-bpe" | "lfm2" => {}
            _ => return Err(LoadError::Tokenizer(pre)),
        }
        let token = |key: &str| {
            let id = content.metadata.get(key).and_then(number)?;
            tokenizer.id_to_token(id).map(|token| (id, token))
        };
        let bos = token("tokenizer.ggml.bos_token_id").map(|(_, token)| token).unwrap_or_default();
        let (end, eos) = token("tokenizer.ggml.eos_token_id").ok_or(LoadError::Unusable("its end token"))?;
        let mut ends = vec![end];
        for name in ["<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|end_of_text|>"] {
            ends.extend(tokenizer.token_to_id(name).filter(|id| *id != end));
        }
        let mut literal = tokenizer.clone();
        literal.set_encode_special_tokens(true);
        Ok(Self { tokenizer, literal, template, bos, eos, ends })
    }

    /// The tokenizer, for decoding.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Whether an answer ends with this token.
    pub fn ends_with(&self, id: u32) -> bool {
        self.ends.contains(&id)
    }

    /// The ids of a whole conversation, up to where the assistant begins to speak.
    ///
    /// # Errors
    /// When the template refuses the conversation (roles it does not know).
    pub fn encode(&self, messages: &[Message]) -> Result<Vec<u32>, LoadError> {
        self.encode_as(messages, Turn::Open)
    }

    /// The ids of an answer's given beginning, which follow those of the conversation.
    ///
    /// # Errors
    /// When the tokenizer fails.
    pub fn encode_prefix(&self, prefix: &str) -> Result<Vec<u32>, LoadError> {
        let mut ids = Vec::new();
        self.append(&self.literal, prefix, &mut ids)?;
        Ok(ids)
    }

    /// The ids of a conversation that begins with these messages, whatever follows.
    ///
    /// # Errors
    /// As [`Prompter::encode`].
    pub fn encode_beginning(&self, messages: &[Message]) -> Result<Vec<u32>, LoadError> {
        self.encode_as(messages, Turn::Closed)
    }

    fn encode_as(&self, messages: &[Message], turn: Turn) -> Result<Vec<u32>, LoadError> {
        let stand_ins: Vec<_> = messages
            .iter()
            .enumerate()
            .map(|(n, message)| StandIn { role: message.role.as_str(), content: format!("{OPEN}{n}{CLOSE}") })
            .collect();
        let rendered = self.render(&stand_ins, turn)?;
        let mut ids = Vec::new();
        let mut rest = rendered.as_str();
        while let Some((before, after)) = rest.split_once(OPEN) {
            let (number, after) = after.split_once(CLOSE).ok_or(LoadError::Unusable("its chat template"))?;
            let message = number.parse::<usize>().ok().and_then(|n| messages.get(n));
            let message = message.ok_or(LoadError::Unusable("its chat template"))?;
            self.append(&self.tokenizer, before, &mut ids)?;
            self.append(&self.literal, &message.joined_text(), &mut ids)?;
            rest = after;
        }
        self.append(&self.tokenizer, rest, &mut ids)?;
        Ok(ids)
    }

    fn append(&self, tokenizer: &Tokenizer, text: &str, ids: &mut Vec<u32>) -> Result<(), LoadError> {
        if !text.is_empty() {
            ids.extend_from_slice(tokenizer.encode(text, false)?.get_ids());
        }
        Ok(())
    }

    fn render(&self, messages: &[StandIn], turn: Turn) -> Result<String, LoadError> {
        let mut environment = Environment::new();
        environment.set_fuel(Some(TEMPLATE_FUEL));
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |_: String| -> Result<String, minijinja::Error> {
            Err(minijinja::Error::new(ErrorKind::InvalidOperation, "the template refuses this conversation"))
        });
        let context = minijinja::context! {
            messages => Rendered::from(Serde(messages)),
            add_generation_prompt => matches!(turn, Turn::Open),
            bos_token => self.bos.as_str(),
            eos_token => self.eos.as_str(),
        };
        Ok(environment.render_str(&self.template, context)?)
    }
}

/// Whether the assistant's turn is opened at the end.
#[derive(Clone, Copy)]
enum Turn {
    Open,
    Closed,
}

#[derive(serde::Serialize)]
struct StandIn {
    role: &'static str,
    content: String,
}

fn number(value: &Value) -> Option<u32> {
    value.to_u64().ok().and_then(|n| u32::try_from(n).ok())
}

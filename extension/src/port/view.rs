//! What panels are shown: views of the network, providers, conversations and messages.

use crate::json::record;

record! {
    /// What is left of the day's free requests.
    #[derive(Clone, Copy, Debug, Default, PartialEq)]
    pub struct FreeView {
        /// A day's requests.
        pub limit: u32,
        /// Used or under way.
        pub used: u32,
        /// Of those, used without an answer.
        pub lost: u32,
        /// Of those, failed and open to the same providers.
        pub open: u32,
        /// Unix ms of the next UTC day.
        pub reset_ms: u64,
    }
}

record! {
    /// The way to the network.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct NetworkView {
        /// `unset` (no entry node yet), `connecting`, `connected`, `lost`.
        pub state: String,
        /// Seconds until the next try, when lost.
        pub next_try_s: Option<u32>,
        /// Each entry node: its address and `connected`, `connecting` or `no answer`.
        pub nodes: Vec<(String, String)>,
        /// Set when several providers say so: seconds that this clock is ahead.
        pub clock_off_s: Option<i64>,
        /// First discovery since connecting: ms from the order to connect to a usable provider.
        pub discovery_ms: Option<u32>,
    }
}

record! {
    /// A provider, as the panel shows it.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct ProviderView {
        /// providerId text, 52 characters.
        pub id: String,
        /// Its handle.
        pub handle: String,
        /// Its name.
        pub name: String,
        /// First 16 characters of the id in fours.
        pub fingerprint: String,
        /// 15 bits of the 5 x 5 mirrored glyph, row by row, three columns each.
        pub glyph: u16,
        /// `online`, `busy`, `offline`, `unknown`.
        pub status: String,
        /// Waiting requests, when busy.
        pub waiting: u32,
        /// Announced median response time in ms, 0 unknown.
        pub response_ms: u32,
        /// `online`, `busy`, `degraded`, `offline` or `unknown`: as announced, and as it served this user.
        pub state: String,
        /// Time to the first word in ms as measured here: half, and 95 of 100 requests, do not exceed it.
        pub first_ms: Option<(u32, u32)>,
        /// The last times to the first word, oldest first.
        pub recent_first_ms: Vec<u32>,
        /// Tokens a second as measured here, times ten.
        pub tenth_tokens_per_s: Option<u32>,
        /// Share of requests answered to their end, in permille, and of how many.
        pub success: Option<(u32, u32)>,
        /// This user's stars in thousandths, and how many ratings.
        pub felt: Option<(u32, u32)>,
        /// Its measured score in thousandths of a star, and of how many requests.
        pub measured: Option<(u32, u32)>,
        /// Its place in the automatic choice, the best is 0; none when it is not chosen from.
        pub place: Option<u32>,
        /// Why it stands there, in words.
        pub why: Option<String>,
        /// The user's lists keep it from being asked.
        pub blocked: bool,
        /// Maximum concurrent requests.
        pub max_concurrent: u32,
        /// Its models.
        pub models: Vec<ModelView>,
        /// Unix ms of the last heartbeat.
        pub heard_ms: u64,
        /// A question can be sealed to it now.
        pub usable: bool,
        /// Fingerprint and id text known under this handle before, when not trusted yet.
        pub key_changed_from: Option<String>,
        /// Signed two keys at once.
        pub equivocated: bool,
        /// Two nodes gave the same key; until then it might be one made for this user alone.
        pub confirmed: bool,
        /// A node other than the provider's own carries the request: it does not learn the IP.
        pub hides_ip: bool,
    }
}

record! {
    /// A model, as the panel shows it.
    #[derive(Clone, Debug, PartialEq)]
    pub struct ModelView {
        /// Its id.
        pub id: String,
        /// Context length in tokens.
        pub context: u32,
        /// Preset, engine and quantisation in words, may be empty.
        pub detail: String,
        /// Tokens a second as announced.
        pub tokens_per_s: u32,
        /// Price of 10^6 prompt tokens and of 10^6 completion tokens in base units, as decimal digits; "0" is free.
        pub price: (String, String),
    }
}

record! {
    /// A row of the conversation list.
    #[derive(Clone, Debug, PartialEq)]
    pub struct ConversationRow {
        /// Its id.
        pub id: String,
        /// Its title.
        pub title: String,
        /// Unix ms of its last change.
        pub changed_ms: u64,
        /// Count of messages.
        pub messages: u32,
        /// It stays at the top.
        pub pinned: bool,
    }
}

record! {
    /// A conversation.
    #[derive(Clone, Debug, PartialEq)]
    pub struct ConversationView {
        /// Its id.
        pub id: String,
        /// Its title.
        pub title: String,
        /// Its messages in order.
        pub messages: Vec<MessageView>,
        /// Whether it stays at the top; none is no.
        pub pinned: Option<bool>,
    }
}

record! {
    /// A chat in which words were found.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Hit {
        /// Its id.
        pub conversation: String,
        /// The first message in which they are, by its id.
        pub message: String,
        /// Messages in which they are.
        pub count: u32,
        /// What stands before them in the first of these.
        pub before: String,
        /// They, as they stand there.
        pub found: String,
        /// What stands behind them.
        pub after: String,
    }
}

record! {
    /// What was asked of one provider on one day.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct UsageRow {
        /// UTC day since 1970.
        pub day: u32,
        /// providerId text, empty where nobody was asked.
        pub provider: String,
        /// Its name then.
        pub name: String,
        /// Questions.
        pub questions: u32,
        /// Of those, answered to the end.
        pub answered: u32,
        /// Prompt and completion tokens.
        pub tokens: (u64, u64),
    }
}

record! {
    /// A message.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct MessageView {
        /// Its id.
        pub id: String,
        /// `user` or `assistant`.
        pub role: String,
        /// Its text so far.
        pub text: String,
        /// For an answer: how it stands. `waiting`, `streaming`, `stalled`, `complete`, `truncated`, `stopped`, `error`,
        /// `silent`, `no_provider`, `key_changed`, `no_network`, `limit`, `uncounted`, `damaged`.
        pub phase: String,
        /// For `error`: the code of protocol section 5.8 and seconds until a retry may work.
        pub code: Option<u16>,
        /// Seconds until a retry may work, 0 unknown.
        pub retry_after: Option<u16>,
        /// providerId text of who answers or answered (or the one whose key changed).
        pub provider: Option<String>,
        /// Its name at that time.
        pub provider_name: Option<String>,
        /// The model.
        pub model: Option<String>,
        /// Unix ms when it was asked.
        pub asked_ms: u64,
        /// ms from asked to accepted.
        pub accept_ms: Option<u32>,
        /// ms from asked to the first text.
        pub first_ms: Option<u32>,
        /// ms from asked to the end.
        pub total_ms: Option<u32>,
        /// Prompt and completion tokens.
        pub tokens: Option<(u64, u64)>,
        /// Finish reason.
        pub finish: Option<String>,
        /// `valid`, `implausible` (valid, but its counts look wrong), `bad`, or none when none came.
        pub receipt: Option<String>,
        /// Peer ids of the nodes that carried it out and back, as (out, back, out is provider's own, back is provider's own).
        pub route: Option<(String, String, bool, bool)>,
        /// Why this provider, where the choice was ours.
        pub why: Option<String>,
        /// Who was asked, and so could read it: providerId text and name of each.
        pub asked: Option<Vec<(String, String)>>,
        /// Name of a provider that was asked as well because the first word was late.
        pub also_asked: Option<String>,
        /// Name of who began it, where another provider took over.
        pub begun_by: Option<String>,
        /// Where another provider took over: byte of the text, its name, whether it began anew.
        pub cuts: Option<Vec<(u64, String, bool)>>,
        /// The day's request that it took: `used`, `back` (given back) or `open` (to the same providers).
        pub unit: Option<String>,
        /// Until when it is open, in Unix ms; then it was used without an answer.
        pub open_until_ms: Option<u64>,
        /// The user's stars.
        pub stars: Option<u8>,
    }
}

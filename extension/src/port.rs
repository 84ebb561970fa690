//! What passes between panel and background: commands one way, updates the other, as JSON over one
//! `chrome.runtime` port. No key is in any of them; the panel sees only what it shows.

pub use crate::json::{decode, encode};
use crate::json::{record, tagged};
pub use crate::platform::new_id;
pub use crate::settings::{Weights, preset};
pub use privacyai::map::{Map, sort};
pub use view::{
    ConversationRow, ConversationView, FreeView, Hit, MessageView, ModelView, NetworkView, ProviderView, UsageRow,
};

mod view;

/// The port's name; only the background's host answers it.
pub const PORT: &str = "panel";

/// What is refused when the browser's store is full.
pub const FULL: &str = "Full: new answers are not kept.";

/// What is refused as the browser's store does not take the day's count.
pub const UNCOUNTED: &str = "Not sent: there is no room to count the question. Free some space first.";

/// How a command begins that brings chats of a file: it may be longer than others.
pub const IMPORT: &str = "{\"conversations\":[";

/// How a refusal begins of a background that cannot open its store.
pub const STUCK: &str = "PrivacyAI cannot start";

/// What an exported file says of itself.
pub const EXPORT: &str = "privacyai-export";

tagged! {
    /// What a user does. Imperative.
    #[derive(Clone, Debug, PartialEq)]
    pub enum Command by "do" {
        /// First message of a panel: answered by one [`Update::Snapshot`].
        Hello = "hello",
        /// Ask in a conversation; without one a new conversation begins.
        Ask = "ask" {
            /// The conversation's id.
            conversation: Option<String>,
            /// The id of the new one, so that who asked knows it from what others ask; none leaves it to the background.
            begins: Option<String>,
            /// The words.
            text: String,
            /// Replaces this earlier question and drops what followed it (edit and resend).
            replaces: Option<String>,
            /// Set when this one question shall go to a provider other than the chosen one (retry with another).
            provider: Option<String>,
        },
        /// Ask the same question again: drops the answer with this message id and asks anew.
        Retry = "retry" {
            /// The conversation.
            conversation: String,
            /// The answer's message id.
            answer: String,
            /// Another provider for this once.
            provider: Option<String>,
        },
        /// Give an answer stars.
        Rate = "rate" {
            /// The conversation.
            conversation: String,
            /// The answer's message id.
            answer: String,
            /// 1 to 5.
            stars: u8,
            /// Bits: 1 wrong, 2 slow, 4 cut off, 8 of great help.
            reasons: u8,
        },
        /// Put a provider on the list of the only ones that are asked, or take it off.
        Allow = "allow" {
            /// providerId text.
            provider: String,
            /// Ask it.
            on: bool,
        },
        /// Never ask this provider again, or let it be asked again.
        Block = "block" {
            /// providerId text.
            provider: String,
            /// Never again.
            on: bool,
        },
        /// Stop the answer with this message id.
        Stop = "stop" {
            /// The answer's message id.
            answer: String,
        },
        /// Show a conversation: answered by [`Update::Conversation`].
        Open = "open" {
            /// Its id.
            conversation: String,
        },
        /// Rename a conversation.
        Rename = "rename" {
            /// Its id.
            conversation: String,
            /// Its new title.
            title: String,
        },
        /// Delete a conversation.
        Delete = "delete" {
            /// Its id.
            conversation: String,
        },
        /// Automatic (none) or this provider and model from the next question on.
        Choose = "choose" {
            /// providerId text, or none for automatic.
            provider: Option<String>,
            /// Model id, or none for the provider's first.
            model: Option<String>,
        },
        /// Trust a provider whose handle was known under another key.
        Trust = "trust" {
            /// providerId text.
            provider: String,
        },
        /// Read an invite without taking it: answered by [`Update::Invite`].
        ReadInvite = "read_invite" {
            /// What was pasted.
            text: String,
        },
        /// Take an invite.
        Join = "join" {
            /// What was pasted.
            text: String,
        },
        /// Replace the settings.
        Set = "set" {
            /// The new ones.
            settings: Settings,
        },
        /// Connect now instead of waiting for the next try.
        TryNow = "try_now",
        /// Keep a conversation at the top of the list, or not.
        Pin = "pin" {
            /// Its id.
            conversation: String,
            /// At the top.
            on: bool,
        },
        /// All conversations and settings, or one conversation, as JSON text: answered by [`Update::Exported`].
        Export = "export" {
            /// Only this one.
            conversation: Option<String>,
        },
        /// Search the words of all chats: answered by [`Update::Found`], until another search.
        Find = "find" {
            /// What to look for; nothing ends a search.
            text: String,
        },
        /// What was asked, by day and provider: answered by [`Update::Usage`].
        Usage = "usage",
        /// All receipts as JSON text: answered by [`Update::Receipts`].
        Receipts = "receipts",
        /// Take conversations of an exported file in: answered by [`Update::Imported`].
        Import = "import" {
            /// They.
            conversations: Vec<ConversationView>,
        },
        /// Delete every conversation, setting and key, as after a new installation.
        DeleteAll = "delete_all",
    }
}

tagged! {
    /// What the background tells. Past or present.
    #[derive(Clone, Debug, PartialEq)]
    pub enum Update by "is" {
        /// Everything a new panel needs.
        Snapshot = "snapshot" {
            /// Settings.
            settings: Settings,
            /// The network's state.
            network: NetworkView,
            /// All seen providers.
            providers: Vec<ProviderView>,
            /// All conversations, newest first.
            conversations: Vec<ConversationRow>,
            /// The conversation last open, if there is one.
            open: Option<ConversationView>,
            /// What is left of the day's free requests, once that is known.
            free: Option<FreeView>,
        },
        /// What is left of the day's free requests changed.
        Free = "free" {
            /// Now.
            free: FreeView,
        },
        /// The network's state changed.
        Network = "network" {
            /// Now.
            network: NetworkView,
        },
        /// A provider was seen or changed.
        Provider = "provider" {
            /// Now.
            provider: ProviderView,
        },
        /// The list of conversations changed.
        Conversations = "conversations" {
            /// Newest first.
            conversations: Vec<ConversationRow>,
        },
        /// A conversation, whole.
        Conversation = "conversation" {
            /// It.
            conversation: ConversationView,
        },
        /// One message of a conversation was added or changed (all but its growing text).
        Message = "message" {
            /// Which conversation.
            conversation: String,
            /// It.
            message: MessageView,
        },
        /// More text at the end of an answer.
        Delta = "delta" {
            /// Which conversation.
            conversation: String,
            /// The answer's message id.
            answer: String,
            /// The new piece.
            text: String,
        },
        /// Settings were replaced.
        Settings = "settings" {
            /// Now.
            settings: Settings,
        },
        /// What a pasted invite would change, or why it cannot be read.
        Invite = "invite" {
            /// Lines to show, one a change.
            changes: Vec<String>,
            /// Set when it cannot be taken.
            error: Option<String>,
        },
        /// A piece of the export's JSON text.
        Exported = "exported" {
            /// What follows the pieces before it.
            json: String,
            /// The one conversation in it, if it was asked for.
            conversation: Option<String>,
            /// Another piece follows.
            more: bool,
        },
        /// The receipts' JSON text.
        Receipts = "receipts" {
            /// The file's content.
            json: String,
        },
        /// What was asked, from the kept conversations.
        Usage = "usage" {
            /// A row for each day and provider.
            rows: Vec<UsageRow>,
            /// The times to the first word, in ms, of each UTC day that has some.
            firsts: Vec<(u32, Vec<u32>)>,
        },
        /// What a search has found so far.
        Found = "found" {
            /// What was looked for.
            text: String,
            /// A hit a chat, newest first.
            hits: Vec<Hit>,
            /// All was looked through.
            done: bool,
        },
        /// What came of an import.
        Imported = "imported" {
            /// Taken.
            added: u32,
            /// Not taken, as they are here already.
            present: u32,
            /// Not taken, as they are no conversations.
            broken: u32,
        },
        /// Something that the user has to know.
        Notice = "notice" {
            /// One sentence or more.
            text: String,
        },
        /// A command could not be done; nothing typed is lost.
        Refused = "refused" {
            /// What failed and what to do, one sentence each.
            text: String,
        },
    }
}

record! {
    /// Settings, all of them stored sealed.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct Settings {
        /// Entry nodes: WebSocket multiaddrs with peer id.
        pub entry_nodes: Vec<String>,
        /// `balanced`, `fast` or `high`.
        pub profile: String,
        /// `system`, `light` or `dark`.
        pub theme: String,
        /// Show answers only when complete (for screen readers).
        pub whole_answers: bool,
        /// providerId text of the chosen provider; none is automatic.
        pub provider: Option<String>,
        /// Chosen model id.
        pub model: Option<String>,
        /// Keys that the user changed: what they do, and the keys, empty for none.
        pub keys: Option<Vec<(String, String)>>,
        /// What automatic choice looks at: `balanced` (also none), `fastest`, `cheapest` or `trusted`.
        pub prefer: Option<String>,
        /// Ask a second provider, which then reads the question too, when the first word is late; none is yes.
        pub hedge: Option<bool>,
        /// providerId texts of those that are never asked.
        pub blocked: Option<Vec<String>>,
        /// providerId texts of the only ones that are asked, unless there are none.
        pub allowed: Option<Vec<String>>,
        /// What automatic choice weighs, in place of what `prefer` names.
        pub weights: Option<Weights>,
    }
}

record! {
    /// What of an exported file is read again.
    #[derive(Clone, Debug)]
    pub struct Export {
        /// [`EXPORT`].
        pub format: String,
        /// 1.
        pub version: u32,
        /// All conversations in it.
        pub conversations: Vec<ConversationView>,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_brings_chats_is_told_by_its_beginning() {
        assert!(encode(&Command::Import { conversations: Vec::new() }).starts_with(IMPORT));
        let ask = Command::Ask { conversation: None, begins: None, text: "[".into(), replaces: None, provider: None };
        assert!(!encode(&ask).starts_with(IMPORT));
    }
}

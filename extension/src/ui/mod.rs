//! The interface: what a user sees and presses, for popup, side panel and tab alike. It knows the background by
//! [`crate::port`] alone and holds no key.
//!
//! Addresses: `#/`, `#/history`, `#/providers`, `#/usage`, `#/settings`, `#/network`, `#/details/MESSAGE`,
//! `#/key-changed/PROVIDER`. `?view=popup|panel|tab` says where the page stands.
//!
//! `data-testid` of what browser tests read and press:
//!
//! | id | what, and its attributes |
//! |---|---|
//! | `app` | everything; `data-loaded`, `data-linked`, `data-page` |
//! | `network-state` | the way to the network; `data-state` (`unset`, `connecting`, `connected`, `lost`), `data-discovery-ms` |
//! | `invite-input`, `invite-read`, `invite-join`, `invite-changes`, `invite-error` | taking an invite |
//! | `composer-input`, `send`, `stop`, `queue-cancel` | asking; `send` has `data-ready` |
//! | `context` | how full the reader's context is, from 70 % on |
//! | `provider-chip` | who answers next; `data-provider-id`, `data-status`, `data-automatic` |
//! | `reader` | the footer's sentence; `data-warn` |
//! | `quota`, `free` | the day's free questions, `data-left`; "free" where nobody reaches the limit |
//! | `limit-card`, `limit-rest`, `limit-queue` | none is left |
//! | `suggestion` | a question to start with |
//! | `question` | a question; `data-message-id`; inside `question-edit`, `question-copy` |
//! | `answer` | an answer; `data-message-id`, `data-phase`, `data-provider`, `data-code` |
//! | `answer-text`, `answer-waiting`, `answer-cost`, `answer-copy`, `answer-retry`, `answer-other`, `answer-continue` | inside an answer |
//! | `answer-cut` | another provider took over here |
//! | `answer-notice`, `notice-action` | its failure: `data-phase`; `data-act` |
//! | `rating`, `star-1` to `star-5`, `rating-reason`, `rating-skip`, `rated` | stars below the newest answer |
//! | `code-block`, `code-copy` | code |
//! | `new-chat`, `open-history`, `more`, `back`, `open-tab` | header |
//! | `usage`, `usage-span-14`, `-84`, `usage-table`, `usage-days`, `usage-firsts`, `usage-firsts-table`, `usage-first-days`, `usage-providers` | what was asked, in figures |
//! | `nav-chat`, `nav-providers`, `nav-usage`, `nav-settings`, `nav-network` | navigation from 720 px |
//! | `provider-automatic`, `prefer-balanced`, `-fastest`, `-cheapest`, `-trusted`, `-custom`, `weight-speed`, `-price`, `-reputation`, `-load`, `provider-row`, `provider-pick` | choice; row: `data-provider-id`, `data-status`, `data-state`, `data-usable`, `data-chosen`, `data-blocked` |
//! | `provider-search`, `provider-state`, `provider-order`, `provider-sort`, `provider-block`, `provider-area`, `provider-more`, `provider-facts`, `provider-only`, `list-only`, `list-never`, `spark` | the list of providers and a row's parts |
//! | `history-row`, `history-open`, `history-rename`, `history-title`, `history-delete`, `history-confirm`, `history-search`, `history-hit`, `history-pin`, `history-export`, `export-markdown`, `export-json`, `import`, `import-file` | conversations; row: `data-conversation-id` |
//! | `settings-profile-balanced`, `-fast`, `-high`, `settings-theme-system`, `-light`, `-dark`, `settings-whole`, `settings-nodes`, `settings-nodes-save`, `settings-export`, `settings-delete`, `settings-delete-word`, `settings-delete-confirm`, `settings-version`, `settings-key` (`data-key`), `settings-keys-said`, `settings-keys-reset`, `settings-single-keys` | settings |
//! | `try-now`, `open-network` | no way to the network |
//! | `no-provider` | nobody answers |
//! | `key-changed`, `key-changed-input`, `key-changed-trust`, `key-changed-other`, `key-changed-wait` | the key screen |
//! | `details`, `details-key`, `details-receipt` | an answer's facts |
//! | `palette`, `palette-input`, `palette-run` | commands; `data-command` |
//! | `keys` | the list of keys |
//! | `toast`, `free-space`, `stuck-delete`, `stuck-sure` | something refused; the store is full, or cannot be opened |
//! | `banner`, `clock-fix` | why nobody can be asked; how to put the clock right |
//! | `to-end` | back to the newest message |
//! | `live` | what a screen reader hears |

mod answer;
mod app;
mod bars;
mod blocks;
mod chat;
mod choosing;
mod clipboard;
mod code;
mod column;
mod composer;
mod cut;
mod details;
mod draft;
mod empty;
mod file;
mod format;
mod glyph;
mod history;
mod icon;
mod invite;
mod key_change;
mod keyboard;
mod keys;
mod lines;
mod link;
mod list;
mod live;
mod markdown;
mod notice;
mod page;
mod palette;
mod provider;
mod providers;
mod quota;
mod rating;
mod raw;
mod rebind;
mod redraw;
mod segments;
mod settings;
mod spark;
mod state;
mod status;
mod transcript;
mod updates;
mod usage;
mod window;
mod windowed;
mod words;
mod written;

/// Draws the panel into the page's `#app`, or its body, and connects to the background.
pub fn run() {
    app::run();
}

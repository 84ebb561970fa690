//! What leaves as a file: conversations and settings, and the receipts. One conversation at a time is in memory, and a port
//! takes 64 MiB at once, so an export is told in pieces.

use super::Background;
use super::commands::hex;
use crate::json;
use crate::platform;
use crate::port::{ConversationView, EXPORT, Update};
use crate::storage::Storage;
use privacyai::effect::Table;
use privacyai::receipt::{Counts, Kept, Receipt};

/// Bytes of one piece. A quote in a message is two of them, and eight where the port has written it as JSON in JSON.
const PIECE: usize = 8 * 1024 * 1024;

impl Background {
    /// Tells a panel all conversations and settings, or one conversation, as JSON text.
    pub(super) async fn export(&mut self, panel: u32, only: Option<String>) {
        let ids = only.as_ref().map_or_else(|| self.book.ids(), |id| vec![id.clone()]);
        let head = json::object(vec![
            ("format", EXPORT.into()),
            ("version", 1.into()),
            ("exported_ms", platform::now().0.into()),
        ]);
        let mut text = format!("{},\"conversations\":[", head.to_string().trim_end_matches('}'));
        let mut between = "";
        for id in ids {
            let Some(conversation) = self.read(&id).await else { continue };
            text.push_str(between);
            text.push_str(&json::encode(&conversation));
            between = ",";
            while let Some(json) = piece(&mut text, PIECE) {
                self.panels.tell(panel, &Update::Exported { json, conversation: only.clone(), more: true });
            }
        }
        text.push(']');
        if only.is_none() {
            let unreadable = self.database.damaged().len();
            let settings = json::encode(&self.settings);
            text.push_str(&format!(",\"settings\":{settings},\"unreadable_rows\":{unreadable}"));
        }
        text.push('}');
        self.panels.tell(panel, &Update::Exported { json: text, conversation: only, more: false });
    }

    /// A conversation, whole, without keeping it in memory.
    async fn read(&mut self, conversation: &str) -> Option<ConversationView> {
        let known = self.book.view(conversation);
        if known.is_some() {
            return known;
        }
        let values = self.stored(conversation).await;
        self.book.peek(conversation, &values)
    }

    /// The kept receipts with what it takes to verify them.
    pub(super) async fn receipts(&self) -> String {
        let rows = self.database.scan(Table::Receipts).await.unwrap_or_default();
        let receipts: Vec<serde_json::Value> = rows
            .iter()
            .filter_map(|row| {
                let kept = Kept::decode(&row.value).ok()?;
                let receipt = Receipt::open(&kept.wire, &kept.operational).ok()?;
                Some(json::object(vec![
                    ("at_ms", kept.at.0.into()),
                    ("provider", receipt.provider.to_string().into()),
                    ("model", kept.model.into()),
                    ("prompt", receipt.prompt.into()),
                    ("completion", receipt.completion.into()),
                    ("counts_look_wrong", (kept.counts == Counts::Implausible).into()),
                    ("finish", receipt.finish.into()),
                    ("signed_by", hex(&kept.operational).into()),
                    ("receipt", hex(&kept.wire).into()),
                ]))
            })
            .collect();
        json::object(vec![
            ("format", "privacyai-receipts".into()),
            ("version", 1.into()),
            ("receipts", receipts.into()),
        ])
        .to_string()
    }
}

/// Takes a piece of so many bytes, or some fewer, from the front of a longer text.
fn piece(text: &mut String, longest: usize) -> Option<String> {
    if text.len() <= longest {
        return None;
    }
    let rest = text.split_off(text.floor_char_boundary(longest));
    Some(std::mem::replace(text, rest))
}

#[cfg(test)]
mod tests {
    use super::piece;

    #[test]
    fn pieces_are_the_text_and_none_is_longer() {
        let whole = "a\u{e9}\u{1f30d}".repeat(100);
        let (mut text, mut pieces) = (whole.clone(), Vec::new());
        while let Some(piece) = piece(&mut text, 10) {
            pieces.push(piece);
        }
        pieces.push(text);
        assert!(pieces.iter().all(|piece| (1..=10).contains(&piece.len())) && pieces.len() > 60);
        assert_eq!(pieces.concat(), whole);
    }
}

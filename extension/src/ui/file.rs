//! Files out and in: exports as JSON and Markdown, and conversations of an exported file.

use std::cell::Cell;

use js_sys::{Array, Uint8Array};
use sycamore::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::{JsFuture, spawn_local};

use super::state::App;
use super::{cut, format};
use crate::port::{self, Command, ConversationView, EXPORT, Export};

/// Bytes of one word to the background; it takes a MiB.
const WORD: usize = 900_000;

/// Characters of a file's name made from a title.
const NAME: usize = 40;

thread_local! {
    /// The next exported conversation is wanted as Markdown.
    static AS_MARKDOWN: Cell<bool> = const { Cell::new(false) };
}

/// Asks for one conversation as a file.
pub fn export(app: App, conversation: &str, markdown: bool) {
    AS_MARKDOWN.set(markdown);
    app.send(Command::Export { conversation: Some(conversation.to_owned()) });
}

/// An export came: saves it as it was wanted.
pub fn exported(json: &str, conversation: Option<&str>) {
    if conversation.is_none() {
        return save("privacyai.json", "application/json", json);
    }
    let one = port::decode::<Export>(json).and_then(|export| export.conversations.into_iter().next());
    let name = name_of(one.as_ref().map_or("", |one| &one.title));
    match one.filter(|_| AS_MARKDOWN.take()) {
        Some(one) => save(&format!("{name}.md"), "text/markdown", &markdown(&one)),
        None => save(&format!("{name}.json"), "application/json", json),
    }
}

/// A conversation as Markdown.
fn markdown(chat: &ConversationView) -> String {
    let mut text = format!("# {}\n", chat.title);
    for message in &chat.messages {
        if message.role == "user" {
            text.push_str("\n## You\n\n");
        } else {
            let name = message.provider_name.as_deref().unwrap_or("No provider");
            let model = message.model.as_deref().unwrap_or("no model");
            text.push_str(&format!("\n## {name}, {model}\n\n"));
        }
        for part in cut::parts(message) {
            if let Some(above) = part.above.as_ref().filter(|_| part.from > 0) {
                text.push_str(&format!("\n\n*{above}*\n\n"));
            }
            text.push_str(&cut::source(&message.text, &part));
        }
        if !matches!(message.phase.as_str(), "" | "complete") {
            text.push_str(&format!("\n\n*({})*", message.phase.replace('_', " ")));
        }
        text.push('\n');
    }
    text
}

/// A title as a file's name.
fn name_of(title: &str) -> String {
    let plain = |letter: char| if letter.is_alphanumeric() { letter } else { ' ' };
    let words: String = title.chars().map(plain).take(NAME).collect();
    let name = words.split_whitespace().collect::<Vec<_>>().join("-");
    if name.is_empty() { "chat".into() } else { name }
}

/// Saves a text as a file.
pub fn save(name: &str, kind: &str, text: &str) {
    let parts = Array::of1(&Uint8Array::from(text.as_bytes()).into());
    let bag = web_sys::BlobPropertyBag::new();
    bag.set_type(kind);
    let Ok(blob) = web_sys::Blob::new_with_u8_array_sequence_and_options(&parts, &bag) else { return };
    let Ok(address) = web_sys::Url::create_object_url_with_blob(&blob) else { return };
    if let Some(link) =
        document().create_element("a").ok().and_then(|link| link.dyn_into::<web_sys::HtmlAnchorElement>().ok())
    {
        link.set_href(&address);
        link.set_download(name);
        link.click();
    }
    // The download has its own reference by then.
    gloo::timers::callback::Timeout::new(10_000, move || {
        let _ = web_sys::Url::revoke_object_url(&address);
    })
    .forget();
}

/// A button that takes an exported file in.
pub fn import_button(app: App) -> View {
    let field = create_node_ref();
    let input =
        move || field.try_get().and_then(|node: web_sys::Node| node.dyn_into::<web_sys::HtmlInputElement>().ok());
    view! {
        input(
            r#type="file", accept=".json,application/json", hidden=true, r#ref=field, data-testid="import-file",
            on:change=move |_| {
                let Some(input) = input() else { return };
                let file = input.files().and_then(|files| files.get(0));
                // The same file can be chosen again.
                if let Some(file) = file {
                    spawn_local(async move {
                        let text = JsFuture::from(file.text()).await.ok().and_then(|text| text.as_string());
                        input.set_value("");
                        app.scope.run_in(|| import(app, &text.unwrap_or_default()));
                    });
                }
            }
        )
        button(
            r#type="button", class="btn", data-testid="import",
            on:click=move |_| if let Some(input) = input() { input.click() }
        ) { "Import JSON" }
    }
}

fn import(app: App, text: &str) {
    let export = port::decode::<Export>(text).filter(|export| export.format == EXPORT && export.version == 1);
    let Some(export) = export else {
        app.toast.set(Some("This is no file that PrivacyAI exported. Nothing was taken.".into()));
        return;
    };
    let (words, too_large) = words(export.conversations);
    if too_large > 0 {
        let chats = format::plural(too_large, "chat is", "chats are");
        app.toast.set(Some(format!("{chats} too large to be taken.")));
    }
    for conversations in words {
        app.send(Command::Import { conversations });
    }
}

/// The conversations in groups that each fit one word, and how many fit none.
fn words(chats: Vec<ConversationView>) -> (Vec<Vec<ConversationView>>, u64) {
    let (mut words, mut size, mut too_large) = (Vec::new(), WORD, 0);
    for chat in chats {
        let bytes = port::encode(&chat).len();
        if bytes > WORD {
            too_large += 1;
            continue;
        }
        if size + bytes > WORD {
            words.push(Vec::new());
            size = 0;
        }
        size += bytes;
        if let Some(word) = words.last_mut() {
            word.push(chat);
        }
    }
    (words, too_large)
}

/// What came of an import.
pub fn imported(app: App, added: u32, present: u32, broken: u32) {
    let mut said = vec![format!("{} taken.", format::plural(added.into(), "chat", "chats"))];
    if present > 0 {
        said.push(format!("{present} were here already and stay as they are."));
    }
    if broken > 0 {
        said.push(format!("{broken} could not be read."));
    }
    app.toast.set(Some(said.join(" ")));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::MessageView;

    fn chat(id: &str, text: String) -> ConversationView {
        let message = MessageView { id: "m".into(), role: "assistant".into(), text, ..MessageView::default() };
        ConversationView { id: id.into(), title: "Deposit: is it usual?".into(), messages: vec![message] }
    }

    #[test]
    fn writes_markdown() {
        let question = MessageView { role: "user".into(), text: "Why?".into(), ..MessageView::default() };
        let answer = MessageView {
            role: "assistant".into(),
            text: "It isso.".into(),
            phase: "truncated".into(),
            provider_name: Some("Kestrel".into()),
            model: Some("qwen3-14b".into()),
            begun_by: Some("Fjord".into()),
            cuts: Some(vec![(5, "Kestrel".into(), false)]),
            ..MessageView::default()
        };
        let chat = ConversationView { messages: vec![question, answer], ..chat("c1", String::new()) };
        assert_eq!(
            markdown(&chat),
            "# Deposit: is it usual?\n\n## You\n\nWhy?\n\n## Kestrel, qwen3-14b\n\nIt is\n\n*continued by Kestrel*\n\nso.\n\n*(truncated)*\n"
        );
    }

    #[test]
    fn names_files_after_titles() {
        assert_eq!(name_of("Deposit: is it usual?"), "Deposit-is-it-usual");
        assert_eq!(name_of("../../x"), "x");
        assert_eq!(name_of("?!"), "chat");
    }

    #[test]
    fn sends_words_that_fit() {
        let chats = vec![
            chat("a", "x".repeat(500_000)),
            chat("b", "x".repeat(500_000)),
            chat("c", "x".into()),
            chat("d", "x".repeat(WORD)),
        ];
        let (words, too_large) = words(chats);
        let sizes: Vec<usize> = words.iter().map(Vec::len).collect();
        assert_eq!((sizes, too_large), (vec![1, 2], 1));
    }

    #[test]
    fn reads_what_was_exported() {
        let json = r#"{"format":"privacyai-export","version":1,"exported_ms":1,"settings":{},"conversations":[{"id":"c","title":"t","messages":[]}],"unreadable_rows":0}"#;
        let export = port::decode::<Export>(json).unwrap();
        assert_eq!((&*export.format, export.conversations.len()), (EXPORT, 1));
        assert!(port::decode::<Export>("{}").is_none());
    }
}

//! Files out and in: exports as JSON and Markdown, and conversations of an exported file.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use js_sys::{Array, Uint8Array};
use sycamore::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::{JsFuture, spawn_local};

use super::state::App;
use super::{format, written};
use crate::port::{self, Command, ConversationView, EXPORT, Export};

/// Bytes of chats that go to the background together.
const WORD: usize = 900_000;

/// Bytes of the longest chat; it goes alone. Written as JSON in JSON it can be twice this, and a port takes 64 MiB.
const LONGEST: usize = 24 * 1024 * 1024;

/// Characters of a file's name made from a title.
const NAME: usize = 40;

thread_local! {
    /// The next exported conversation is wanted as Markdown.
    static AS_MARKDOWN: Cell<bool> = const { Cell::new(false) };
    /// The pieces of an export that came so far.
    static PIECES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    /// The import under way.
    static IMPORT: RefCell<Option<Import>> = const { RefCell::new(None) };
}

/// An import: what is to be sent, one word after the other, and what came of the others.
#[derive(Debug, Default, PartialEq)]
struct Import {
    words: VecDeque<Vec<ConversationView>>,
    added: u32,
    present: u32,
    broken: u32,
    too_large: u32,
}

/// Asks for one conversation as a file.
pub fn export(app: App, conversation: &str, markdown: bool) {
    AS_MARKDOWN.set(markdown);
    app.send(Command::Export { conversation: Some(conversation.to_owned()) });
}

/// A piece of an export came; the last one saves it as it was wanted.
pub fn exported(json: String, conversation: Option<&str>, more: bool) {
    PIECES.with_borrow_mut(|pieces| pieces.push(json));
    if more {
        return;
    }
    let pieces = PIECES.take();
    if conversation.is_none() {
        return save("privacyai.json", "application/json", &pieces);
    }
    let one = port::decode::<Export>(&pieces.concat()).and_then(|export| export.conversations.into_iter().next());
    let name = name_of(one.as_ref().map_or("", |one| &one.title));
    match one.filter(|_| AS_MARKDOWN.take()) {
        Some(one) => save(&format!("{name}.md"), "text/markdown", &[written::write(&one)]),
        None => save(&format!("{name}.json"), "application/json", &pieces),
    }
}

/// A title as a file's name.
fn name_of(title: &str) -> String {
    let plain = |letter: char| if letter.is_alphanumeric() { letter } else { ' ' };
    let words: String = title.chars().map(plain).take(NAME).collect();
    let name = words.split_whitespace().collect::<Vec<_>>().join("-");
    if name.is_empty() { "chat".into() } else { name }
}

/// Saves the pieces of a text as a file.
pub fn save(name: &str, kind: &str, pieces: &[String]) {
    let parts: Array = pieces.iter().map(|piece| Uint8Array::from(piece.as_bytes())).collect();
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
            r#type="file", accept=".json,.md,application/json,text/markdown", hidden=true, r#ref=field, data-testid="import-file",
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
        ) { "Import" }
    }
}

fn import(app: App, text: &str) {
    let chats = if text.trim_start().starts_with('{') {
        let export = port::decode::<Export>(text).filter(|export| export.format == EXPORT && export.version == 1);
        export.map(|export| export.conversations)
    } else {
        written::read(text, js_sys::Date::now() as u64).map(|chat| vec![chat])
    };
    match chats {
        None => app.toast.set(Some("This is no file that PrivacyAI exported. Nothing was taken.".into())),
        Some(chats) => go_on(app, Import::of(chats)),
    }
}

impl Import {
    /// The conversations in words.
    fn of(chats: Vec<ConversationView>) -> Self {
        let (mut import, mut size) = (Self::default(), WORD);
        for chat in chats {
            let bytes = port::encode(&chat).len();
            if bytes > LONGEST {
                import.too_large += 1;
                continue;
            }
            if size + bytes > WORD {
                import.words.push_back(Vec::new());
                size = 0;
            }
            size += bytes;
            if let Some(word) = import.words.back_mut() {
                word.push(chat);
            }
        }
        import
    }

    /// What came of it.
    fn said(&self) -> String {
        let mut said = vec![format!("{} taken.", format::plural(self.added.into(), "chat", "chats"))];
        for (count, what) in [
            (self.present, "were here already and stay as they are."),
            (self.broken, "could not be read."),
            (self.too_large, "too large to be taken."),
        ] {
            if count > 0 {
                said.push(format!("{count} {what}"));
            }
        }
        said.join(" ")
    }
}

/// Sends the next word of an import; after the last one it is told what came of it.
fn go_on(app: App, mut import: Import) {
    match import.words.pop_front() {
        Some(conversations) => {
            app.send(Command::Import { conversations });
            IMPORT.set(Some(import));
        }
        None => app.toast.set(Some(import.said())),
    }
}

/// What came of a word of an import.
pub fn imported(app: App, added: u32, present: u32, broken: u32) {
    // Nothing is under way where the page was loaded anew meanwhile.
    let mut import = IMPORT.take().unwrap_or_default();
    import.added += added;
    import.present += present;
    import.broken += broken;
    go_on(app, import);
}

/// The background began anew and has not said what came of the last word; what it took is taken.
pub fn interrupted(app: App) {
    if IMPORT.take().is_some() {
        app.toast.set(Some("The import was interrupted. Choose the file again.".into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::MessageView;

    fn chat(id: &str, text: String) -> ConversationView {
        let message = MessageView { id: "m".into(), role: "assistant".into(), text, ..MessageView::default() };
        ConversationView { id: id.into(), title: "A chat".into(), messages: vec![message], pinned: None }
    }

    #[test]
    fn names_files_after_titles() {
        assert_eq!(name_of("Deposit: is it usual?"), "Deposit-is-it-usual");
        assert_eq!(name_of("../../x"), "x");
        assert_eq!(name_of("?!"), "chat");
    }

    #[test]
    fn sends_words_that_fit_and_says_once_what_came_of_them() {
        let chats = vec![
            chat("a", "x".repeat(500_000)),
            chat("b", "x".repeat(500_000)),
            chat("c", "x".into()),
            chat("d", "x".repeat(2 * WORD)),
            chat("e", "x".repeat(LONGEST)),
        ];
        let mut import = Import::of(chats);
        let sizes: Vec<usize> = import.words.iter().map(Vec::len).collect();
        assert_eq!((sizes, import.too_large), (vec![1, 2, 1], 1));
        (import.added, import.present) = (3, 1);
        assert_eq!(import.said(), "3 chats taken. 1 were here already and stay as they are. 1 too large to be taken.");
    }

    #[test]
    fn reads_what_was_exported() {
        let json = r#"{"format":"privacyai-export","version":1,"exported_ms":1,"settings":{},"conversations":[{"id":"c","title":"t","messages":[]}],"unreadable_rows":0}"#;
        let export = port::decode::<Export>(json).unwrap();
        assert_eq!((&*export.format, export.conversations.len()), (EXPORT, 1));
        assert!(port::decode::<Export>("{}").is_none());
    }
}

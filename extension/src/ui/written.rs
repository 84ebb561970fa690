//! A chat as Markdown, to be read by people and to be taken in again. Texts stand as they are, so what is not of them, a
//! name or a divider, ends with a comment that occurs in none of them and that Markdown does not show.

use super::cut;
use crate::port::{self, ConversationView, MessageView, new_id};

/// The beginning and the end of that comment.
const MARK: (&str, &str) = ("<!--privacyai", "-->");

/// What stands above a question.
const YOU: &str = "## You";

/// As Markdown.
pub fn write(chat: &ConversationView) -> String {
    let mark = mark_for(chat);
    let line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut text = format!("# {}\n", line(&chat.title));
    for message in &chat.messages {
        let head = match message.role.as_str() {
            "user" => YOU.to_owned(),
            _ => {
                let name = message.provider_name.as_deref().unwrap_or("No provider");
                format!("## {}, {}", line(name), line(message.model.as_deref().unwrap_or("no model")))
            }
        };
        text.push_str(&format!("\n{head} {mark}\n\n"));
        for part in cut::parts(message) {
            if let Some(above) = part.above.as_ref().filter(|_| part.from > 0) {
                text.push_str(&format!("\n\n*{}* {mark}\n\n", line(above)));
            }
            let letter = |byte| message.text.floor_char_boundary(byte);
            let (from, to) = (letter(part.from), letter(part.to.unwrap_or(usize::MAX)));
            text.push_str(message.text.get(from..to).unwrap_or_default());
        }
        if !matches!(message.phase.as_str(), "" | "complete") {
            text.push_str(&format!("\n\n*({})* {mark}", line(&message.phase.replace('_', " "))));
        }
        text.push('\n');
    }
    text
}

/// A comment that is nowhere in this chat.
fn mark_for(chat: &ConversationView) -> String {
    let (all, mut more) = (port::encode(chat), String::new());
    while all.contains(&format!("{}{more}", MARK.0)) {
        more.push_str("-i");
    }
    format!("{}{more}{}", MARK.0, MARK.1)
}

/// What was written as above, as a new chat; none when it is anything else.
pub fn read(text: &str, now_ms: u64) -> Option<ConversationView> {
    let (title, rest) = text.strip_prefix("# ")?.split_once('\n')?;
    // An editor may have ended all lines in its own way.
    let unix = title.ends_with('\r').then(|| rest.replace("\r\n", "\n"));
    let rest = unix.as_deref().unwrap_or(rest);
    let first = rest.strip_prefix('\n')?.lines().next()?;
    let mark = first.get(first.rfind(' ')?..).filter(|mark| mark.starts_with(" <!--privacyai"))?;
    let mut messages: Vec<MessageView> = Vec::new();
    let mut pieces = rest.split(mark).peekable();
    let mut label = pieces.next()?.trim_start();
    while let Some(piece) = pieces.next() {
        // The last line of all pieces but the last one is the label of the next.
        let (said, next) = if pieces.peek().is_some() { piece.rsplit_once('\n')? } else { (piece, "") };
        let said = said.strip_prefix("\n\n").unwrap_or(said);
        let said = said.strip_suffix('\n').unwrap_or(said);
        if let Some(head) = label.strip_prefix("## ") {
            let (name, model) = head.rsplit_once(',').filter(|_| label != YOU).unzip();
            messages.push(MessageView {
                id: new_id(),
                role: if name.is_some() { "assistant" } else { "user" }.into(),
                text: said.into(),
                phase: if name.is_some() { "complete" } else { "" }.into(),
                provider_name: name.filter(|name| *name != "No provider").map(Into::into),
                model: model.map(str::trim).filter(|model| *model != "no model").map(Into::into),
                asked_ms: now_ms,
                ..MessageView::default()
            });
        } else {
            let message = messages.last_mut()?;
            let words = label.strip_prefix('*')?.strip_suffix('*')?;
            match words.strip_prefix('(').and_then(|words| words.strip_suffix(')')) {
                Some(phase) => message.phase = phase.replace(' ', "_"),
                None => {
                    go_on(message, words);
                    message.text.push_str(said);
                }
            }
        }
        label = next;
    }
    let title = title.trim().to_owned();
    Some(ConversationView { id: new_id(), title, messages, pinned: None })
}

/// The text of an answer goes on below a divider.
fn go_on(message: &mut MessageView, divider: &str) {
    let anew = divider.strip_suffix(" answers anew:").and_then(|words| words.split_once(" stopped here. "));
    let (begun_by, name) = match anew {
        Some((by, name)) => (Some(by.to_owned()), name),
        None => (None, divider.strip_prefix("continued by ").unwrap_or(divider)),
    };
    if message.cuts.is_none() {
        message.begun_by = begun_by;
    }
    message.cuts.get_or_insert_default().push((message.text.len() as u64, name.to_owned(), anew.is_some()));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat(messages: Vec<MessageView>) -> ConversationView {
        ConversationView { id: "c1".into(), title: "Deposit: is it usual?".into(), messages, pinned: None }
    }

    fn question(text: &str) -> MessageView {
        MessageView { id: "q".into(), role: "user".into(), text: text.into(), ..MessageView::default() }
    }

    fn answer(text: &str) -> MessageView {
        MessageView {
            id: "a".into(),
            role: "assistant".into(),
            text: text.into(),
            phase: "complete".into(),
            provider_name: Some("Kestrel".into()),
            model: Some("qwen3-14b".into()),
            ..MessageView::default()
        }
    }

    fn broken() -> MessageView {
        MessageView {
            phase: "truncated".into(),
            begun_by: Some("Fjord".into()),
            cuts: Some(vec![(5, "Kestrel".into(), false)]),
            ..answer("It isso.")
        }
    }

    #[test]
    fn writes_markdown() {
        assert_eq!(
            write(&chat(vec![question("Why?"), broken()])),
            "# Deposit: is it usual?\n\n## You <!--privacyai-->\n\nWhy?\n\n## Kestrel, qwen3-14b <!--privacyai-->\n\nIt is\n\n\
             *continued by Kestrel* <!--privacyai-->\n\nso.\n\n*(truncated)* <!--privacyai-->\n"
        );
    }

    /// What is read again, without what only this program knows.
    fn again(chat: &ConversationView) -> Vec<MessageView> {
        let read = read(&write(chat), 7).unwrap();
        assert_eq!(read.title, chat.title);
        assert!(read.messages.iter().all(|message| message.asked_ms == 7 && message.id.len() == 16));
        let plain = |(message, was): (MessageView, &MessageView)| MessageView {
            id: was.id.clone(),
            asked_ms: was.asked_ms,
            begun_by: was.begun_by.clone(),
            ..message
        };
        read.messages.into_iter().zip(&chat.messages).map(plain).collect()
    }

    #[test]
    fn reads_what_it_wrote() {
        let nobody = MessageView {
            provider_name: None,
            model: None,
            phase: "no_provider".into(),
            text: String::new(),
            ..answer("")
        };
        let anew = MessageView { cuts: Some(vec![(2, "B".into(), true), (4, "C".into(), false)]), ..answer("abcdef") };
        let texts = [
            "# A\n\n## You\n\nWhat?\n\n## Kestrel, qwen3-14b\n\nNo.\n",
            "```md\n## You <!--privacyai-->\n\nx\n```",
            "*(truncated)*",
            "\n\n  indented\r\n\n\n",
            " <!--privacyai-i-->",
            "",
        ];
        for text in texts {
            let chat = chat(vec![
                question(text),
                answer(text),
                question("Then?"),
                broken(),
                question(text),
                nobody.clone(),
                anew.clone(),
            ]);
            assert_eq!(again(&chat), chat.messages, "{text:?}");
        }
        let windows = write(&chat(vec![question("a\nb"), answer("c")])).replace('\n', "\r\n");
        assert_eq!(read(&windows, 1).unwrap().messages[0].text, "a\nb");
    }

    #[test]
    fn what_is_no_such_file_is_none() {
        for text in [
            "",
            "# A",
            "# A\n\n## You\n\nWhy?\n",
            "# A\n\n\n## You <!--privacyai-->",
            "{}",
            "# A\n\n*x* <!--privacyai-->\n\ny\n",
        ] {
            assert_eq!(read(text, 1), None, "{text:?}");
        }
    }
}

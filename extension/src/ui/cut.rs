//! Where an answer broke off and another provider took over: its text in parts, with a thin divider between them. What
//! came first is never written anew.

use sycamore::prelude::*;

use super::icon;
use crate::port::MessageView;

/// A part of an answer's text.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Its first byte.
    pub from: usize,
    /// The byte after its last; none for the part that may still grow.
    pub to: Option<usize>,
    /// What stands above it: who takes over.
    pub above: Option<String>,
    /// It goes on where the part above broke off, in the middle of a code block maybe.
    pub goes_on: bool,
}

/// The parts of an answer, at least one.
pub fn parts(view: &MessageView) -> Vec<Part> {
    let mut parts = vec![Part { from: 0, to: None, above: None, goes_on: false }];
    let mut names = vec![view.begun_by.clone().unwrap_or_else(|| "The first provider".into())];
    for (at, name, anew) in view.cuts.iter().flatten() {
        let at = usize::try_from(*at).unwrap_or(usize::MAX);
        // Who was asked and said nothing has no part.
        if parts.pop_if(|part| part.above.is_some() && part.from == at).is_some() {
            names.pop();
        }
        let by = names.last().map_or("", String::as_str);
        if let Some(before) = parts.last_mut() {
            before.to = Some(at.max(before.from));
        }
        let above =
            if *anew { format!("{by} stopped here. {name} answers anew:") } else { format!("continued by {name}") };
        parts.push(Part { from: at, to: None, above: Some(above), goes_on: !anew });
        names.push(name.clone());
    }
    parts
}

/// Who else could read the question than who answers now: all that were asked. Of an older message only those are known
/// who began, who took over before and who was asked as well.
pub fn other_readers(view: &MessageView) -> Vec<String> {
    if let Some(asked) = &view.asked {
        let others = asked.iter().filter(|(id, _)| Some(id) != view.provider.as_ref());
        return others.map(|(_, name)| name.clone()).collect();
    }
    let began = view.begun_by.iter().filter(|_| view.cuts.is_some());
    let mut names: Vec<String> = Vec::new();
    for name in began.chain(view.cuts.iter().flatten().map(|(_, name, _)| name)).chain(&view.also_asked) {
        if Some(name) != view.provider_name.as_ref() && !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// The Markdown of a part: its text, below the fence of a code block that the part above left open.
pub fn source(text: &str, part: &Part) -> String {
    let from = floor(text, part.from);
    let to = part.to.map_or(text.len(), |to| floor(text, to));
    let own = text.get(from..to.max(from)).unwrap_or_default();
    match open_fence(text.get(..from).unwrap_or_default()).filter(|_| part.goes_on) {
        Some(fence) => format!("{fence}\n{own}"),
        None => own.to_owned(),
    }
}

/// The nearest start of a letter at or before a byte.
fn floor(text: &str, byte: usize) -> usize {
    text.floor_char_boundary(byte)
}

/// The line that opened a code block which is not closed.
fn open_fence(text: &str) -> Option<&str> {
    let mut open = None;
    for line in text.lines().map(str::trim_start).filter(|line| line.starts_with("```")) {
        open = if open.is_some() { None } else { Some(line) };
    }
    open
}

/// Draws the divider above a part.
pub fn divider(words: String) -> View {
    let corner = icon::icon(icon::CORNER, 13);
    view! {
        div(class="my-3 flex items-center gap-2.5 text-sec text-ink2", data-testid="answer-cut") {
            span(class="h-px min-w-4 flex-1 bg-line2", aria-hidden="true") {}
            span(class="text-accent") { (corner) }
            span { (words) }
            span(class="h-px min-w-4 flex-1 bg-line2", aria-hidden="true") {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(cuts: &[(u64, &str, bool)]) -> MessageView {
        let cuts = cuts.iter().map(|(at, name, anew)| (*at, (*name).to_owned(), *anew)).collect();
        MessageView { begun_by: Some("Fjord".into()), cuts: Some(cuts), ..MessageView::default() }
    }

    fn read(view: &MessageView, text: &str) -> Vec<(Option<String>, String)> {
        parts(view).iter().map(|part| (part.above.clone(), source(text, part))).collect()
    }

    #[test]
    fn divides_the_text_at_the_very_letter() {
        let text = "we lost the early discount.";
        assert_eq!(read(&MessageView::default(), text), [(None, text.to_owned())]);
        assert_eq!(
            read(&view(&[(11, "Kestrel", false), (18, "Marta", true)]), text),
            [
                (None, "we lost the".to_owned()),
                (Some("continued by Kestrel".to_owned()), " early ".to_owned()),
                (Some("Kestrel stopped here. Marta answers anew:".to_owned()), "discount.".to_owned()),
            ]
        );
        assert_eq!(
            read(&view(&[(11, "Refuses", true), (11, "Marta", true)]), text),
            [
                (None, "we lost the".to_owned()),
                (Some("Fjord stopped here. Marta answers anew:".to_owned()), " early discount.".to_owned()),
            ],
            "who said nothing is not shown"
        );
        let unknown = MessageView { begun_by: None, ..view(&[(2, "Kestrel", true)]) };
        assert_eq!(parts(&unknown)[1].above.as_deref(), Some("The first provider stopped here. Kestrel answers anew:"));
    }

    #[test]
    fn names_each_other_reader_once() {
        assert_eq!(other_readers(&MessageView::default()), Vec::<String>::new());
        let view = MessageView {
            provider_name: Some("Kestrel".into()),
            also_asked: Some("Marta".into()),
            ..view(&[(2, "Marta", true), (4, "Kestrel", false)])
        };
        assert_eq!(other_readers(&view), ["Fjord", "Marta"]);
        // Also who refused or was silent, and of two of one name both.
        let asked = [("1", "Lantern"), ("2", "Kestrel"), ("3", "Kestrel")];
        let asked = Some(asked.map(|(id, name)| (id.into(), name.into())).into());
        let view = MessageView { provider: Some("2".into()), asked, ..view };
        assert_eq!(other_readers(&view), ["Lantern", "Kestrel"]);
    }

    #[test]
    fn no_letter_is_lost_wherever_it_is_cut() {
        let text = "é🌍 a\n\n```sql\nSELECT 1;\n```\nend";
        for first in 0..=text.len() as u64 + 2 {
            for second in 0..=text.len() as u64 + 2 {
                let parts = parts(&view(&[(first, "a", true), (second, "b", true)]));
                let joined: String = parts.iter().map(|part| source(text, part)).collect();
                if first <= second {
                    assert_eq!(joined, text, "{first} {second}");
                }
            }
        }
    }

    #[test]
    fn goes_on_inside_a_code_block() {
        let text = "So:\n```sql\nSELECT 1;\nSELECT 2;\n```\nDone.";
        let at = text.find("SELECT 2").unwrap() as u64;
        assert_eq!(read(&view(&[(at, "Kestrel", false)]), text)[1].1, "```sql\nSELECT 2;\n```\nDone.");
        assert_eq!(read(&view(&[(at, "Kestrel", true)]), text)[1].1, "SELECT 2;\n```\nDone.");
        let end = text.find("Done").unwrap() as u64;
        assert_eq!(read(&view(&[(end, "Kestrel", false)]), text)[1].1, "Done.");
    }
}

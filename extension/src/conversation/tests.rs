//! What is asked, asked again, pinned and deleted, and how it comes back.

use super::*;
use privacyai::effect::{Batch, Row};

fn ids() -> impl FnMut() -> String {
    let mut next = 0;
    move || {
        next += 1;
        format!("id{next}")
    }
}

fn new() -> Chat {
    Chat::New(crate::port::new_id())
}

fn known(id: &str) -> Chat {
    Chat::Known(id.into())
}

fn rows(batch: &Batch, table: Table) -> Vec<Row> {
    let of = batch.iter().filter(|write| write.table == table);
    of.filter_map(|write| Some(Row { table, key: write.key.clone(), value: write.value.clone()? })).collect()
}

#[test]
fn a_question_survives_a_restart() {
    let (mut book, mut id) = (Book::default(), ids());
    let asked = book.ask(new(), None, " Why?\nTell me.", 7, &mut id, 10).unwrap();
    let mut batch = book.changes();
    book.append(&asked.conversation, &asked.answer, "Be");
    assert!(book.changes().is_empty(), "growing text waits");
    book.settle();
    batch.retain(|write| write.table == Table::Conversations || !write.key.ends_with(asked.answer.as_bytes()));
    batch.extend(book.changes());
    assert!(book.changes().is_empty());

    let mut again = Book::restore(&rows(&batch, Table::Conversations));
    assert_eq!(again.rows()[0].title, "Why?");
    assert_eq!(again.live(), [(asked.conversation.clone(), Live { answer: asked.answer.clone(), ask: 7 })]);
    let stored = rows(&batch, Table::Messages);
    let find = |key: &Vec<u8>| stored.iter().find(|row| row.key == *key).map(|row| row.value.clone());
    let values: Vec<_> = again.missing(&asked.conversation).iter().map(find).collect();
    again.fill(&asked.conversation, &values);
    assert!(again.missing(&asked.conversation).is_empty());
    assert_eq!(again.view(&asked.conversation), book.view(&asked.conversation));
    assert!(again.cut(&asked.conversation, &asked.answer, 1, 0));
    assert!(!again.cut(&asked.conversation, &asked.answer, 2, 0));
    assert_eq!(again.message(&asked.conversation, &asked.answer).unwrap().view.text, "B");
}

#[test]
fn edit_and_retry_drop_what_followed() {
    let (mut book, mut id) = (Book::default(), ids());
    let first = book.ask(new(), None, "one", 1, &mut id, 1).unwrap();
    let conversation = first.conversation.clone();
    assert!(book.ask(known(&conversation), None, "two", 2, &mut id, 2).is_err(), "one answer is still coming");
    book.append(&conversation, &first.answer, "1");
    book.end(&conversation, &first.answer, 2);
    let second = book.ask(known(&conversation), None, "two", 2, &mut id, 3).unwrap();
    assert_eq!(
        String::from_utf8(book.content(&conversation, &second.answer)).unwrap(),
        r#"{"messages":[{"content":"one","role":"user"},{"content":"1","role":"assistant"},{"content":"two","role":"user"}]}"#
    );
    assert!(book.retry(&conversation, &first.answer, 3, &mut id, 4).is_err(), "what followed would be gone");
    assert_eq!(book.view(&conversation).unwrap().messages.len(), 4);
    let third = book.retry(&conversation, &second.answer, 3, &mut id, 4).unwrap();
    assert_eq!(third.dropped, [2]);
    let question = book.view(&conversation).unwrap().messages[0].id.clone();
    let fourth = book.ask(known(&conversation), Some(&question), "uno", 4, &mut id, 5).unwrap();
    assert_eq!(fourth.dropped, [3]);
    let texts: Vec<_> = book.view(&conversation).unwrap().messages.into_iter().map(|m| m.text).collect();
    assert_eq!(texts, ["uno", ""]);
    assert_eq!(book.delete(&conversation), [4]);
    assert!(book.changes().iter().all(|write| write.value.is_none()));
    assert!(book.rows().is_empty());
}

#[test]
fn pinned_ones_stand_first_and_stay_so() {
    let (mut book, mut id) = (Book::default(), ids());
    let first = book.ask(new(), None, "one", 1, &mut id, 1).unwrap().conversation;
    let second = book.ask(new(), None, "two", 2, &mut id, 2).unwrap().conversation;
    let order = |book: &Book| book.rows().into_iter().map(|row| row.id).collect::<Vec<_>>();
    assert_eq!(order(&book), [second.clone(), first.clone()]);
    book.pin(&first, true).unwrap();
    assert_eq!(order(&book), [first.clone(), second.clone()]);
    let again = Book::restore(&rows(&book.changes(), Table::Conversations));
    assert_eq!(order(&again), [first.clone(), second.clone()]);
    book.pin(&first, false).unwrap();
    assert_eq!(order(&book), [second, first]);
    assert!(book.pin("none", true).is_err());
}

#[test]
fn a_conversation_begins_under_the_id_that_its_panel_gave_it_once() {
    let (mut book, mut id) = (Book::default(), ids());
    let begin = |book: &mut Book, name: &str, id: &mut dyn FnMut() -> String| {
        book.ask(Chat::New(name.into()), None, "one", 1, &mut || id(), 1).map(|asked| asked.conversation)
    };
    assert_eq!(begin(&mut book, "0123456789abcdef", &mut id).as_deref(), Ok("0123456789abcdef"));
    for name in ["0123456789abcdef", "", "a/b", "../x"] {
        assert!(begin(&mut book, name, &mut id).is_err(), "{name}");
    }
    assert_eq!(book.rows().len(), 1);
}

#[test]
fn nonsense_is_refused() {
    let (mut book, mut id) = (Book::default(), ids());
    assert!(book.ask(new(), None, "  ", 1, &mut id, 1).is_err());
    assert!(book.ask(known("none"), None, "x", 1, &mut id, 1).is_err());
    assert!(book.ask(new(), None, &"x".repeat(LONGEST_TEXT + 1), 1, &mut id, 1).is_err());
    assert!(book.retry("none", "none", 1, &mut id, 1).is_err());
    assert!(book.rename("none", "x", 1).is_err());
    assert!(book.rows().is_empty());
}

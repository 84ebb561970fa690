//! An answer as Markdown blocks that only grow: while it streams, nothing but the last block is parsed again.

use std::rc::Rc;

use super::markdown::block;

/// One finished block: where it starts in the answer and its source.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Byte offset in the answer; the block's identity.
    pub start: usize,
    /// Its Markdown.
    pub source: Rc<str>,
}

/// The blocks of a growing text.
#[derive(Default)]
pub struct Blocks {
    /// All but the last.
    pub finished: Vec<Block>,
    /// Where the last one starts.
    open: usize,
}

impl Blocks {
    /// Takes the whole text so far; returns the source of the last block and whether others were finished.
    pub fn grow(&mut self, text: &str) -> (Rc<str>, bool) {
        let Some(tail) = text.get(self.open..) else {
            // Not the text seen before: start over.
            *self = Self::default();
            return self.grow(text);
        };
        // A line that still grows may yet belong to the block before it, as the next row of a table does.
        let whole = tail.rfind('\n').and_then(|at| tail.get(..=at)).unwrap_or_default();
        let ranges = block::ranges(whole);
        let Some((last, done)) = ranges.split_last() else { return (tail.into(), false) };
        for range in done {
            if let Some(source) = tail.get(range.clone()) {
                self.finished.push(Block { start: self.open.saturating_add(range.start), source: source.into() });
            }
        }
        let source = tail.get(last.start..).unwrap_or_default().into();
        self.open = self.open.saturating_add(last.start);
        (source, !done.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::Blocks;

    const TEXT: &str = "Use a *join*:\n\n```sql\nSELECT 1;\n\nSELECT 2;\n```\n\n- one\n\n- two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nEnd.";

    #[test]
    fn pieces_give_the_blocks_of_the_whole() {
        let mut whole = Blocks::default();
        let (last, _) = whole.grow(TEXT);
        assert!(last.ends_with("| 1 | 2 |\n\nEnd."), "the last line is not whole: {last}");
        assert_eq!(whole.finished.len(), 3);

        let mut pieces = Blocks::default();
        let mut text = String::new();
        let mut before = 0;
        for letter in TEXT.chars() {
            text.push(letter);
            pieces.grow(&text);
            assert!(pieces.finished.len() >= before, "a finished block stays");
            before = pieces.finished.len();
        }
        assert_eq!(pieces.finished, whole.finished);
        text.push('\n');
        let (last, more) = pieces.grow(&text);
        assert_eq!((&*last, more, pieces.finished.len()), ("End.\n", true, 4));
        assert!(pieces.finished[1].source.contains("SELECT 2"), "a blank line does not end a code block");
    }

    #[test]
    fn another_text_starts_over() {
        let mut blocks = Blocks::default();
        blocks.grow("one\n\ntwo\n\nthree\n");
        let (last, _) = blocks.grow("x");
        assert_eq!(&*last, "x");
        assert!(blocks.finished.is_empty());
    }
}

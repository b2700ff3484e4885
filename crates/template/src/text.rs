//! The text of one file, and places in it.

use std::ops::Range;
use std::sync::OnceLock;

/// Where something stands in a template or a file of variables.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The file, as its caller named it.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1: in characters, or in bytes on a line of more than 4096.
    pub column: usize,
}

impl std::fmt::Display for Position {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// A text with a name.
#[derive(Debug, Clone)]
pub struct Text {
    /// The name that messages show and that tells the format by its end: `x.pkr.hcl`, `x.json`.
    pub name: String,
    /// What is in it.
    pub text: String,
    /// Where lines begin; looked up for every key there is.
    lines: OnceLock<Vec<usize>>,
}

/// Counting the characters of a longer line, over and over, would take its time.
const LONGEST_COUNTED: usize = 4096;

impl Text {
    /// A text with a name; a byte order mark at its beginning is left out.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let mut text = text.into();
        if text.starts_with('\u{feff}') {
            text.remove(0);
        }
        Self { name: name.into(), text, lines: OnceLock::new() }
    }

    /// The position of the byte at `offset`.
    pub(crate) fn position(&self, offset: usize) -> Position {
        let mut end = offset.min(self.text.len());
        while !self.text.is_char_boundary(end) {
            end -= 1;
        }
        let lines = self.lines.get_or_init(|| {
            let after_ends = self.text.match_indices('\n').map(|(newline, _)| newline + 1);
            std::iter::once(0).chain(after_ends).collect()
        });
        let line = lines.partition_point(|start| *start <= end);
        let before = &self.text[lines[line - 1]..end];
        let column = if before.len() > LONGEST_COUNTED { before.len() } else { before.chars().count() };
        Position { file: self.name.clone(), line, column: column + 1 }
    }

    /// The first line of what stands at `range`, cut to what fits a terminal.
    pub(crate) fn excerpt(&self, range: &Range<usize>) -> Option<String> {
        let line = self.text.get(range.clone())?.lines().next()?.trim();
        let short: String = line.chars().take(100).collect();
        (!short.is_empty()).then(|| if short.len() < line.len() { format!("{short}…") } else { short })
    }

    /// Whether the name ends like that of HCL2 in the syntax of JSON.
    pub(crate) fn is_hcl_in_json(&self) -> bool {
        self.name.ends_with(".pkr.json")
    }

    /// Whether the name ends like that of a JSON file.
    pub(crate) fn is_json(&self) -> bool {
        self.name.to_ascii_lowercase().ends_with(".json")
    }
}

/// A part of a text.
#[derive(Clone)]
pub(crate) struct Place<'a> {
    pub(crate) text: &'a Text,
    pub(crate) range: Range<usize>,
}

impl Place<'_> {
    pub(crate) fn position(&self) -> Position {
        self.text.position(self.range.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_is_no_part_of_the_text() {
        let text = Text::new("x", "\u{feff}ab\u{feff}");
        assert_eq!((text.text.as_str(), text.position(1).column), ("ab\u{feff}", 2));
    }

    #[test]
    fn positions_count_lines_and_characters() {
        let text = Text::new("x", "ä b\n\nöc");
        let at = |offset| {
            let position = text.position(offset);
            (position.line, position.column)
        };
        assert_eq!((at(0), at(3), at(4), at(5), at(6)), ((1, 1), (1, 3), (1, 4), (2, 1), (3, 1)));
        // Within a character, and behind the end.
        assert_eq!((at(7), at(8), at(99)), ((3, 1), (3, 2), (3, 3)));
    }
}

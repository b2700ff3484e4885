//! Output that was cut into pieces, and the secrets that may have been cut with it.

use std::borrow::Cow;

use arm_image::{LONGEST_LINE, Stream};
use arm_image_template::Template;

/// An error keeps no more than so many of the last lines.
const TAIL: usize = 10;

/// Whether the last piece of standard output, and of standard error, was cut off from what follows it.
#[derive(Debug, Default)]
pub(super) struct Cut([bool; 2]);

impl Cut {
    /// A line, or a piece of one, without what may be a part of a secret of the template's where it was cut.
    pub(super) fn piece<'l>(
        &mut self,
        template: Option<&Template>,
        stream: Stream,
        line: &'l [u8],
    ) -> Cow<'l, [u8]> {
        let after = &mut self.0[usize::from(stream == Stream::Stderr)];
        let before = std::mem::replace(after, line.len() >= LONGEST_LINE);
        match template {
            Some(template) if (before || *after) && template.has_secrets() => {
                let text = String::from_utf8_lossy(line);
                Cow::Owned(template.redact_part(&text, before, *after).into_bytes())
            }
            _ => Cow::Borrowed(line),
        }
    }

    /// The same for the last lines of a step that failed.
    pub(super) fn last(template: Option<&Template>, lines: &[String]) -> Vec<String> {
        // Where there may have been more, the first of them may go on with what is not among them.
        let mut cut = Cut([false, lines.len() >= TAIL]);
        let pieces = lines.iter().map(|line| cut.piece(template, Stream::Stderr, line.as_bytes()));
        pieces.map(|line| String::from_utf8_lossy(&line).into_owned()).collect()
    }
}

//! Cuts a stream of bytes into lines.

/// A line longer than this many bytes is handed on in pieces, so that memory stays bounded.
pub(crate) const LONGEST: usize = 16 << 10;

/// Collects bytes until a line is whole.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    pending: Vec<u8>,
}

impl Lines {
    /// Takes `bytes` and hands every line that is whole by now to `line`, without its newline.
    ///
    /// `line` answers whether to go on; what it refused to see is lost.
    pub(crate) fn push(&mut self, mut bytes: &[u8], mut line: impl FnMut(&[u8]) -> bool) -> bool {
        while !bytes.is_empty() {
            let room = LONGEST - self.pending.len();
            let window = &bytes[..bytes.len().min(room)];
            match window.iter().position(|&byte| byte == b'\n') {
                Some(end) => {
                    self.pending.extend_from_slice(&window[..end]);
                    bytes = &bytes[end + 1..];
                }
                None => {
                    self.pending.extend_from_slice(window);
                    bytes = &bytes[window.len()..];
                    if self.pending.len() < LONGEST {
                        continue;
                    }
                    // A newline right after a full piece ends that piece, not an empty line of its own.
                    if bytes.first() == Some(&b'\n') {
                        bytes = &bytes[1..];
                    }
                }
            }
            let go_on = line(&self.pending);
            self.pending.clear();
            if !go_on {
                return false;
            }
        }
        true
    }

    /// Hands on the last line if it lacks its newline.
    pub(crate) fn finish(&mut self, mut line: impl FnMut(&[u8]) -> bool) -> bool {
        let pending = std::mem::take(&mut self.pending);
        pending.is_empty() || line(&pending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let mut lines = Lines::default();
        let mut seen = Vec::new();
        for chunk in chunks {
            lines.push(chunk, |line| {
                seen.push(line.to_vec());
                true
            });
        }
        lines.finish(|line| {
            seen.push(line.to_vec());
            true
        });
        seen
    }

    #[test]
    fn lines_come_whole_across_chunks_and_empty_lines_are_kept() {
        assert_eq!(cut(&[b"on", b"e\n\ntwo\nthr", b"ee"]), [&b"one"[..], b"", b"two", b"three"]);
        assert!(cut(&[b""]).is_empty());
    }

    #[test]
    fn an_over_long_line_comes_in_pieces() {
        let long = vec![b'x'; 2 * LONGEST + 5];
        let lengths: Vec<_> = cut(&[&long, b"\nend"]).iter().map(Vec::len).collect();
        assert_eq!(lengths, [LONGEST, LONGEST, 5, 3]);
    }

    #[test]
    fn a_refusal_stops_at_once() {
        let mut seen = 0;
        let mut lines = Lines::default();
        assert!(!lines.push(b"a\nb\nc\n", |_| {
            seen += 1;
            seen < 2
        }));
        assert_eq!(seen, 2);
    }

    proptest! {
        #[test]
        fn chunking_does_not_matter(bytes in prop::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..400), at in 0usize..400) {
            let at = at.min(bytes.len());
            let expected: Vec<Vec<u8>> = {
                let mut parts: Vec<Vec<u8>> = bytes.split(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect();
                if parts.last().is_some_and(Vec::is_empty) { parts.pop(); }
                parts
            };
            prop_assert_eq!(cut(&[&bytes[..at], &bytes[at..]]), expected);
        }
    }
}

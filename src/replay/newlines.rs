//! Line ends: `\r\n` and `\r` become `\n`, and the last line gets one, so that every row has the number of its line. A byte
//! order mark in front is taken off, or a heading in quotes would not be one.

use std::io::{BufRead, Read, Result};

/// A source whose line ends are all `\n`.
pub(super) struct Newlines<R> {
    source: R,
    after_return: bool,
    last: u8,
    /// How much of a byte order mark has been seen; `None` when it is over.
    mark: Option<usize>,
    /// What was taken for a mark, and is none.
    held: &'static [u8],
}

/// UTF-8's byte order mark.
const MARK: &[u8] = &[0xef, 0xbb, 0xbf];

impl<R: BufRead> Newlines<R> {
    pub(super) const fn new(source: R) -> Self {
        Self { source, after_return: false, last: b'\n', mark: Some(0), held: &[] }
    }
}

impl<R: BufRead> Newlines<R> {
    /// Passes over a byte order mark, however its bytes come.
    fn skip_mark(&mut self) -> Result<()> {
        while let Some(seen) = self.mark {
            let next = self.source.fill_buf()?.first().copied();
            if next.is_some() && next == MARK.get(seen).copied() {
                self.source.consume(1);
                self.mark = (seen + 1 < MARK.len()).then_some(seen + 1);
            } else {
                self.held = MARK.get(..seen).unwrap_or_default();
                self.mark = None;
            }
        }
        Ok(())
    }
}

impl<R: BufRead> Read for Newlines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        self.skip_mark()?;
        let mut written = 0;
        let mut slots = buffer.iter_mut();
        while let Some((first, rest)) = self.held.split_first() {
            let Some(slot) = slots.next() else { break };
            *slot = *first;
            (self.last, self.held, written) = (*first, rest, written + 1);
        }
        while written == 0 && slots.len() > 0 {
            let bytes = self.source.fill_buf()?;
            if bytes.is_empty() {
                if self.last != b'\n'
                    && let Some(slot) = slots.next()
                {
                    *slot = b'\n';
                    self.last = b'\n';
                    written += 1;
                }
                break;
            }
            let mut used = 0;
            for byte in bytes {
                let skipped = *byte == b'\n' && self.after_return;
                if !skipped {
                    let Some(slot) = slots.next() else { break };
                    *slot = if *byte == b'\r' { b'\n' } else { *byte };
                    self.last = *slot;
                    written += 1;
                }
                self.after_return = *byte == b'\r';
                used += 1;
            }
            self.source.consume(used);
        }
        Ok(written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_line_ends_become_one() {
        for (text, wanted) in [
            ("", ""),
            ("a", "a\n"),
            ("a\n", "a\n"),
            ("a\r\nb\rc\n\r\n\r\rd", "a\nb\nc\n\n\n\nd\n"),
            ("\r\n", "\n"),
            ("\n\n", "\n\n"),
            ("\u{feff}\"a\"\r\n", "\"a\"\n"),
            ("\u{feff}", ""),
            ("\u{fef0}a\u{feff}", "\u{fef0}a\u{feff}\n"),
        ] {
            for size in 1..5 {
                let source = std::io::BufReader::with_capacity(size, text.as_bytes());
                let mut read = String::new();
                std::io::BufReader::with_capacity(size, Newlines::new(source)).read_to_string(&mut read).unwrap();
                assert_eq!(read, wanted, "{text:?} {size}");
            }
        }
    }
}

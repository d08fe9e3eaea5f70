//! Line ends: `\r\n` and `\r` become `\n`, and the last line gets one, so that every row has the number of its line.

use std::io::{BufRead, Read, Result};

/// A source whose line ends are all `\n`.
pub(super) struct Newlines<R> {
    source: R,
    after_return: bool,
    last: u8,
}

impl<R: BufRead> Newlines<R> {
    pub(super) const fn new(source: R) -> Self {
        Self { source, after_return: false, last: b'\n' }
    }
}

impl<R: BufRead> Read for Newlines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let mut written = 0;
        let mut slots = buffer.iter_mut();
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

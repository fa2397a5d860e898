//! Server-sent events (WHATWG HTML §9.2) out of network chunks.
//!
//! Owns [`Events`]. Used by the models that speak HTTP. Invariant: where the network cuts the
//! stream changes nothing: the events of every split of a byte stream are the same.

use super::Fault;

/// Longest event, in bytes: a chat completion chunk has a few hundred.
const LONGEST: usize = 1 << 20;

/// Collects lines into events.
#[derive(Debug, Default)]
pub(super) struct Events {
    /// The line that has begun.
    line: Vec<u8>,
    /// The data lines of the event that has begun.
    data: Vec<u8>,
    has_data: bool,
    /// The last byte was a CR: an LF that follows is part of the same line end.
    after_cr: bool,
    begun: bool,
}

impl Events {
    /// Hands the data of every event that `chunk` completes to `each`.
    pub(super) fn feed(
        &mut self,
        chunk: &[u8],
        each: &mut impl FnMut(&[u8]) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut rest = chunk;
        while !rest.is_empty() {
            if std::mem::take(&mut self.after_cr) && rest.first() == Some(&b'\n') {
                rest = &rest[1..];
                continue;
            }
            let Some(end) = rest.iter().position(|b| matches!(b, b'\n' | b'\r')) else {
                self.line.extend_from_slice(rest);
                break;
            };
            self.after_cr = rest[end] == b'\r';
            if self.line.is_empty() {
                self.take_line(&rest[..end], each)?;
            } else {
                self.line.extend_from_slice(&rest[..end]);
                let mut line = std::mem::take(&mut self.line);
                self.take_line(&line, each)?;
                line.clear();
                self.line = line;
            }
            rest = &rest[end + 1..];
        }
        if self.line.len() + self.data.len() > LONGEST {
            Err(Fault::Malformed)
        } else {
            Ok(())
        }
    }

    /// Hands over an event that the end of the stream cut off before its blank line: some servers
    /// leave the last one out.
    pub(super) fn finish(
        &mut self,
        each: &mut impl FnMut(&[u8]) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let line = std::mem::take(&mut self.line);
        if !line.is_empty() {
            self.take_line(&line, each)?;
        }
        self.take_line(b"", each)
    }

    fn take_line(
        &mut self,
        line: &[u8],
        each: &mut impl FnMut(&[u8]) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let line = if self.begun {
            line
        } else {
            line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line)
        };
        self.begun = true;
        if line.is_empty() {
            if std::mem::take(&mut self.has_data) {
                let result = each(&self.data);
                self.data.clear();
                return result;
            }
        } else if let Some(value) = line.strip_prefix(b"data:") {
            if std::mem::replace(&mut self.has_data, true) {
                self.data.push(b'\n');
            }
            self.data
                .extend_from_slice(value.strip_prefix(b" ").unwrap_or(value));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(chunks: &[&[u8]]) -> Vec<String> {
        let mut events = Events::default();
        let mut seen = Vec::new();
        let mut each = |data: &[u8]| {
            seen.push(String::from_utf8(data.to_vec()).unwrap());
            Ok(())
        };
        for chunk in chunks {
            events.feed(chunk, &mut each).unwrap();
        }
        events.finish(&mut each).unwrap();
        seen
    }

    #[test]
    fn every_split_gives_the_same_events() {
        let stream = "\u{feff}data: 가\n\n: ping\r\n\r\ndata:나\r\rdata: 1\ndata: 2\n\nevent: x\nid: 3\n\ndata\n\ndata: 👩‍👩‍👧\n".as_bytes();
        let expected = ["가", "나", "1\n2", "👩‍👩‍👧"];
        for cut in 0..=stream.len() {
            let (a, b) = stream.split_at(cut);
            assert_eq!(read(&[a, b]), expected, "cut at {cut}");
        }
        for size in 1..=9 {
            assert_eq!(
                read(&stream.chunks(size).collect::<Vec<_>>()),
                expected,
                "pieces of {size}"
            );
        }
    }

    #[test]
    fn an_endless_line_is_a_fault() {
        let mut events = Events::default();
        let chunk = vec![b'x'; LONGEST];
        events.feed(&chunk, &mut |_| Ok(())).unwrap();
        assert_eq!(events.feed(b"xx", &mut |_| Ok(())), Err(Fault::Malformed));
    }
}

//! A frame of an event stream, read where it lies.
//!
//! ```text
//!   4 bytes   its length     ┐
//!   4 bytes   of the headers ├ the prelude
//!   4 bytes   CRC of both    ┘
//!             headers: 1 byte and a name, 1 byte of type, a value
//!             payload
//!   4 bytes   CRC of all before it
//! ```
//!
//! # Why not the SDK's decoder
//!
//! `aws_smithy_eventstream` makes a message of each frame: a list of headers, a handle on each of their names and values,
//! a checksum carried along as the bytes are taken off. That was a quarter of what an event cost; all that is looked at
//! is two headers. It is the oracle of the tests.
use std::str;

/// The largest frame that Bedrock may send: AWS bounds a payload at 24 MiB.
const MAX_FRAME: usize = 25 * 1024 * 1024;
const PRELUDE: usize = 12;
const CHECKSUM: usize = 4;

/// A frame whose checksums are right and whose headers can be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    headers: Headers<'a>,
    pub(super) payload: &'a [u8],
    /// All of its bytes.
    pub(super) length: usize,
}

/// Why a frame cannot be read; nothing after it can, either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Broken {
    #[error("a frame of {0} bytes")]
    Length(u32),
    #[error("a frame with {0} bytes of headers")]
    HeadersLength(u32),
    #[error("a frame whose prelude does not have its checksum")]
    Prelude,
    #[error("a frame that does not have its checksum")]
    Checksum,
    #[error("a frame whose headers cannot be read")]
    Headers,
}

/// The headers that are left.
#[derive(Clone, Copy, Debug)]
struct Headers<'a>(&'a [u8]);

/// A value. Of those that are no text only the length matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value<'a> {
    Text(&'a [u8]),
    Other,
}

// === impl Frame ===

impl<'a> Frame<'a> {
    /// The frame that `bytes` begin with. `None`: it is not there as a whole yet.
    pub(super) fn first(bytes: &'a [u8]) -> Result<Option<Self>, Broken> {
        let Some(prelude) = bytes.first_chunk::<PRELUDE>() else { return Ok(None) };
        if crc32fast::hash(&prelude[..8]) != number(&prelude[8..]) {
            return Err(Broken::Prelude);
        }
        let (claimed, headers) = (number(&prelude[..4]), number(&prelude[4..8]));
        let (length, headers_length) = (claimed as usize, headers as usize);
        if !(PRELUDE + CHECKSUM..=MAX_FRAME).contains(&length) {
            return Err(Broken::Length(claimed));
        }
        if headers_length > length - PRELUDE - CHECKSUM {
            return Err(Broken::HeadersLength(headers));
        }
        let Some(frame) = bytes.get(..length) else { return Ok(None) };
        let (content, checksum) = frame.split_at(length - CHECKSUM);
        if crc32fast::hash(content) != number(checksum) {
            return Err(Broken::Checksum);
        }
        let (headers, payload) = content[PRELUDE..].split_at(headers_length);
        let headers = Headers(headers);
        match headers.clone().all(|header| header.is_ok()) {
            true => Ok(Some(Self { headers, payload, length })),
            false => Err(Broken::Headers),
        }
    }

    /// The text of a header. Empty: there is none of this name, or it is no text.
    pub(super) fn header(&self, name: &str) -> &'a str {
        match self.headers.flatten().find(|header| header.0 == name.as_bytes()) {
            Some((_, Value::Text(text))) => str::from_utf8(text).unwrap_or_default(), // which it is
            _ => "",
        }
    }
}

/// Four bytes, the highest first; fewer are 0.
fn number(bytes: &[u8]) -> u32 {
    bytes.first_chunk().copied().map_or(0, u32::from_be_bytes)
}

/// Only what is text. Names and kinds are ASCII, which is seen in a fraction of the time.
fn text(bytes: &[u8]) -> Option<&[u8]> {
    (bytes.is_ascii() || str::from_utf8(bytes).is_ok()).then_some(bytes)
}

// === impl Headers ===

impl<'a> Headers<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|byte| byte[0])
    }

    /// What its length stands before.
    fn sized(&mut self) -> Option<&'a [u8]> {
        let length = self.take(2)?.first_chunk().copied().map(u16::from_be_bytes)?;
        self.take(usize::from(length))
    }

    fn header(&mut self) -> Option<(&'a [u8], Value<'a>)> {
        let length = self.byte().filter(|length| *length > 0)?;
        let name = text(self.take(usize::from(length))?)?;
        let fixed = match self.byte()? {
            0 | 1 => 0, // true, false
            2 => 1,
            3 => 2,
            4 => 4,
            5 | 8 => 8, // a number, a time
            6 => return self.sized().map(|_| (name, Value::Other)),
            7 => return Some((name, Value::Text(text(self.sized()?)?))),
            9 => 16,
            _ => return None,
        };
        self.take(fixed).map(|_| (name, Value::Other))
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = Result<(&'a [u8], Value<'a>), Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let header = self.header();
        if header.is_none() {
            self.0 = &[]; // what follows means nothing
        }
        Some(header.ok_or(Broken::Headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_smithy_eventstream::frame::{read_message_from, write_message_to};
    use aws_smithy_types::{
        DateTime,
        event_stream::{Header, HeaderValue, Message},
    };
    use proptest::{collection::vec, prelude::*};

    fn value() -> impl Strategy<Value = HeaderValue> {
        prop_oneof![
            any::<bool>().prop_map(HeaderValue::Bool),
            any::<i8>().prop_map(HeaderValue::Byte),
            any::<i16>().prop_map(HeaderValue::Int16),
            any::<i32>().prop_map(HeaderValue::Int32),
            any::<i64>().prop_map(HeaderValue::Int64),
            vec(any::<u8>(), 0..40).prop_map(|bytes| HeaderValue::ByteArray(bytes.into())),
            "\\PC{0,20}".prop_map(|text| HeaderValue::String(text.into())),
            (0..1_000_000_i64).prop_map(|at| HeaderValue::Timestamp(DateTime::from_secs(at))),
            any::<u128>().prop_map(HeaderValue::Uuid),
        ]
    }

    fn message() -> impl Strategy<Value = Message> {
        let header = ("[a-z:-]{1,12}", value()).prop_map(|(name, value)| Header::new(name, value));
        (vec(header, 0..6), vec(any::<u8>(), 0..80)).prop_map(|(headers, payload)| {
            headers.into_iter().fold(Message::new(payload), Message::add_header)
        })
    }

    fn written(message: &Message) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_message_to(message, &mut bytes).expect("fits");
        bytes
    }

    /// Puts both checksums right, so that what they guard is reached.
    fn with_checksums(bytes: &mut [u8]) {
        if bytes.len() >= PRELUDE + CHECKSUM {
            let prelude = crc32fast::hash(&bytes[..8]);
            bytes[8..12].copy_from_slice(&prelude.to_be_bytes());
            let end = bytes.len() - CHECKSUM;
            let all = crc32fast::hash(&bytes[..end]);
            bytes[end..].copy_from_slice(&all.to_be_bytes());
        }
    }

    fn is_read_as_by_the_sdk(bytes: &[u8]) -> Result<(), TestCaseError> {
        let theirs = read_message_from(bytes);
        match Frame::first(bytes) {
            Ok(Some(ours)) => {
                let theirs = theirs.map_err(|error| TestCaseError::fail(format!("they refuse: {error}")))?;
                prop_assert_eq!(ours.payload, &theirs.payload()[..]);
                for header in theirs.headers() {
                    let first = theirs.headers().iter().find(|other| other.name() == header.name());
                    let text = match first.map(Header::value) {
                        Some(HeaderValue::String(text)) => text.as_str(),
                        _ => "",
                    };
                    prop_assert_eq!(ours.header(header.name().as_str()), text);
                }
            }
            Ok(None) | Err(_) => prop_assert!(theirs.is_err(), "they read {theirs:?}"),
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn a_frame_is_read_as_by_the_sdk(message in message()) {
            let bytes = written(&message);
            is_read_as_by_the_sdk(&bytes)?;
            prop_assert_eq!(Frame::first(&bytes).expect("is right").map(|frame| frame.length), Some(bytes.len()));
        }

        #[test]
        fn a_damaged_frame_is_refused_where_the_sdk_refuses_it(
            message in message(), at in any::<prop::sample::Index>(), to in any::<u8>(), mended in any::<bool>(),
        ) {
            let mut bytes = written(&message);
            let at = at.index(bytes.len());
            bytes[at] = to;
            if mended {
                with_checksums(&mut bytes);
            }
            is_read_as_by_the_sdk(&bytes)?;
        }

        #[test]
        fn a_frame_that_is_not_whole_is_awaited(message in message(), at in any::<prop::sample::Index>()) {
            let bytes = written(&message);
            prop_assert!(Frame::first(&bytes[..at.index(bytes.len())]).expect("may become right").is_none());
        }
    }

    #[test]
    fn a_length_beyond_all_bounds_is_refused_before_it_is_awaited() {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&u32::MAX.to_be_bytes());
        with_checksums(&mut bytes);
        assert_eq!(Frame::first(&bytes).err(), Some(Broken::Length(u32::MAX)));
    }
}

//! Frames of an AWS event stream, parsed without copying.
//!
//! ```text
//!   4 bytes   length of the frame          ┐
//!   4 bytes   length of the headers        ├ prelude
//!   4 bytes   CRC-32 of both lengths       ┘
//!             headers: name length (1 byte), name, value type (1 byte), value
//!             payload
//!   4 bytes   CRC-32 of everything before
//! ```
//!
//! # Why not the SDK's decoder
//!
//! `aws_smithy_eventstream` builds a message for each frame: a list of headers, a reference-counted handle
//! for each name and value, and a checksum that is updated byte by byte. That took a quarter of the CPU time
//! of an event, although only two headers are used. The tests compare this parser with that decoder.
use std::str;

/// Maximum size of a frame in bytes. AWS limits a payload to 24 MiB.
const MAX_FRAME_BYTES: usize = 25 * 1024 * 1024;
const PRELUDE_BYTES: usize = 12;
const CHECKSUM_BYTES: usize = 4;

/// A frame with valid checksums and headers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    headers: Headers<'a>,
    pub(super) payload: &'a [u8],
    /// Size of the whole frame in bytes.
    pub(super) length: usize,
}

/// Reason why a frame is malformed. Nothing after it in the stream can be read either.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FrameError {
    #[error("invalid frame length: {0} bytes")]
    Length(u32),
    #[error("invalid length of frame headers: {0} bytes")]
    HeadersLength(u32),
    #[error("wrong checksum of a frame's prelude")]
    PreludeChecksum,
    #[error("wrong checksum of a frame")]
    Checksum,
    #[error("malformed frame headers")]
    Headers,
}

/// Iterator over the headers of a frame; holds the bytes that are not parsed yet.
#[derive(Clone, Copy, Debug)]
struct Headers<'a>(&'a [u8]);

/// Value of a header. The content of other types than strings is skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value<'a> {
    String(&'a [u8]),
    Other,
}

// === impl Frame ===

impl<'a> Frame<'a> {
    /// Parses the frame at the start of `bytes`. `None`: the frame is incomplete, more bytes are needed.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Option<Self>, FrameError> {
        let Some(prelude) = bytes.first_chunk::<PRELUDE_BYTES>() else { return Ok(None) };
        if crc32fast::hash(&prelude[..8]) != big_endian(&prelude[8..]) {
            return Err(FrameError::PreludeChecksum);
        }
        let (raw_length, raw_headers_length) = (big_endian(&prelude[..4]), big_endian(&prelude[4..8]));
        let (length, headers_length) = (raw_length as usize, raw_headers_length as usize);
        if !(PRELUDE_BYTES + CHECKSUM_BYTES..=MAX_FRAME_BYTES).contains(&length) {
            return Err(FrameError::Length(raw_length));
        }
        if headers_length > length - PRELUDE_BYTES - CHECKSUM_BYTES {
            return Err(FrameError::HeadersLength(raw_headers_length));
        }
        let Some(frame) = bytes.get(..length) else { return Ok(None) };
        let (content, checksum) = frame.split_at(length - CHECKSUM_BYTES);
        if crc32fast::hash(content) != big_endian(checksum) {
            return Err(FrameError::Checksum);
        }
        let (headers, payload) = content[PRELUDE_BYTES..].split_at(headers_length);
        let headers = Headers(headers);
        match headers.clone().all(|header| header.is_ok()) {
            true => Ok(Some(Self { headers, payload, length })),
            false => Err(FrameError::Headers),
        }
    }

    /// Value of the header `name`. Empty: there is no such header, or it is not a string.
    pub(super) fn header(&self, name: &str) -> &'a str {
        match self.headers.flatten().find(|header| header.0 == name.as_bytes()) {
            Some((_, Value::String(text))) => str::from_utf8(text).unwrap_or_default(), // was validated by `utf8`
            _ => "",
        }
    }
}

/// Reads a big-endian integer from the first four bytes. 0 if there are fewer.
fn big_endian(bytes: &[u8]) -> u32 {
    bytes.first_chunk().copied().map_or(0, u32::from_be_bytes)
}

/// Returns `bytes` if they are valid UTF-8. Nearly all names and values are ASCII, and that check is much
/// faster.
fn utf8(bytes: &[u8]) -> Option<&[u8]> {
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

    /// Takes a value that follows its own length (2 bytes).
    fn length_prefixed(&mut self) -> Option<&'a [u8]> {
        let length = self.take(2)?.first_chunk().copied().map(u16::from_be_bytes)?;
        self.take(usize::from(length))
    }

    /// Takes the next header. `None`: malformed.
    fn take_header(&mut self) -> Option<(&'a [u8], Value<'a>)> {
        let length = self.byte().filter(|length| *length > 0)?;
        let name = utf8(self.take(usize::from(length))?)?;
        let fixed = match self.byte()? {
            0 | 1 => 0, // true, false
            2 => 1,     // 8-bit integer
            3 => 2,     // 16-bit integer
            4 => 4,     // 32-bit integer
            5 | 8 => 8, // 64-bit integer, timestamp
            6 => return self.length_prefixed().map(|_| (name, Value::Other)),
            7 => return Some((name, Value::String(utf8(self.length_prefixed()?)?))),
            9 => 16, // UUID
            _ => return None,
        };
        self.take(fixed).map(|_| (name, Value::Other))
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = Result<(&'a [u8], Value<'a>), FrameError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let header = self.take_header();
        if header.is_none() {
            self.0 = &[]; // the rest cannot be parsed
        }
        Some(header.ok_or(FrameError::Headers))
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

    fn encoded(message: &Message) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_message_to(message, &mut bytes).expect("fits into a frame");
        bytes
    }

    /// Corrects both checksums, so that the checks behind them are reached.
    fn fix_checksums(bytes: &mut [u8]) {
        if bytes.len() >= PRELUDE_BYTES + CHECKSUM_BYTES {
            let prelude = crc32fast::hash(&bytes[..8]);
            bytes[8..12].copy_from_slice(&prelude.to_be_bytes());
            let end = bytes.len() - CHECKSUM_BYTES;
            let all = crc32fast::hash(&bytes[..end]);
            bytes[end..].copy_from_slice(&all.to_be_bytes());
        }
    }

    fn parses_like_the_sdk(bytes: &[u8]) -> Result<(), TestCaseError> {
        let sdk = read_message_from(bytes);
        match Frame::parse(bytes) {
            Ok(Some(frame)) => {
                let sdk = sdk.map_err(|error| TestCaseError::fail(format!("the SDK refuses it: {error}")))?;
                prop_assert_eq!(frame.payload, &sdk.payload()[..]);
                for header in sdk.headers() {
                    let first = sdk.headers().iter().find(|other| other.name() == header.name());
                    let text = match first.map(Header::value) {
                        Some(HeaderValue::String(text)) => text.as_str(),
                        _ => "",
                    };
                    prop_assert_eq!(frame.header(header.name().as_str()), text);
                }
            }
            Ok(None) | Err(_) => prop_assert!(sdk.is_err(), "the SDK reads {sdk:?}"),
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn a_frame_parses_like_the_sdk(message in message()) {
            let bytes = encoded(&message);
            parses_like_the_sdk(&bytes)?;
            prop_assert_eq!(Frame::parse(&bytes).expect("is valid").map(|frame| frame.length), Some(bytes.len()));
        }

        #[test]
        fn refuses_a_damaged_frame_if_and_only_if_the_sdk_does(
            message in message(), at in any::<prop::sample::Index>(), to in any::<u8>(), fixed in any::<bool>(),
        ) {
            let mut bytes = encoded(&message);
            let at = at.index(bytes.len());
            bytes[at] = to;
            if fixed {
                fix_checksums(&mut bytes);
            }
            parses_like_the_sdk(&bytes)?;
        }

        #[test]
        fn waits_for_the_rest_of_an_incomplete_frame(message in message(), at in any::<prop::sample::Index>()) {
            let bytes = encoded(&message);
            prop_assert!(Frame::parse(&bytes[..at.index(bytes.len())]).expect("may become valid").is_none());
        }
    }

    #[test]
    fn refuses_an_excessive_length_before_the_frame_is_complete() {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&u32::MAX.to_be_bytes());
        fix_checksums(&mut bytes);
        assert_eq!(Frame::parse(&bytes).err(), Some(FrameError::Length(u32::MAX)));
    }
}

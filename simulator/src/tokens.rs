//! Counting and cutting text in tokens.
//!
//! No model behind Bedrock publishes its tokenizer, so one of tiktoken's stands in for all of them. It loads on first
//! use, once per process.

use tiktoken_rs::cl100k_base_singleton;

/// What an image, a video or other opaque media counts for.
pub(crate) const MEDIA: usize = 1_200;

/// A stretch of text that holds whole tokens and whole characters.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Piece {
    pub(crate) text: String,
    pub(crate) tokens: usize,
}

/// How many tokens a text has.
pub(crate) fn count(text: &str) -> usize {
    cl100k_base_singleton().count_ordinary(text)
}

/// The text in the smallest printable pieces: one token each, more where a character spans several.
pub(crate) fn split(text: &str) -> Vec<Piece> {
    let bpe = cl100k_base_singleton();
    let mut pieces = Vec::new();
    let (mut bytes, mut tokens) = (Vec::new(), 0);
    for token in bpe.encode_ordinary(text) {
        bytes.extend(bpe.decode_bytes(&[token]).unwrap_or_default());
        tokens += 1;
        if let Ok(text) = std::str::from_utf8(&bytes) {
            pieces.push(Piece { text: text.to_owned(), tokens });
            (bytes, tokens) = (Vec::new(), 0);
        }
    }
    pieces
}

/// The longest beginning of `text` that fits into `limit` tokens, and whether something was cut off.
pub(crate) fn truncate(text: &str, limit: usize) -> (String, usize, bool) {
    let (mut kept, mut used) = (String::new(), 0);
    for piece in split(text) {
        if used + piece.tokens > limit {
            return (kept, used, true);
        }
        kept.push_str(&piece.text);
        used += piece.tokens;
    }
    (kept, used, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_join_to_the_text_even_when_characters_span_tokens() {
        let text = "Grüße, 世界 🦀! Tokens are fun.";
        let pieces = split(text);
        assert_eq!(pieces.iter().map(|piece| piece.text.as_str()).collect::<String>(), text);
        assert_eq!(pieces.iter().map(|piece| piece.tokens).sum::<usize>(), count(text));
    }

    #[test]
    fn a_cut_text_keeps_the_limit() {
        let (kept, used, cut) = truncate("one two three four five six seven", 3);
        assert_eq!((kept.as_str(), used, cut), ("one two three", 3, true));
    }
}

//! Counts tokens of text, and splits and truncates text at tokens.
//!
//! The models of Bedrock do not publish their tokenizers, so tiktoken's `cl100k_base` is used for all of
//! them. The tokenizer loads on first use, once per process.

use tiktoken_rs::cl100k_base_singleton;

/// Input tokens of one image, video or audio block.
pub(crate) const MEDIA_TOKENS: usize = 1_200;

/// A span of text that consists of complete tokens and complete characters.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Span {
    pub(crate) text: String,
    pub(crate) tokens: usize,
}

/// Returns the number of tokens of the text.
pub(crate) fn count(text: &str) -> usize {
    cl100k_base_singleton().count_ordinary(text)
}

/// Splits the text into the shortest valid spans: one token each, or more where tokens split a character.
pub(crate) fn split(text: &str) -> Vec<Span> {
    let bpe = cl100k_base_singleton();
    let mut spans = Vec::new();
    let (mut bytes, mut tokens) = (Vec::new(), 0);
    for token in bpe.encode_ordinary(text) {
        bytes.extend(bpe.decode_bytes(&[token]).unwrap_or_default());
        tokens += 1;
        if let Ok(text) = std::str::from_utf8(&bytes) {
            spans.push(Span { text: text.to_owned(), tokens });
            (bytes, tokens) = (Vec::new(), 0);
        }
    }
    spans
}

/// Returns the longest prefix of at most `limit` tokens, its tokens, and true if text was removed.
pub(crate) fn truncate(text: &str, limit: usize) -> (String, usize, bool) {
    let (mut kept, mut used) = (String::new(), 0);
    for span in split(text) {
        if used + span.tokens > limit {
            return (kept, used, true);
        }
        kept.push_str(&span.text);
        used += span.tokens;
    }
    (kept, used, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_join_to_the_text_when_characters_span_tokens() {
        let text = "Grüße, 世界 🦀! Tokens are fun.";
        let spans = split(text);
        assert_eq!(spans.iter().map(|span| span.text.as_str()).collect::<String>(), text);
        assert_eq!(spans.iter().map(|span| span.tokens).sum::<usize>(), count(text));
    }

    #[test]
    fn truncated_text_has_at_most_the_limit() {
        let (kept, used, truncated) = truncate("one two three four five six seven", 3);
        assert_eq!((kept.as_str(), used, truncated), ("one two three", 3, true));
    }
}

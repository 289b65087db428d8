//! Citations of documents and search results for which the request enables citations.

use serde_json::{Value, json};

use super::Block;
use crate::prompt;

/// Returns a sentence that cites the first source with citations enabled. Absent: no such source.
pub(super) fn generate(body: &Value) -> Option<Block> {
    let documents =
        prompt::blocks(body).filter_map(|block| block.get("document")).enumerate().filter_map(document);
    let results = prompt::blocks(body)
        .filter_map(|block| block.get("searchResult"))
        .enumerate()
        .filter_map(search_result);
    let (quote, citation) = documents.chain(results).next()?;
    Some(Block::Cited { text: format!(" According to the source: {quote}"), citations: vec![citation] })
}

fn document((index, document): (usize, &Value)) -> Option<(String, Value)> {
    enabled(document)?;
    let source = &document["source"];
    let text = source["text"].as_str().or_else(|| source["content"][0]["text"].as_str());
    let quote = first_sentence(text.unwrap_or("(a document the simulator cannot read)"));
    let location =
        json!({ "documentChar": { "documentIndex": index, "start": 0, "end": quote.chars().count() } });
    let citation =
        json!({ "title": document["name"], "sourceContent": [{ "text": quote }], "location": location });
    Some((quote, citation))
}

fn search_result((index, result): (usize, &Value)) -> Option<(String, Value)> {
    enabled(result)?;
    let quote = first_sentence(result["content"][0]["text"].as_str()?);
    let location = json!({ "searchResultLocation": { "searchResultIndex": index, "start": 0, "end": 1 } });
    let citation = json!({
        "title": result["title"], "source": result["source"],
        "sourceContent": [{ "text": quote }], "location": location,
    });
    Some((quote, citation))
}

fn enabled(source: &Value) -> Option<()> {
    (source["citations"]["enabled"] == true).then_some(())
}

fn first_sentence(text: &str) -> String {
    text.split_inclusive(['.', '!', '?', '\n']).next().unwrap_or_default().trim().chars().take(300).collect()
}

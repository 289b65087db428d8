//! Images, documents and videos: who takes which, and who takes them from S3.
//!
//! What happens to S3 locations is as recorded, oddities included.

use serde_json::Value;

use crate::error::Refusal;
use crate::models::{Model, Quirk};
use crate::prompt::list;

/// Where a block stands.
#[derive(Clone, Copy)]
struct Place {
    message: usize,
    block: usize,
    in_result: bool,
}

/// Refuses media the model does not take.
pub(super) fn check(model: &Model, body: &Value) -> Result<(), Refusal> {
    for (message, turn) in list(body, "messages").iter().enumerate() {
        for (index, block) in list(turn, "content").iter().enumerate() {
            let place = Place { message, block: index, in_result: false };
            one(model, block, place)?;
            for result in list(&block["toolResult"], "content") {
                one(model, result, Place { in_result: true, ..place })?;
            }
        }
    }
    Ok(())
}

fn one(model: &Model, block: &Value, place: Place) -> Result<(), Refusal> {
    let kinds = [("image", Quirk::NoImages), ("document", Quirk::NoDocuments), ("video", Quirk::NoVideo)];
    if let Some((kind, _)) = kinds.iter().find(|(kind, quirk)| !block[*kind].is_null() && model.is(*quirk)) {
        return Err(Refusal::validation(format!(
            "This model doesn't support the {kind} content block that you provided. Update the content block and try again."
        )));
    }
    from_s3(model, block, place)
}

fn from_s3(model: &Model, block: &Value, place: Place) -> Result<(), Refusal> {
    let in_s3 = |kind: &str| !block[kind]["source"]["s3Location"].is_null();
    let Place { message, block: index, in_result } = place;
    match model.vendor() {
        "anthropic" if in_s3("image") => Err(Refusal::validation(
            "This model doesn't support the s3Uri field. Remove s3Uri and try again.",
        )),
        "anthropic" if in_s3("document") && !in_result => Err(Refusal::model(format!(
            "messages.{message}.content.{index}.document.source.type: Field required"
        ))),
        "amazon" if in_s3("document") && in_result => Err(Refusal::model(format!(
            "Malformed input request: #/messages/{message}/content/{index}: extraneous key [toolResult] is not permitted, please reformat your input and try again."
        ))),
        _ => Ok(()),
    }
}

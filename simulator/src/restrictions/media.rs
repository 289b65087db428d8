//! Images, documents and videos that a model does not support, inline or from S3.
//!
//! The errors for S3 locations are as recorded, including their inconsistencies.

use serde_json::Value;

use crate::error::ServiceError;
use crate::models::{Behavior, Model};
use crate::prompt::list;

/// Position of a block in the conversation.
#[derive(Clone, Copy)]
struct Position {
    message: usize,
    block: usize,
    /// True for content of a tool result.
    in_tool_result: bool,
}

/// Rejects media that the model does not support.
pub(super) fn check(model: &Model, body: &Value) -> Result<(), ServiceError> {
    for (message_index, message) in list(body, "messages").iter().enumerate() {
        for (block_index, block) in list(message, "content").iter().enumerate() {
            let position = Position { message: message_index, block: block_index, in_tool_result: false };
            check_block(model, block, position)?;
            for result in list(&block["toolResult"], "content") {
                check_block(model, result, Position { in_tool_result: true, ..position })?;
            }
        }
    }
    Ok(())
}

fn check_block(model: &Model, block: &Value, position: Position) -> Result<(), ServiceError> {
    let kinds =
        [("image", Behavior::NoImages), ("document", Behavior::NoDocuments), ("video", Behavior::NoVideo)];
    if let Some((kind, _)) =
        kinds.iter().find(|(kind, behavior)| !block[*kind].is_null() && model.has(*behavior))
    {
        return Err(ServiceError::validation(format!(
            "This model doesn't support the {kind} content block that you provided. Update the content block and try again."
        )));
    }
    check_s3_location(model, block, position)
}

fn check_s3_location(model: &Model, block: &Value, position: Position) -> Result<(), ServiceError> {
    let is_in_s3 = |kind: &str| !block[kind]["source"]["s3Location"].is_null();
    let Position { message, block: index, in_tool_result } = position;
    match model.provider() {
        "anthropic" if is_in_s3("image") => Err(ServiceError::validation(
            "This model doesn't support the s3Uri field. Remove s3Uri and try again.",
        )),
        "anthropic" if is_in_s3("document") && !in_tool_result => Err(ServiceError::from_model(format!(
            "messages.{message}.content.{index}.document.source.type: Field required"
        ))),
        "amazon" if is_in_s3("document") && in_tool_result => Err(ServiceError::from_model(format!(
            "Malformed input request: #/messages/{message}/content/{index}: extraneous key [toolResult] is not permitted, please reformat your input and try again."
        ))),
        _ => Ok(()),
    }
}

//! Converts answers of the SDK to Bedrock's JSON. Written by hand, since the SDK can only decode them.
use aws_sdk_bedrockruntime::{
    error::SdkError,
    operation::converse::ConverseOutput as Answer,
    primitives::Blob,
    types::{
        CitationGeneratedContent, CitationLocation, CitationSourceContent, ContentBlock, ContentBlockDelta,
        ContentBlockStart, ConverseOutput, ConverseStreamOutput, GuardrailAssessment, GuardrailCoverage,
        GuardrailTraceAssessment, GuardrailUsage, Message, PromptRouterTrace, ReasoningContentBlock,
        ReasoningContentBlockDelta, TokenUsage, ToolResultBlockDelta, ToolResultContentBlock,
        error::ConverseStreamOutputError,
    },
};
use aws_smithy_types::{Document, Number};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::fmt::Debug;

pub(crate) fn answer(answer: &Answer) -> Value {
    let output = answer.output.as_ref().map(|output| match output {
        ConverseOutput::Message(it) => json!({ "message": message(it) }),
        other => unexpected(other),
    });
    json!({
        "output": output,
        "stopReason": answer.stop_reason.as_str(),
        "usage": answer.usage.as_ref().map(usage),
        "metrics": answer.metrics.as_ref().map(|it| json!({ "latencyMs": it.latency_ms })),
        "additionalModelResponseFields": answer.additional_model_response_fields.as_ref().map(document),
        "trace": answer.trace.as_ref().map(|it| trace(it.guardrail.as_ref(), it.prompt_router.as_ref())),
        "performanceConfig": answer.performance_config.as_ref().map(|it| json!({ "latency": it.latency.as_str() })),
        "serviceTier": answer.service_tier.as_ref().map(|it| json!({ "type": it.r#type.as_str() })),
    })
}

pub(crate) fn event(event: &ConverseStreamOutput) -> Value {
    use ConverseStreamOutput as E;
    match event {
        E::MessageStart(it) => json!({ "messageStart": { "role": it.role.as_str() } }),
        E::ContentBlockStart(it) => json!({ "contentBlockStart": {
            "start": it.start.as_ref().map(start),
            "contentBlockIndex": it.content_block_index,
        } }),
        E::ContentBlockDelta(it) => json!({ "contentBlockDelta": {
            "delta": it.delta.as_ref().map(delta),
            "contentBlockIndex": it.content_block_index,
        } }),
        E::ContentBlockStop(it) => {
            json!({ "contentBlockStop": { "contentBlockIndex": it.content_block_index } })
        }
        E::MessageStop(it) => json!({ "messageStop": {
            "stopReason": it.stop_reason.as_str(),
            "additionalModelResponseFields": it.additional_model_response_fields.as_ref().map(document),
        } }),
        E::Metadata(it) => json!({ "metadata": {
            "usage": it.usage.as_ref().map(usage),
            "metrics": it.metrics.as_ref().map(|it| json!({ "latencyMs": it.latency_ms })),
            "trace": it.trace.as_ref().map(|it| trace(it.guardrail.as_ref(), it.prompt_router.as_ref())),
            "performanceConfig": it.performance_config.as_ref().map(|it| json!({ "latency": it.latency.as_str() })),
            "serviceTier": it.service_tier.as_ref().map(|it| json!({ "type": it.r#type.as_str() })),
        } }),
        other => unexpected(other),
    }
}

/// The type of the exception that ended a stream, and its message.
pub(crate) fn exception<R: Debug>(error: &SdkError<ConverseStreamOutputError, R>) -> String {
    use ConverseStreamOutputError as E;
    let (name, message) = match error.as_service_error() {
        Some(E::InternalServerException(it)) => ("internalServerException", it.message()),
        Some(E::ModelStreamErrorException(it)) => ("modelStreamErrorException", it.message()),
        Some(E::ServiceUnavailableException(it)) => ("serviceUnavailableException", it.message()),
        Some(E::ThrottlingException(it)) => ("throttlingException", it.message()),
        Some(E::ValidationException(it)) => ("validationException", it.message()),
        _ => return format!("another error: {error:?}"),
    };
    format!("{name}: {}", message.unwrap_or_default())
}

/// A value that no answer has, so that the comparison reports a difference.
fn unexpected(it: &impl Debug) -> Value {
    json!({ "unexpected": format!("{it:?}") })
}

// === content ===

fn message(message: &Message) -> Value {
    let content: Vec<_> = message.content.iter().map(block).collect();
    json!({ "role": message.role.as_str(), "content": content })
}

fn block(block: &ContentBlock) -> Value {
    match block {
        ContentBlock::Text(text) => json!({ "text": text }),
        ContentBlock::ToolUse(it) => json!({ "toolUse": {
            "toolUseId": it.tool_use_id,
            "name": it.name,
            "input": document(&it.input),
            "type": it.r#type.as_ref().map(|it| it.as_str()),
        } }),
        ContentBlock::ToolResult(it) => json!({ "toolResult": {
            "toolUseId": it.tool_use_id,
            "content": it.content.iter().map(result).collect::<Vec<_>>(),
            "status": it.status.as_ref().map(|it| it.as_str()),
            "type": it.r#type,
        } }),
        ContentBlock::ReasoningContent(ReasoningContentBlock::ReasoningText(it)) => {
            json!({ "reasoningContent": { "reasoningText": { "text": it.text, "signature": it.signature } } })
        }
        ContentBlock::ReasoningContent(ReasoningContentBlock::RedactedContent(bytes)) => {
            json!({ "reasoningContent": { "redactedContent": base64(bytes) } })
        }
        ContentBlock::CitationsContent(it) => {
            let content = it.content().iter().map(|content| match content {
                CitationGeneratedContent::Text(text) => json!({ "text": text }),
                other => unexpected(other),
            });
            let citations = it.citations().iter().map(|it| {
                let source = it.source_content().iter().map(|content| match content {
                    CitationSourceContent::Text(text) => json!({ "text": text }),
                    other => unexpected(other),
                });
                json!({
                    "title": it.title,
                    "source": it.source,
                    "sourceContent": source.collect::<Vec<_>>(),
                    "location": it.location.as_ref().map(location),
                })
            });
            json!({ "citationsContent": {
                "content": content.collect::<Vec<_>>(),
                "citations": citations.collect::<Vec<_>>(),
            } })
        }
        other => unexpected(other),
    }
}

fn result(result: &ToolResultContentBlock) -> Value {
    match result {
        ToolResultContentBlock::Text(text) => json!({ "text": text }),
        ToolResultContentBlock::Json(it) => json!({ "json": document(it) }),
        other => unexpected(other),
    }
}

fn location(location: &CitationLocation) -> Value {
    use CitationLocation as L;
    match location {
        L::Web(it) => json!({ "web": { "url": it.url, "domain": it.domain } }),
        L::DocumentChar(it) => {
            json!({ "documentChar": { "documentIndex": it.document_index, "start": it.start, "end": it.end } })
        }
        L::DocumentPage(it) => {
            json!({ "documentPage": { "documentIndex": it.document_index, "start": it.start, "end": it.end } })
        }
        L::DocumentChunk(it) => {
            json!({ "documentChunk": { "documentIndex": it.document_index, "start": it.start, "end": it.end } })
        }
        L::SearchResultLocation(it) => json!({ "searchResultLocation": {
            "searchResultIndex": it.search_result_index,
            "start": it.start,
            "end": it.end,
        } }),
        other => unexpected(other),
    }
}

fn start(start: &ContentBlockStart) -> Value {
    match start {
        ContentBlockStart::ToolUse(it) => json!({ "toolUse": {
            "toolUseId": it.tool_use_id,
            "name": it.name,
            "type": it.r#type.as_ref().map(|it| it.as_str()),
        } }),
        ContentBlockStart::ToolResult(it) => json!({ "toolResult": {
            "toolUseId": it.tool_use_id,
            "type": it.r#type,
            "status": it.status.as_ref().map(|it| it.as_str()),
        } }),
        ContentBlockStart::Image(it) => json!({ "image": { "format": it.format.as_str() } }),
        other => unexpected(other),
    }
}

fn delta(delta: &ContentBlockDelta) -> Value {
    use ContentBlockDelta as D;
    match delta {
        D::Text(text) => json!({ "text": text }),
        D::ToolUse(it) => json!({ "toolUse": { "input": it.input } }),
        D::ToolResult(blocks) => {
            let blocks = blocks.iter().map(|block| match block {
                ToolResultBlockDelta::Text(text) => json!({ "text": text }),
                ToolResultBlockDelta::Json(it) => json!({ "json": document(it) }),
                other => unexpected(other),
            });
            json!({ "toolResult": blocks.collect::<Vec<_>>() })
        }
        D::ReasoningContent(ReasoningContentBlockDelta::Text(text)) => {
            json!({ "reasoningContent": { "text": text } })
        }
        D::ReasoningContent(ReasoningContentBlockDelta::Signature(text)) => {
            json!({ "reasoningContent": { "signature": text } })
        }
        D::ReasoningContent(ReasoningContentBlockDelta::RedactedContent(bytes)) => {
            json!({ "reasoningContent": { "redactedContent": base64(bytes) } })
        }
        D::Citation(it) => json!({ "citation": {
            "title": it.title,
            "source": it.source,
            "sourceContent": it.source_content().iter().map(|it| json!({ "text": it.text })).collect::<Vec<_>>(),
            "location": it.location.as_ref().map(location),
        } }),
        other => unexpected(other),
    }
}

fn base64(bytes: &Blob) -> String {
    STANDARD.encode(bytes.as_ref())
}

fn document(document: &Document) -> Value {
    match document {
        Document::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), self::document(value))).collect()
        }
        Document::Array(entries) => entries.iter().map(self::document).collect(),
        Document::Number(Number::PosInt(number)) => json!(number),
        Document::Number(Number::NegInt(number)) => json!(number),
        Document::Number(Number::Float(number)) => json!(number),
        Document::String(text) => json!(text),
        Document::Bool(truth) => json!(truth),
        Document::Null => Value::Null,
    }
}

// === numbers and traces ===

fn usage(usage: &TokenUsage) -> Value {
    let details = usage.cache_details().iter();
    json!({
        "inputTokens": usage.input_tokens,
        "outputTokens": usage.output_tokens,
        "totalTokens": usage.total_tokens,
        "cacheReadInputTokens": usage.cache_read_input_tokens,
        "cacheWriteInputTokens": usage.cache_write_input_tokens,
        "cacheDetails": details
            .map(|it| json!({ "ttl": it.ttl.as_str(), "inputTokens": it.input_tokens }))
            .collect::<Vec<_>>(),
    })
}

fn trace(guardrail: Option<&GuardrailTraceAssessment>, router: Option<&PromptRouterTrace>) -> Value {
    let guardrail = guardrail.map(|it| {
        let inputs = it.input_assessment.iter().flatten();
        let outputs = it.output_assessments.iter().flatten();
        json!({
            "modelOutput": it.model_output,
            "inputAssessment": inputs.map(|(id, it)| (id.clone(), assessment(it))).collect::<Value>(),
            "outputAssessments": outputs
                .map(|(id, all)| (id.clone(), all.iter().map(assessment).collect::<Value>()))
                .collect::<Value>(),
            "actionReason": it.action_reason,
        })
    });
    json!({
        "guardrail": guardrail,
        "promptRouter": router.map(|it| json!({ "invokedModelId": it.invoked_model_id })),
    })
}

fn assessment(it: &GuardrailAssessment) -> Value {
    let topics = it.topic_policy.as_ref().map(|policy| {
        let topics = policy.topics.iter().map(|it| {
            json!({
                "name": it.name, "type": it.r#type.as_str(), "action": it.action.as_str(), "detected": it.detected,
            })
        });
        json!({ "topics": topics.collect::<Vec<_>>() })
    });
    let content = it.content_policy.as_ref().map(|policy| {
        let filters = policy.filters.iter().map(|it| {
            json!({
                "type": it.r#type.as_str(), "confidence": it.confidence.as_str(), "action": it.action.as_str(),
                "filterStrength": it.filter_strength.as_ref().map(|it| it.as_str()), "detected": it.detected,
            })
        });
        json!({ "filters": filters.collect::<Vec<_>>() })
    });
    let words = it.word_policy.as_ref().map(|policy| {
        let custom = policy.custom_words.iter().map(|it| {
            json!({ "match": it.r#match, "action": it.action.as_str(), "detected": it.detected })
        });
        let managed = policy.managed_word_lists.iter().map(|it| {
            json!({
                "match": it.r#match, "type": it.r#type.as_str(), "action": it.action.as_str(), "detected": it.detected,
            })
        });
        json!({ "customWords": custom.collect::<Vec<_>>(), "managedWordLists": managed.collect::<Vec<_>>() })
    });
    let sensitive = it.sensitive_information_policy.as_ref().map(|policy| {
        let entities = policy.pii_entities.iter().map(|it| {
            json!({
                "match": it.r#match, "type": it.r#type.as_str(), "action": it.action.as_str(), "detected": it.detected,
            })
        });
        let regexes = policy.regexes.iter().map(|it| {
            json!({
                "name": it.name, "match": it.r#match, "regex": it.regex, "action": it.action.as_str(),
                "detected": it.detected,
            })
        });
        json!({ "piiEntities": entities.collect::<Vec<_>>(), "regexes": regexes.collect::<Vec<_>>() })
    });
    let grounding = it.contextual_grounding_policy.as_ref().map(|policy| {
        let filters = policy.filters().iter().map(|it| {
            json!({
                "type": it.r#type.as_str(), "threshold": it.threshold, "score": it.score,
                "action": it.action.as_str(), "detected": it.detected,
            })
        });
        json!({ "filters": filters.collect::<Vec<_>>() })
    });
    let applied = it.applied_guardrail_details.as_ref().map(|it| {
        json!({
            "guardrailId": it.guardrail_id, "guardrailVersion": it.guardrail_version,
            "guardrailArn": it.guardrail_arn,
            "guardrailOrigin": it.guardrail_origin().iter().map(|it| it.as_str()).collect::<Vec<_>>(),
            "guardrailOwnership": it.guardrail_ownership.as_ref().map(|it| it.as_str()),
        })
    });
    let metrics = it.invocation_metrics.as_ref().map(|it| {
        json!({
            "guardrailProcessingLatency": it.guardrail_processing_latency,
            "usage": it.usage.as_ref().map(guardrail_usage),
            "guardrailCoverage": it.guardrail_coverage.as_ref().map(coverage),
        })
    });
    json!({
        "topicPolicy": topics, "contentPolicy": content, "wordPolicy": words,
        "sensitiveInformationPolicy": sensitive, "contextualGroundingPolicy": grounding,
        "automatedReasoningPolicy": it.automated_reasoning_policy.as_ref().map(unexpected),
        "invocationMetrics": metrics, "appliedGuardrailDetails": applied,
    })
}

fn guardrail_usage(it: &GuardrailUsage) -> Value {
    json!({
        "topicPolicyUnits": it.topic_policy_units,
        "contentPolicyUnits": it.content_policy_units,
        "wordPolicyUnits": it.word_policy_units,
        "sensitiveInformationPolicyUnits": it.sensitive_information_policy_units,
        "sensitiveInformationPolicyFreeUnits": it.sensitive_information_policy_free_units,
        "contextualGroundingPolicyUnits": it.contextual_grounding_policy_units,
        "contentPolicyImageUnits": it.content_policy_image_units,
        "automatedReasoningPolicyUnits": it.automated_reasoning_policy_units,
        "automatedReasoningPolicies": it.automated_reasoning_policies,
    })
}

fn coverage(it: &GuardrailCoverage) -> Value {
    json!({
        "textCharacters": it.text_characters.as_ref().map(|it| json!({ "guarded": it.guarded, "total": it.total })),
        "images": it.images.as_ref().map(|it| json!({ "guarded": it.guarded, "total": it.total })),
    })
}

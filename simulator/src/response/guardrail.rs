//! A guardrail that intervenes if the prompt contains a trigger word.

use serde_json::{Value, json};

use crate::prompt;

/// The trigger word. It has no effect in a request without `guardrailConfig`.
const TRIGGER: &str = "guardrail-block";

/// The response that replaces the model's.
pub(super) struct Intervention {
    pub(super) text: String,
    /// `trace` of the response. Absent: not enabled.
    pub(super) trace: Option<Value>,
}

/// Returns an intervention if the request has a guardrail and the prompt contains the trigger word.
pub(super) fn evaluate(body: &Value) -> Option<Intervention> {
    let config = &body["guardrailConfig"];
    let id = config["guardrailIdentifier"].as_str().filter(|id| !id.is_empty())?;
    let text = prompt::all_text(body);
    if !text.contains(TRIGGER) {
        return None;
    }
    let is_traced = config["trace"].as_str().is_some_and(|trace| trace.starts_with("enabled"));
    Some(Intervention {
        text: "Sorry, the model cannot answer this question.".to_owned(),
        trace: is_traced.then(|| trace(id, text.chars().count())),
    })
}

fn trace(id: &str, characters: usize) -> Value {
    let assessment = json!({
        "wordPolicy": { "customWords": [{ "match": TRIGGER, "action": "BLOCKED", "detected": true }] },
        "invocationMetrics": {
            "guardrailProcessingLatency": 200,
            "usage": {
                "topicPolicyUnits": 1, "contentPolicyUnits": 1, "wordPolicyUnits": 1,
                "sensitiveInformationPolicyUnits": 1, "sensitiveInformationPolicyFreeUnits": 0,
                "contextualGroundingPolicyUnits": 0,
            },
            "guardrailCoverage": { "textCharacters": { "guarded": characters, "total": characters } },
        },
    });
    json!({ "guardrail": { "inputAssessment": { id: assessment }, "actionReason": "Guardrail blocked." } })
}

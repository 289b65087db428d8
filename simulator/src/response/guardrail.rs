//! A guardrail that intervenes when the prompt holds a trigger word.

use serde_json::{Value, json};

use crate::prompt;

/// Say this in a call with `guardrailConfig` and the guardrail steps in.
const TRIGGER: &str = "guardrail-block";

/// What is answered in place of the model.
pub(super) struct Intervention {
    pub(super) text: String,
    pub(super) trace: Option<Value>,
}

/// Steps in, if there is a guardrail and the prompt triggers it.
pub(super) fn intervene(body: &Value) -> Option<Intervention> {
    let config = &body["guardrailConfig"];
    let id = config["guardrailIdentifier"].as_str().filter(|id| !id.is_empty())?;
    let text = prompt::all_text(body);
    if !text.contains(TRIGGER) {
        return None;
    }
    let traced = config["trace"].as_str().is_some_and(|trace| trace.starts_with("enabled"));
    Some(Intervention {
        text: "Sorry, the model cannot answer this question.".to_owned(),
        trace: traced.then(|| trace(id, text.chars().count())),
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

//! Faults of a stream, as edits of its script.

use bytes::Bytes;
use serde_json::json;

use crate::error::Refusal;
use crate::fault::Fault;
use crate::frame;
use crate::response_body::Step;

/// The script with the fault in it.
pub(crate) fn bend(mut steps: Vec<Step>, fault: &Fault, random: &mut fastrand::Rng) -> Vec<Step> {
    match fault {
        Fault::Stall { after_events, duration: Some(duration) } => {
            steps.insert(before(&steps, *after_events), Step::Wait(*duration));
        }
        Fault::Stall { after_events, duration: None } => end_with(&mut steps, *after_events, [Step::Silence]),
        Fault::Cut { after_events, mid_frame } => {
            let half = steps.get(before(&steps, *after_events)).filter(|_| *mid_frame).and_then(half);
            end_with(&mut steps, *after_events, half.into_iter().chain([Step::Cut]));
        }
        Fault::Exception { after_events, name, message } => {
            let exception = exception(name, message.as_deref());
            end_with(&mut steps, *after_events, [Step::Bytes(exception)]);
        }
        Fault::ErrorFrame { after_events, code, message } => {
            end_with(&mut steps, *after_events, [Step::Bytes(frame::error(code, message))]);
        }
        Fault::BadCrc { at_event } => {
            let at = before(&steps, *at_event);
            if let Some(Step::Event(bytes)) = steps.get_mut(at) {
                *bytes = frame::with_bad_crc(bytes);
            }
        }
        Fault::EndWithoutMessageStop => drop_last(&mut steps, 2),
        Fault::EndWithoutMetadata => drop_last(&mut steps, 1),
        Fault::UnknownEvent { after_events } => {
            let event = frame::event("futureEvent", json!({ "note": "from the simulator" }), random);
            steps.insert(before(&steps, *after_events), Step::Event(event));
        }
        Fault::UnknownDelta { after_events } => {
            let payload = json!({ "contentBlockIndex": 0, "delta": { "futureDelta": { "note": "from the simulator" } } });
            let event = frame::event("contentBlockDelta", payload, random);
            steps.insert(before(&steps, *after_events), Step::Event(event));
        }
        // Settled before there was a script.
        Fault::Throttle { .. } | Fault::Error { .. } | Fault::Hang | Fault::SlowFirstToken { .. } => {}
    }
    steps
}

/// Where the event with this number stands; the end if there are not so many.
fn before(steps: &[Step], event: u32) -> usize {
    let events = steps.iter().enumerate().filter(|(_, step)| matches!(step, Step::Event(_)));
    events.map(|(at, _)| at).nth(event as usize).unwrap_or(steps.len())
}

fn end_with(steps: &mut Vec<Step>, after_events: u32, end: impl IntoIterator<Item = Step>) {
    steps.truncate(before(steps, after_events));
    steps.extend(end);
}

fn drop_last(steps: &mut Vec<Step>, events: usize) {
    let all = steps.iter().filter(|step| matches!(step, Step::Event(_))).count();
    let kept = u32::try_from(all.saturating_sub(events)).unwrap_or(u32::MAX);
    end_with(steps, kept, []);
}

fn half(step: &Step) -> Option<Step> {
    match step {
        Step::Event(bytes) => Some(Step::Bytes(bytes.slice(..bytes.len() / 2))),
        _ => None,
    }
}

/// `ThrottlingException` and `throttlingException` are the same; in a frame the first letter is small.
fn exception(name: &str, message: Option<&str>) -> Bytes {
    let mut letters = name.chars();
    let (first, rest) = (letters.next().unwrap_or_default(), letters.as_str());
    let words = Refusal::named(&format!("{}{rest}", first.to_ascii_uppercase()));
    let message = message.unwrap_or(words.message());
    let mut payload = json!({ "message": message });
    if rest == "odelStreamErrorException" {
        payload["originalStatusCode"] = json!(500);
        payload["originalMessage"] = json!(message);
    }
    frame::exception(&format!("{}{rest}", first.to_ascii_lowercase()), &payload)
}

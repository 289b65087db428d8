//! Stream faults, applied to the steps of a response.

use bytes::Bytes;
use serde_json::json;

use crate::error::ServiceError;
use crate::fault::Fault;
use crate::frame;
use crate::response_body::Step;

/// Returns the steps with the fault applied.
pub(crate) fn apply(mut steps: Vec<Step>, fault: &Fault, random: &mut fastrand::Rng) -> Vec<Step> {
    match fault {
        Fault::Stall { after_events, duration: Some(duration) } => {
            steps.insert(event_position(&steps, *after_events), Step::Wait(*duration));
        }
        Fault::Stall { after_events, duration: None } => end_with(&mut steps, *after_events, [Step::Stall]),
        Fault::Cut { after_events, mid_frame } => {
            let next = steps.get(event_position(&steps, *after_events));
            let half = next.filter(|_| *mid_frame).and_then(first_half);
            end_with(&mut steps, *after_events, half.into_iter().chain([Step::CloseConnection]));
        }
        Fault::Exception { after_events, name, message } => {
            let exception = exception(name, message.as_deref());
            end_with(&mut steps, *after_events, [Step::Bytes(exception)]);
        }
        Fault::ErrorFrame { after_events, code, message } => {
            end_with(&mut steps, *after_events, [Step::Bytes(frame::error(code, message))]);
        }
        Fault::BadCrc { at_event } => {
            let position = event_position(&steps, *at_event);
            if let Some(Step::Event(bytes)) = steps.get_mut(position) {
                *bytes = frame::with_bad_crc(bytes);
            }
        }
        Fault::EndWithoutMessageStop => remove_last(&mut steps, 2),
        Fault::EndWithoutMetadata => remove_last(&mut steps, 1),
        Fault::UnknownEvent { after_events } => {
            let event = frame::event("futureEvent", json!({ "note": "from the simulator" }), random);
            steps.insert(event_position(&steps, *after_events), Step::Event(event));
        }
        Fault::UnknownDelta { after_events } => {
            let payload = json!({ "contentBlockIndex": 0, "delta": { "futureDelta": { "note": "from the simulator" } } });
            let event = frame::event("contentBlockDelta", payload, random);
            steps.insert(event_position(&steps, *after_events), Step::Event(event));
        }
        // Applied before the response is generated.
        Fault::Throttle { .. } | Fault::Error { .. } | Fault::Hang | Fault::SlowFirstToken { .. } => {}
    }
    steps
}

/// Returns the position of the event with this number, or the end if there are fewer events.
fn event_position(steps: &[Step], event: u32) -> usize {
    let events = steps.iter().enumerate().filter(|(_, step)| matches!(step, Step::Event(_)));
    events.map(|(position, _)| position).nth(event as usize).unwrap_or(steps.len())
}

fn end_with(steps: &mut Vec<Step>, after_events: u32, end: impl IntoIterator<Item = Step>) {
    steps.truncate(event_position(steps, after_events));
    steps.extend(end);
}

fn remove_last(steps: &mut Vec<Step>, events: usize) {
    let all = steps.iter().filter(|step| matches!(step, Step::Event(_))).count();
    let kept = u32::try_from(all.saturating_sub(events)).unwrap_or(u32::MAX);
    end_with(steps, kept, []);
}

fn first_half(step: &Step) -> Option<Step> {
    match step {
        Step::Event(bytes) => Some(Step::Bytes(bytes.slice(..bytes.len() / 2))),
        _ => None,
    }
}

/// Accepts both `ThrottlingException` and `throttlingException`; the frame uses the lower-case first letter.
fn exception(name: &str, message: Option<&str>) -> Bytes {
    let mut letters = name.chars();
    let (first, rest) = (letters.next().unwrap_or_default(), letters.as_str());
    let error = ServiceError::named(&format!("{}{rest}", first.to_ascii_uppercase()));
    let message = message.unwrap_or(error.message());
    let mut payload = json!({ "message": message });
    if rest == "odelStreamErrorException" {
        payload["originalStatusCode"] = json!(500);
        payload["originalMessage"] = json!(message);
    }
    frame::exception(&format!("{}{rest}", first.to_ascii_lowercase()), &payload)
}

//! Properties of generated messages. The generator is seeded, so that every run has the same cases.
use crate::{
    generator::{self, Generator, descriptor},
    service_model::{ServiceModel, Shape},
};
use proptest::{
    strategy::BoxedStrategy,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner},
};
use prost::Message;
use prost_reflect::{DynamicMessage, Kind, MessageDescriptor};
use serde_json::Value;
use std::{cell::RefCell, collections::BTreeSet, fmt::Debug};
use switchboard_proto::v1 as pb;
use switchboard_server::{
    bedrock::codec,
    model::{ModelEvent, stop_reason},
};

/// Number of messages that are generated for each property.
const CASES: u32 = 1024;

/// The events of the contract that Bedrock sends, and their messages.
const EVENTS: [(&str, &str); 6] = [
    ("messageStart", "MessageStartEvent"),
    ("contentBlockStart", "ContentBlockStartEvent"),
    ("contentBlockDelta", "ContentBlockDeltaEvent"),
    ("contentBlockStop", "ContentBlockStopEvent"),
    ("messageStop", "MessageStopEvent"),
    ("metadata", "ConverseStreamMetadataEvent"),
];

// === requests ===

#[test]
fn any_request_survives_the_way_through_bedrocks_json() {
    let messages = Generator::new(None).messages("ConverseRequest", "");
    for_all("ConverseRequest", messages, &|_| true, |message| request_comes_back(message).map(drop));
}

#[test]
fn every_valid_request_is_valid_json_for_bedrock() {
    let model = ServiceModel::load();
    for shape in ["ConverseRequest", "ConverseStreamRequest"] {
        let messages = Generator::new(Some(&model)).messages("ConverseRequest", shape);
        for_all("ConverseRequest", messages, &is_known, |message| {
            valid(&model, shape, &request_comes_back(message)?)
        });
    }
}

#[test]
fn any_request_to_count_tokens_survives_the_way_through_bedrocks_json() {
    let messages = Generator::new(None).messages("CountTokensRequest", "");
    for_all("CountTokensRequest", messages, &|_| true, |message| {
        comes_back::<pb::CountTokensRequest>("CountTokensRequest", message).map(drop)
    });
}

#[test]
fn every_valid_request_to_count_tokens_is_valid_json_for_bedrock() {
    let model = ServiceModel::load();
    let messages = Generator::new(Some(&model)).messages("CountTokensRequest", "CountTokensRequest");
    for_all("CountTokensRequest", messages, &is_known, |message| {
        let json = comes_back::<pb::CountTokensRequest>("CountTokensRequest", message)?;
        valid(&model, "CountTokensRequest", &json)
    });
}

/// Encodes a request and its inference configuration as one body, decodes the body, and compares. Returns the
/// body.
fn request_comes_back(message: &DynamicMessage) -> Result<Vec<u8>, String> {
    let mut request: pb::ConverseRequest = message.transcode_to().expect("is a request");
    let inference = request.inference_config.take().unwrap_or_default();
    let json = codec::request_body(&request, &inference);
    let mut expected: pb::ConverseRequest =
        generator::expected(message).transcode_to().expect("is a request");
    expected.inference_config.get_or_insert_default(); // the body always has one
    same(&expected, &read("ConverseRequest", &json)?)?;
    Ok(json)
}

// === replies ===

#[test]
fn any_reply_survives_the_way_through_bedrocks_json() {
    let messages = Generator::new(None).messages("ConverseResponse", "");
    for_all("ConverseResponse", messages, &|_| true, |message| {
        comes_back::<pb::ConverseResponse>("ConverseResponse", message).map(drop)
    });
}

#[test]
fn every_valid_reply_is_valid_json_of_bedrock() {
    let model = ServiceModel::load();
    let messages = Generator::of_replies(Some(&model)).messages("ConverseResponse", "ConverseResponse");
    for_all("ConverseResponse", messages, &is_known, |message| {
        let json = comes_back::<pb::ConverseResponse>("ConverseResponse", message)?;
        valid(&model, "ConverseResponse", &json)
    });
}

#[test]
fn any_event_survives_the_way_through_its_frame() {
    let generator = Generator::new(None);
    for (event_type, name) in EVENTS {
        for_all(name, generator.messages(name, ""), &|_| true, |message| {
            event_comes_back(event_type, name, message).map(drop)
        });
    }
}

#[test]
fn every_valid_event_is_valid_json_of_bedrock() {
    let model = ServiceModel::load();
    let generator = Generator::of_replies(Some(&model));
    for (event_type, name) in EVENTS {
        for_all(name, generator.messages(name, name), &is_known, |message| {
            valid(&model, name, &event_comes_back(event_type, name, message)?)
        });
    }
}

#[test]
fn any_count_of_tokens_survives_the_way_through_bedrocks_json() {
    let messages = Generator::new(None).messages("CountTokensResponse", "");
    for_all("CountTokensResponse", messages, &|_| true, |message| {
        comes_back::<pb::CountTokensResponse>("CountTokensResponse", message).map(drop)
    });
}

fn event_comes_back(event_type: &str, name: &str, message: &DynamicMessage) -> Result<Vec<u8>, String> {
    let json = codec::json(name, message);
    let frame = crate::streams::frame("event", event_type, &json);
    let decoded = crate::streams::decoded([frame.as_slice()]);
    let [event] = decoded.events.as_slice() else {
        return Err(format!("{:?} from {}", decoded.end, String::from_utf8_lossy(&json)));
    };
    let mut wrapped = DynamicMessage::new(descriptor("ConverseStreamResponse"));
    let expected = prost_reflect::Value::Message(generator::expected(message));
    wrapped.try_set_field_by_name(&prost_name(event_type), expected).map_err(|error| error.to_string())?;
    let expected: pb::ConverseStreamResponse = wrapped.transcode_to().expect("is an event");
    let mut expected = expected.event.expect("is set");
    if let ModelEvent::MessageStop(stop) = &mut expected {
        stop.stop_reason = stop_reason(&stop.raw_stop_reason).into();
    }
    same(&expected, event)?;
    Ok(json)
}

/// The name of the field that holds an event: `message_start` for `messageStart`.
fn prost_name(event_type: &str) -> String {
    let events = descriptor("ConverseStreamResponse");
    let field = events.get_field_by_json_name(event_type).expect("is an event");
    field.name().to_owned()
}

// === names ===

/// Compares the members of both. Every member that only one of them has is listed below with its reason.
#[test]
fn the_contract_has_the_members_of_the_service_model_and_no_others() {
    let model = ServiceModel::load();
    let mut walk = Walk { model: &model, seen: BTreeSet::new(), members: 0, strange: BTreeSet::new() };
    for (message, shape) in [
        ("ConverseRequest", "ConverseRequest"),
        ("ConverseRequest", "ConverseStreamRequest"),
        ("ConverseResponse", "ConverseResponse"),
        ("CountTokensRequest", "CountTokensRequest"),
        ("CountTokensResponse", "CountTokensResponse"),
    ] {
        walk.compare(&descriptor(message), model.shape(shape), shape);
    }
    for (_, event) in EVENTS {
        walk.compare(&descriptor(event), model.shape(event), event);
    }
    println!("{} members have the same name in the contract and in the service model", walk.members);
    let strange: Vec<_> = walk.strange.iter().map(String::as_str).collect();
    assert_eq!(
        strange,
        [
            // Converse and ConverseStream share a message. Only streams have this member, and the codec sends
            // it if it is set.
            "only in the contract: GuardrailConfiguration.streamProcessingMode",
            // Bedrock sends this member, which AWS does not document.
            "only in the contract: TokenUsage.serverToolUsage",
        ]
    );
}

struct Walk<'m> {
    model: &'m ServiceModel,
    seen: BTreeSet<(String, *const Shape)>,
    members: usize,
    strange: BTreeSet<String>,
}

impl<'m> Walk<'m> {
    fn compare(&mut self, message: &MessageDescriptor, shape: &'m Shape, name: &str) {
        if message.package_name() != "switchboard.v1"
            || !self.seen.insert((message.full_name().to_owned(), std::ptr::from_ref(shape)))
        {
            return;
        }
        if let Some(list) = generator::bare_list(message) {
            let entry = self.model.entry(shape).expect("stands for a list");
            return self.value(&list.kind(), entry, name);
        }
        let mut theirs: BTreeSet<_> = shape
            .members
            .iter()
            .filter(|(_, it)| it.location.is_none())
            .map(|(name, _)| name.clone())
            .collect();
        for field in message.fields() {
            let Some(member) = generator::member(&field) else { continue };
            match self.model.member(shape, &member) {
                Some(inner) => {
                    self.members += usize::from(theirs.remove(&member));
                    self.field(&field, inner, &format!("{name}.{member}"));
                }
                None => {
                    self.strange.insert(format!("only in the contract: {}.{member}", message.name()));
                }
            }
        }
        self.strange.extend(theirs.iter().map(|it| format!("only in the model: {}.{it}", message.name())));
    }

    fn field(&mut self, field: &prost_reflect::FieldDescriptor, shape: &'m Shape, name: &str) {
        if field.is_map() {
            let kind = field.kind();
            let entry = kind.as_message().expect("a map's entry is a message");
            self.value(
                &entry.map_entry_value_field().kind(),
                self.model.entry(shape).expect("is a map"),
                name,
            );
        } else if field.is_list() {
            self.value(&field.kind(), self.model.entry(shape).expect("is a list"), name);
        } else {
            self.value(&field.kind(), shape, name);
        }
    }

    fn value(&mut self, kind: &Kind, shape: &'m Shape, name: &str) {
        if let Kind::Message(message) = kind {
            self.compare(message, shape, name);
        }
    }
}

// === helpers ===

/// Tests `property` with generated messages, and asserts that these include all union variants that `may`
/// occur.
fn for_all(
    name: &str,
    messages: BoxedStrategy<DynamicMessage>,
    may: &dyn Fn(&str) -> bool,
    property: impl Fn(&DynamicMessage) -> Result<(), String>,
) {
    let config =
        Config { cases: CASES, failure_persistence: None, max_shrink_iters: 2000, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let met = RefCell::new(BTreeSet::new());
    let outcome = runner.run(&messages, |message| {
        generator::variants_in(&message, &mut met.borrow_mut());
        property(&message).map_err(TestCaseError::fail)
    });
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(reason, _)) => panic!("{name}: {reason}"),
        Err(error) => panic!("{name}: {error}"),
    }
    let mut all = BTreeSet::new();
    generator::variants_of(&descriptor(name), &mut all);
    all.retain(|variant| may(variant));
    let missed: Vec<_> = all.difference(&met.borrow()).cloned().collect();
    assert!(missed.is_empty(), "{name}: {CASES} cases did not include {missed:?}");
    println!("{name}: {CASES} cases included all {} variants of its unions", all.len());
}

/// True if the service model has the variant.
fn is_known(variant: &str) -> bool {
    !variant.ends_with(".unknown_json")
}

fn comes_back<M: Message + Default + PartialEq + Debug>(
    name: &str,
    message: &DynamicMessage,
) -> Result<Vec<u8>, String> {
    let json = codec::json(name, &message.transcode_to::<M>().expect("is such a message"));
    same(&generator::expected(message).transcode_to::<M>().expect("is such a message"), &read(name, &json)?)?;
    Ok(json)
}

fn read<M: Message + Default>(name: &str, json: &[u8]) -> Result<M, String> {
    let mut unknown = Vec::new();
    let read = codec::message(name, json, &mut unknown);
    let read = read.map_err(|error| format!("{error}: {}", String::from_utf8_lossy(json)))?;
    if unknown.is_empty() { Ok(read) } else { Err(format!("{unknown:?}")) }
}

fn same<T: PartialEq + Debug>(expected: &T, found: &T) -> Result<(), String> {
    if expected == found { Ok(()) } else { Err(format!("expected {expected:?}\n   found {found:?}")) }
}

fn valid(model: &ServiceModel, shape: &str, json: &[u8]) -> Result<(), String> {
    let json: Value = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    let violations = model.violations(shape, &json);
    if violations.is_empty() { Ok(()) } else { Err(format!("{violations:?} in {json}")) }
}

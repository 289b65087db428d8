//! JSON that comes from Bedrock: no panic, and what was read can be sent back and read again as the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prost::Message;
use std::fmt::Debug;
use switchboard_proto::v1 as pb;
use switchboard_server::bedrock::codec;

// The first byte chooses the message.
fuzz_target!(|input: &[u8]| {
    let [choice, json @ ..] = input else { return };
    match choice % 9 {
        0 => again::<pb::ConverseResponse>("ConverseResponse", json),
        1 => again::<pb::MessageStartEvent>("MessageStartEvent", json),
        2 => again::<pb::ContentBlockStartEvent>("ContentBlockStartEvent", json),
        3 => again::<pb::ContentBlockDeltaEvent>("ContentBlockDeltaEvent", json),
        4 => again::<pb::ContentBlockStopEvent>("ContentBlockStopEvent", json),
        5 => again::<pb::MessageStopEvent>("MessageStopEvent", json),
        6 => again::<pb::ConverseStreamMetadataEvent>("ConverseStreamMetadataEvent", json),
        7 => again::<pb::ContentBlock>("ContentBlock", json),
        _ => again::<pb::CountTokensResponse>("CountTokensResponse", json),
    }
});

fn again<M: Message + Default + PartialEq + Debug>(name: &str, json: &[u8]) {
    let Ok(message) = codec::message::<M>(name, json, &mut Vec::new()) else { return };
    let (back, mut gaps) = (codec::json(name, &message), Vec::new());
    let again = codec::message::<M>(name, &back, &mut gaps);
    let again = again.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&back)));
    assert_eq!(again, message, "{}", String::from_utf8_lossy(&back));
    assert_eq!(gaps, [], "{}", String::from_utf8_lossy(&back));
}

//! JSON from Bedrock: the decoder never panics, and a decoded message is equal after it was encoded and
//! decoded again.
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
        0 => round_trip::<pb::ConverseResponse>("ConverseResponse", json),
        1 => round_trip::<pb::MessageStartEvent>("MessageStartEvent", json),
        2 => round_trip::<pb::ContentBlockStartEvent>("ContentBlockStartEvent", json),
        3 => round_trip::<pb::ContentBlockDeltaEvent>("ContentBlockDeltaEvent", json),
        4 => round_trip::<pb::ContentBlockStopEvent>("ContentBlockStopEvent", json),
        5 => round_trip::<pb::MessageStopEvent>("MessageStopEvent", json),
        6 => round_trip::<pb::ConverseStreamMetadataEvent>("ConverseStreamMetadataEvent", json),
        7 => round_trip::<pb::ContentBlock>("ContentBlock", json),
        _ => round_trip::<pb::CountTokensResponse>("CountTokensResponse", json),
    }
});

fn round_trip<M: Message + Default + PartialEq + Debug>(name: &str, json: &[u8]) {
    let Ok(message) = codec::message::<M>(name, json, &mut Vec::new()) else { return };
    let (encoded, mut unknown) = (codec::json(name, &message), Vec::new());
    let decoded = codec::message::<M>(name, &encoded, &mut unknown);
    let decoded = decoded.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&encoded)));
    assert_eq!(decoded, message, "{}", String::from_utf8_lossy(&encoded));
    assert_eq!(unknown, [], "{}", String::from_utf8_lossy(&encoded));
}

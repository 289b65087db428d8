//! Encoder of protobuf's wire format, for fields and enum values that the contract does not have.
//!
//! A field is `[number, kind, value]` with the kind `varint`, `text` or `message`. The value of a message is
//! a list of fields. A parser merges repeated messages, so a nested field can be added to a message with its
//! path.
use serde_json::Value;

/// Encodes fields in order.
pub(crate) fn encode(fields: &[Value]) -> Vec<u8> {
    fields.iter().flat_map(field).collect()
}

fn field(field: &Value) -> Vec<u8> {
    let number = field[0].as_u64().expect("a field has a number");
    match (field[1].as_str(), &field[2]) {
        (Some("varint"), value) => {
            [varint(number << 3), varint(value.as_u64().expect("is a number"))].concat()
        }
        (Some("text"), Value::String(text)) => delimited(number, text.as_bytes()),
        (Some("message"), Value::Array(fields)) => delimited(number, &encode(fields)),
        (kind, value) => panic!("unknown field kind {kind:?} with value {value}"),
    }
}

fn delimited(number: u64, bytes: &[u8]) -> Vec<u8> {
    [&varint(number << 3 | 2), &varint(bytes.len() as u64), bytes].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value > 0x7f {
        bytes.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn encodes_varints_text_and_messages() {
        let fields =
            [json!([1, "varint", 300]), json!([2, "text", "hi"]), json!([3, "message", [[1, "varint", 1]]])];
        assert_eq!(encode(&fields), b"\x08\xac\x02\x12\x02hi\x1a\x02\x08\x01");
    }
}

//! Checks signatures with a second implementation of Signature Version 4, which follows AWS's description and
//! uses none of AWS's code.
use super::stub::RecordedRequest;
use sha2::{Digest as _, Sha256};

/// Checks that the request is signed with `secret`.
pub(super) fn check(request: &RecordedRequest, secret: &str) -> Result<(), String> {
    let parts = request.headers["authorization"].strip_prefix("AWS4-HMAC-SHA256 ").ok_or("another scheme")?;
    let part = |name: &str| {
        let found = parts.split(", ").find_map(|part| part.strip_prefix(name)?.strip_prefix('='));
        found.ok_or_else(|| format!("no {name}"))
    };
    let (credential, signed, signature) = (part("Credential")?, part("SignedHeaders")?, part("Signature")?);
    let (_, scope) = credential.split_once('/').ok_or("no scope")?;

    let canonical = canonical_request(request, signed);
    let date = &request.headers["x-amz-date"];
    let to_sign = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
    let start = format!("AWS4{secret}").into_bytes();
    let key = scope.split('/').fold(start, |key, part| hmac(&key, part.as_bytes()));
    let expected = hex(&hmac(&key, to_sign.as_bytes()));
    if expected == signature { Ok(()) } else { Err(format!("{signature} is not {expected}")) }
}

fn canonical_request(request: &RecordedRequest, signed: &str) -> String {
    let path = request.line.split(' ').nth(1).expect("has a path").replace('%', "%25");
    let header = |name: &str| format!("{name}:{}\n", request.headers[name]);
    let headers: String = signed.split(';').map(header).collect();
    format!("POST\n{path}\n\n{headers}\n{signed}\n{}", hex(&Sha256::digest(&request.body)))
}

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut block = [0; 64];
    if key.len() > 64 {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let inner = Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The example of AWS's documentation, in "Create a signed AWS API request".
#[test]
fn the_key_equals_the_one_of_the_documentation() {
    let key = ["20120215", "us-east-1", "iam", "aws4_request"]
        .iter()
        .fold(b"AWS4wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_vec(), |key, part| {
            hmac(&key, part.as_bytes())
        });
    assert_eq!(hex(&key), "f4780e2d9f65fa895f9c67b32ce1baf0b0d8a43505a000a1a9e090d414db404d");
}

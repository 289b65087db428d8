//! A digest of JSON that does not depend on the order of object members.
//!
//! The AWS SDK for Rust serializes the members of a tool's schema in random order, and the response must not
//! depend on that order. The digest is FNV-1a because responses must stay the same across releases of the
//! standard library, whose hasher may change.

use serde_json::Value;

/// An incremental digest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Digest(u64);

impl Digest {
    pub(crate) fn new(seed: u64) -> Self {
        Self(0xcbf2_9ce4_8422_2325 ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub(crate) fn add_bytes(&mut self, bytes: &[u8]) {
        for byte in bytes.iter().chain(&[0xff]) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    pub(crate) fn add(&mut self, value: &Value) {
        match value {
            Value::Object(members) => {
                let mut members: Vec<_> = members.iter().collect();
                members.sort_by_key(|(name, _)| *name);
                for (name, value) in members {
                    self.add_bytes(name.as_bytes());
                    self.add(value);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.add(item)),
            scalar => self.add_bytes(scalar.to_string().as_bytes()),
        }
    }

    pub(crate) fn value(self) -> u64 {
        self.0
    }
}

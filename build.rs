//! Compiles the contract in `proto/` into the `switchboard_proto` crate. Needs no `protoc`.
use protox::prost::Message as _;
use std::{env, error::Error, fs, path::Path};

/// The files that nobody else imports; the rest of `proto/` follows from them.
const ROOTS: [&str; 3] = [
    "proto/switchboard/v1/converse.proto",
    "proto/switchboard/v1/feedback.proto",
    "proto/switchboard/v1/routing.proto",
];

#[expect(clippy::disallowed_methods, reason = "Cargo tells a build script where to write in no other way")]
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let contract = protox::compile(ROOTS, ["proto"])?;
    let descriptor_set = Path::new(&env::var("OUT_DIR")?).join("switchboard.bin");
    fs::write(descriptor_set, contract.encode_to_vec())?;
    tonic_prost_build::configure()
        .bytes(".") // a document of megabytes is shared, not copied
        .codec_path("crate::codec::SmallCodec")
        .btree_map(".") // sorted, so that equal requests are equal bytes
        .compile_fds(contract)?;
    Ok(())
}

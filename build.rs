//! Compiles the contract in `proto/` into the `switchboard_proto` crate. Does not need `protoc`.
use std::{env, error::Error, fs, path::Path};

/// Files that no other file imports. The other files of `proto/` are reached through their imports.
const ROOTS: [&str; 3] = [
    "proto/switchboard/v1/converse.proto",
    "proto/switchboard/v1/feedback.proto",
    "proto/switchboard/v1/routing.proto",
];

/// Package of the HTTP annotations. It is part of the descriptor set, but no code is generated for it.
const ANNOTATIONS: &str = "google.api";

#[expect(clippy::disallowed_methods, reason = "Cargo passes the output folder in an environment variable")]
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_source_info(true).include_imports(true).open_files(ROOTS)?;
    // Unlike `file_descriptor_set`, this form keeps the HTTP annotations.
    let descriptor_set = Path::new(&env::var("OUT_DIR")?).join("switchboard.bin");
    fs::write(descriptor_set, compiler.encode_file_descriptor_set())?;

    let mut contract = compiler.file_descriptor_set();
    contract.file.retain(|file| file.package() != ANNOTATIONS);
    tonic_prost_build::configure()
        .bytes(".") // a document of several megabytes is shared, not copied
        .codec_path("crate::codec::SmallCodec")
        .btree_map(".") // sorted, so that equal requests have equal bytes
        .compile_fds(contract)?;
    Ok(())
}

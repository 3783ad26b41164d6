//! Compiles the schema without a system `protoc`.

use std::error::Error;

const FILES: [&str; 4] = [
    "schema/plexmesh/v1/admission.proto",
    "schema/plexmesh/v1/record.proto",
    "schema/plexmesh/v1/exchange.proto",
    "schema/plexmesh/v1/frame.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=schema");
    let descriptors = protox::compile(FILES, ["schema"])?;
    prost_build::Config::new().btree_map(["."]).compile_fds(descriptors)?;
    Ok(())
}

//! Turns the API's protos into Rust; no `protoc` is needed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    const PROTO: &str = "proto/windlass/v1/windlass.proto";
    println!("cargo::rerun-if-changed={PROTO}");
    let files = protox::compile([PROTO], ["proto"])?;
    tonic_prost_build::configure().bytes(".windlass.v1").compile_fds(files)?;
    Ok(())
}

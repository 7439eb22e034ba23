//! The generated code of the gRPC API.

fn main() {}

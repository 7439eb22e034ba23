//! The API and the client library that speaks it, over real sockets and a real cluster in this process.

mod connection;
mod refusals;
mod runs;
mod support;

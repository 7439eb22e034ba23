//! The API and the client library, over real sockets and a real cluster in this process.

mod after_runs;
mod connection;
mod lineage;
mod maintenance;
mod pages;
mod queue;
mod queue_rules;
mod refusals;
mod runs;
mod support;
mod system_tables;

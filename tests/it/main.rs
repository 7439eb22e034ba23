//! The integration tests of Windlass, one binary: behaviour through public interfaces, on real components.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod api;
mod builder;
mod change_feed;
mod cluster;
mod command;
mod compose;
mod contract;
mod delta_merge;
mod delta_read;
mod delta_write;
mod documentation;
mod engine;
#[cfg(debug_assertions)]
mod failpoints;
mod fixture_tests;
mod incremental;
mod maintenance;
#[path = "../../shared/project/tests/project/pages.rs"]
mod pages;
mod plain;
mod process;
mod project;
mod run;
mod session;
mod sql;
mod state;
mod storage;
mod upstream;

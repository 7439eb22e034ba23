//! The servers from an operator's view: settings, probes, signals, and outages of each other.

mod collector;
mod documentation;
mod drain;
mod failover;
mod lifecycle;
mod orphans;
mod probes;
mod settings;
mod taken_up;
mod wire;

use std::path::Path;
use std::process::{Command, Output};

use windlass_tests::processes;

/// The servers.
const BINARIES: [&str; 2] = ["windlass-scheduler", "windlass-executor"];

/// A server's command with an empty environment.
fn server(name: &str) -> Command {
    let mut command = processes::server(name);
    command.env_clear().current_dir(Path::new("/"));
    command
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

//! The servers of a cluster are this program too: `windlass scheduler`, or a link named `windlass-scheduler` to it.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use windlass_executor::server as executor;
use windlass_scheduler::server as scheduler;

/// Runs the server that the arguments of this process ask for. `None` if they ask for none.
pub(crate) fn main(args: &[OsString]) -> Option<ExitCode> {
    let (called, rest) = args.split_first()?;
    let link = Path::new(called).file_name()?;
    if let Some(server) = Server::linked_as(link) {
        return Some(server.main(called.clone(), rest));
    }
    let (command, rest) = rest.split_first()?;
    let server = Server::of_command(command)?;
    let mut called = called.clone();
    called.push(" ");
    called.push(command);
    Some(server.main(called, rest))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Server {
    Scheduler,
    Executor,
}

impl Server {
    fn linked_as(name: &OsStr) -> Option<Self> {
        match name.to_str()? {
            scheduler::NAME => Some(Self::Scheduler),
            executor::NAME => Some(Self::Executor),
            _ => None,
        }
    }

    fn of_command(name: &OsStr) -> Option<Self> {
        match name.to_str()? {
            "scheduler" => Some(Self::Scheduler),
            "executor" => Some(Self::Executor),
            _ => None,
        }
    }

    fn main(self, called: OsString, args: &[OsString]) -> ExitCode {
        let args = std::iter::once(called).chain(args.iter().cloned());
        match self {
            Self::Scheduler => scheduler::main(args),
            Self::Executor => executor::main(args),
        }
    }
}

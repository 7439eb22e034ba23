//! Events of OpenLineage, sent while a run goes on to the file or server that this process's environment names.
//!
//! ```text
//! RunEvent ─send→ queue, bounded ─a task of its own, with retries→ Target: a file of lines, or a server
//! ```
//!
//! Nothing of it can hold up or fail a run: what cannot be sent is dropped, and is a warning in the run's record.

mod sender;
mod target;

use std::time::Duration;

use windlass_base::ids::{PipelineName, RunId};
use windlass_evidence::openlineage::{DEFAULT_NAMESPACE, RunEvent, RunFacts};

use sender::Sender;
use target::Target;

/// The variable that says where events go to: `file:///…` or `http(s)://…`.
const URL: &str = "WINDLASS_OPENLINEAGE_URL";
/// The variable with the key for a server.
const API_KEY: &str = "WINDLASS_OPENLINEAGE_API_KEY";
/// The variable with the namespace of jobs.
const NAMESPACE: &str = "WINDLASS_OPENLINEAGE_NAMESPACE";
/// How long the end of a run may wait for events that are under way.
const LAST_WAIT: Duration = Duration::from_secs(5);

/// Where the events of one run go to; nowhere unless the environment says so.
pub(crate) struct Events {
    namespace: String,
    sender: Option<Sender>,
    /// Why events that are wanted cannot be sent at all.
    problem: Option<String>,
}

impl Events {
    /// As the environment of this process says. To be called on the threads that the run is driven on.
    pub(crate) fn from_env() -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let namespace = variable(NAMESPACE).unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned());
        let (sender, problem) = match variable(URL).map(|url| Target::parse(&url, variable(API_KEY))) {
            None => (None, None),
            Some(Ok(target)) => (Some(Sender::start(target)), None),
            Some(Err(reason)) => (None, Some(format!("no lineage events are sent: {URL} {reason}"))),
        };
        Self { namespace, sender, problem }
    }

    /// Events of a run of which nobody is told.
    pub(crate) fn none() -> Self {
        Self { namespace: DEFAULT_NAMESPACE.to_owned(), sender: None, problem: None }
    }

    /// Whether events are sent.
    pub(crate) fn are_sent(&self) -> bool {
        self.sender.is_some()
    }

    /// What the events of a run say of it.
    pub(crate) fn facts(&self, run_id: &RunId, pipeline: &PipelineName) -> RunFacts {
        RunFacts { namespace: self.namespace.clone(), run_id: run_id.clone(), pipeline: pipeline.clone() }
    }

    /// Takes an event to be sent. Never waits.
    pub(crate) fn send(&self, event: &RunEvent) {
        if let Some(sender) = &self.sender {
            sender.send(event);
        }
    }

    /// Waits a little for what is under way. Gives a warning if not everything was sent.
    pub(crate) async fn finish(&self) -> Option<String> {
        match &self.sender {
            Some(sender) => sender.finish(LAST_WAIT).await,
            None => self.problem.clone(),
        }
    }
}

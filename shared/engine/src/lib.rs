//! The engine, configured the same way in every process, so that a plan has the same meaning everywhere.
//!
//! ```text
//! SessionSettings, Functions, ConnectorRegistry ─Sessions→ a session and its identity          (session, function, connectors)
//! SourceSpec ─Loader→ a table of that session, and the record of its registration       (connectors, session)
//! a bound plan ─canonical→ the form from which code versions are computed               (canonical)
//! a plan ─PlanCodec→ bytes ─wire→ the same plan on an executor                           (codec)
//! a plan ─task→ the same plan, stoppable, with its storage requests counted             (task)
//! a task's error ─TaskFailure→ a text that survives transport ─find_in→ the failure      (task_failure)
//! ```
//!
//! `session` is the only place that builds a session or registers a table or a function.

pub mod canonical;
pub mod codec;
pub mod connectors;
pub mod function;
pub mod session;
pub mod task;
pub mod task_failure;

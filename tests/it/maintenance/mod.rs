//! Maintenance of tables, by the client library and the command.

mod after_runs;

//! Pins: one version of a table, fixed for a run.

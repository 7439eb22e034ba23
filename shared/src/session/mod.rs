//! The only place that builds a session or registers a table or a function.

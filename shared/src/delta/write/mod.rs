//! Rows to data files, in every task, with nothing visible yet.

//! The types and the directory layout of a run bundle.

//! Plan nodes to bytes and back, one file a node.

//! The pipeline as a graph: dependencies, order, selection, drawings.

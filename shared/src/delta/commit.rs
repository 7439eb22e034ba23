//! The one commit of a stage.

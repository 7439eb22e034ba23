//! Sessions, what is registered in them, and their functions.

mod functions;
mod identity;
mod listing;
mod support;
mod text_files;
mod views;

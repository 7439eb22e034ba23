//! Sessions, what is registered in them, and their functions.

mod calls;
mod functions;
mod identity;
mod listing;
mod records;
mod support;
mod syntax_roles;
mod text_files;
mod views;

//! Merges: rows replaced in tables, in one commit, by marking and by rewriting.

mod address;
mod cluster;
mod commit;
mod history;
mod lab;
mod parts;
mod readers;

//! Table features: what is read and written, and what is refused by name.

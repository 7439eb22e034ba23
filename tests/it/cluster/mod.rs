//! A cluster of three processes, used as its users use it: through the API, with nothing shared but the network and the
//! store.

mod cancels;
mod faults;
mod home;
mod lake;
mod sql;

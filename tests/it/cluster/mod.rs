//! A cluster of three processes, used like its users do: through the API, with nothing shared but the network and the
//! store.

mod cancels;
mod faults;
mod home;
mod lake;
mod losses;
mod small_jobs;
mod sql;

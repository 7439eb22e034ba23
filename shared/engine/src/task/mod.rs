//! What is done to a plan before it is executed, in a task on an executor or as a whole: it can be stopped, and it counts what it
//! asks of object stores.

mod requests;
mod yielding;

pub use requests::TaskRequests;
pub use yielding::yielding;

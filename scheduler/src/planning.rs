//! The threads that plan, and those that run what has to run in this process.
//!
//! Planning a query may take minutes and much stack, so it happens on threads of its own, with large stacks: what serves
//! clients, executors and probes never waits for it.

use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll};

use tokio::runtime::{Builder, Handle, Runtime, RuntimeFlavor};
use tokio::task::{JoinError, JoinHandle};
use windlass_base::stack::THREAD_STACK_BYTES;

/// Threads that plan. A query that is planned for long holds one of them until its time is over.
const PLANNING_THREADS: usize = 4;

static PLANNING: LazyLock<std::io::Result<Runtime>> = LazyLock::new(|| threads("windlass-planning", PLANNING_THREADS));

/// Threads that run plans: as many as the machine has processors.
static RUNNING: LazyLock<std::io::Result<Runtime>> = LazyLock::new(|| {
    let processors = std::thread::available_parallelism().map_or(2, usize::from);
    threads("windlass-local", processors)
});

fn threads(name: &str, count: usize) -> std::io::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(count)
        .thread_name(name)
        .thread_stack_size(THREAD_STACK_BYTES)
        .enable_all()
        .build()
}

/// Does `work`, which plans, on the threads for that. When the caller goes away, so does the work.
pub(crate) async fn on_planning_threads<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    match PLANNING.as_ref() {
        Ok(threads) => match Attached(threads.spawn(work)).await {
            Ok(done) => done,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // The threads never end before the process does.
            Err(_) => std::future::pending().await,
        },
        // A process that gets no threads any more works with those that it has.
        Err(_) => work.await,
    }
}

/// The threads to run plans on in this process.
pub(crate) fn running_threads() -> Handle {
    match RUNNING.as_ref() {
        Ok(threads) => threads.handle().clone(),
        Err(_) => Handle::current(),
    }
}

/// Does `work`, which goes on for long without yielding, without keeping this thread's other tasks waiting.
pub(crate) async fn heavily<T>(work: impl Future<Output = T>) -> T {
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::MultiThread => tokio::task::block_in_place(|| Handle::current().block_on(work)),
        _ => work.await,
    }
}

/// A task that ends when nobody waits for it any more.
struct Attached<T>(JoinHandle<T>);

impl<T> Future for Attached<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context)
    }
}

impl<T> Drop for Attached<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

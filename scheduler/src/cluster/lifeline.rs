//! A connection to each executor, which breaks when its process ends.
//!
//! Missing heartbeats show only after a long time that an executor is dead. The system of a process closes its connections
//! as soon as it ends, though. So the scheduler keeps one open to the port where each executor takes tasks, with nothing but pings
//! on it. If it breaks and there is none to be had any more, the engine is shown no heartbeat of the executor, and removes it in the
//! same way as one whose heartbeats have stopped.
//!
//! A process that is paused answers no ping, but its system still accepts connections: it is left to its heartbeats.

use std::collections::HashMap;
use std::io::{Error, ErrorKind, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ballista_core::serde::protobuf::{ExecutorHeartbeat, ExecutorStatus, executor_status};
use ballista_core::serde::scheduler::ExecutorMetadata;
use hyper::client::conn::http2::Builder;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tonic::body::Body;

use super::ClusterTimeouts;

/// The pause before an executor is connected to again.
const PAUSE: Duration = Duration::from_millis(250);

/// The connections to all executors.
pub(super) struct Lifelines {
    timeouts: ClusterTimeouts,
    lines: Mutex<HashMap<String, Lifeline>>,
}

/// The connection to one executor. It is closed when this is dropped.
struct Lifeline {
    /// Host and port.
    address: (String, u16),
    is_broken: Arc<AtomicBool>,
    holding: AbortHandle,
}

impl Drop for Lifeline {
    fn drop(&mut self) {
        self.holding.abort();
    }
}

impl Lifelines {
    pub(super) fn new(timeouts: ClusterTimeouts) -> Self {
        Self { timeouts, lines: Mutex::default() }
    }

    /// Connects to `executor`, on the threads of the current runtime. Another one at the same address is lost: two
    /// processes cannot listen on one port.
    pub(super) fn watch(&self, executor: &ExecutorMetadata) {
        let address = (executor.host.clone(), executor.grpc_port);
        let is_broken = Arc::new(AtomicBool::new(false));
        let holding = hold(executor.id.clone(), address.clone(), self.timeouts.clone(), Arc::clone(&is_broken));
        let holding = tokio::spawn(holding).abort_handle();
        let mut lines = self.lines.lock();
        for (other, line) in lines.iter().filter(|(other, line)| **other != executor.id && line.address == address) {
            if !line.is_broken.swap(true, Ordering::AcqRel) {
                tracing::warn!(executor = %other, by = %executor.id, "an executor is lost: another took its address");
            }
        }
        lines.insert(executor.id.clone(), Lifeline { address, is_broken, holding });
    }

    /// Disconnects from an executor, because it is known otherwise what becomes of it.
    pub(super) fn release(&self, executor: &str) {
        self.lines.lock().remove(executor);
    }

    /// A heartbeat as the engine is to see it: that of a lost executor is the last one, and long ago.
    pub(super) fn seen(&self, heartbeat: ExecutorHeartbeat) -> ExecutorHeartbeat {
        let lines = self.lines.lock();
        match lines.get(&heartbeat.executor_id) {
            Some(line) if line.is_broken.load(Ordering::Acquire) => {
                let status = Some(executor_status::Status::Dead(String::new()));
                ExecutorHeartbeat { timestamp: 0, status: Some(ExecutorStatus { status }), ..heartbeat }
            }
            _ => heartbeat,
        }
    }
}

/// Keeps a connection to `executor` until there is none to be had any more.
async fn hold(executor: String, address: (String, u16), timeouts: ClusterTimeouts, is_broken: Arc<AtomicBool>) {
    let mut since = Instant::now();
    loop {
        match connect(&address, &timeouts).await {
            Ok(()) => since = Instant::now(),
            // When nothing listens there any more, it will not come back.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused || since.elapsed() >= timeouts.unreachable => {
                if !is_broken.swap(true, Ordering::AcqRel) {
                    let (host, port) = &address;
                    tracing::warn!(%executor, host, port, %error, "an executor is lost: it cannot be connected to");
                }
                return;
            }
            Err(error) => tracing::debug!(%executor, %error, "an executor cannot be connected to"),
        }
        sleep(PAUSE).await;
    }
}

/// Connects to `address`, and returns when the connection breaks.
async fn connect((host, port): &(String, u16), timeouts: &ClusterTimeouts) -> Result<()> {
    let stream = timeout(timeouts.unreachable, TcpStream::connect((host.as_str(), *port))).await??;
    let mut client = Builder::new(TokioExecutor::new());
    client.timer(TokioTimer::new());
    client.keep_alive_interval(timeouts.check).keep_alive_timeout(timeouts.silence).keep_alive_while_idle(true);
    // Without someone who may make requests the connection would be closed.
    let (requests, connection) = client.handshake::<_, Body>(TokioIo::new(stream)).await.map_err(Error::other)?;
    let ended = connection.await;
    drop(requests);
    tracing::debug!(host, port, ?ended, "the connection to an executor broke");
    Ok(())
}

#[cfg(test)]
mod tests {
    use ballista_core::serde::scheduler::{ExecutorOperatingSystemSpecification, ExecutorSpecification};
    use tokio::net::TcpListener;

    use super::*;

    fn executor(id: &str, port: u16) -> ExecutorMetadata {
        ExecutorMetadata {
            id: id.to_owned(),
            host: "127.0.0.1".to_owned(),
            port: 1,
            grpc_port: port,
            specification: ExecutorSpecification::default(),
            os_info: ExecutorOperatingSystemSpecification::default(),
        }
    }

    fn heartbeat(id: &str) -> ExecutorHeartbeat {
        let status = Some(executor_status::Status::Active(String::new()));
        ExecutorHeartbeat {
            executor_id: id.to_owned(),
            timestamp: 7,
            status: Some(ExecutorStatus { status }),
            ..ExecutorHeartbeat::default()
        }
    }

    fn is_lost(lines: &Lifelines, id: &str) -> bool {
        let seen = lines.seen(heartbeat(id));
        let is_dead = matches!(seen.status.unwrap().status, Some(executor_status::Status::Dead(_)));
        assert_eq!(is_dead, seen.timestamp == 0);
        is_dead
    }

    async fn lost(lines: &Lifelines, id: &str) {
        while !is_lost(lines, id) {
            sleep(Duration::from_millis(5)).await;
        }
    }

    #[tokio::test]
    async fn an_executor_is_lost_when_nothing_listens_any_more_and_not_before() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let lines = Lifelines::new(ClusterTimeouts::default());
        lines.watch(&executor("a", port));
        let (first, _) = listener.accept().await.unwrap();
        assert!(!is_lost(&lines, "a"));
        drop(first);
        // A broken connection alone is nothing: it is made again.
        let (second, _) = listener.accept().await.unwrap();
        assert!(!is_lost(&lines, "a"));
        drop((listener, second));
        lost(&lines, "a").await;
        lines.release("a");
        assert!(!is_lost(&lines, "a"), "one that is not watched any more is left to its heartbeats");
    }

    #[tokio::test]
    async fn an_executor_whose_address_another_has_is_lost() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let lines = Lifelines::new(ClusterTimeouts::default());
        lines.watch(&executor("a", port));
        lines.watch(&executor("a", port));
        assert!(!is_lost(&lines, "a"), "it joined again");
        lines.watch(&executor("b", port));
        assert!(is_lost(&lines, "a") && !is_lost(&lines, "b"));
    }
}

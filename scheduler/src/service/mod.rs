//! A stand-in for the API service: it listens and has no runs.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use windlass_shared::error::{Coded, ErrorCode};
use windlass_shared::storage::Location;

use crate::Scheduler;
use crate::metrics::ServiceMetrics;

/// How the API is set up.
#[derive(Debug, Clone)]
pub struct ApiConfig {
    /// Where it listens.
    pub bind: SocketAddr,
    /// Where bundles and tables go.
    pub home: Location,
    /// Where relative locations start.
    pub data: Location,
    /// The largest project, in bytes.
    pub project_limit: u64,
    /// The most runs at a time.
    pub max_runs: usize,
}

/// Why the API cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} for the API")]
pub struct ApiError {
    address: SocketAddr,
    source: std::io::Error,
}

impl Coded for ApiError {
    fn code(&self) -> ErrorCode {
        ErrorCode("WL0801")
    }

    fn help(&self) -> Option<String> {
        Some("choose another `--api-bind`".to_owned())
    }

    fn is_retryable(&self) -> bool {
        false
    }
}

/// The API.
pub struct ApiServer {
    listener: TcpListener,
    address: SocketAddr,
    _scheduler: Arc<Scheduler>,
}

impl ApiServer {
    /// Listens.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn start(
        config: ApiConfig,
        scheduler: Arc<Scheduler>,
        _metrics: Arc<ServiceMetrics>,
    ) -> Result<Self, ApiError> {
        let failed = |source| ApiError { address: config.bind, source };
        let listener = TcpListener::bind(config.bind).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, _scheduler: scheduler })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many runs are under way.
    pub fn active_runs(&self) -> usize {
        0
    }

    /// Takes no more runs.
    pub fn stop_accepting(&self) {
        let _ = &self.listener;
    }

    /// Waits until no run is under way.
    pub async fn drained(&self) {}

    /// Cancels what runs and stops listening.
    pub async fn stop(self) {}
}

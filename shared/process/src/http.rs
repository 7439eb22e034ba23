//! Probes and metrics over HTTP.

use std::net::SocketAddr;
use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus::proto::MetricFamily;
use prometheus::{Encoder, TextEncoder};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;

use super::ProcessError;

/// The readiness of a process, with details.
#[derive(Debug, Clone, Default)]
pub struct Readiness {
    /// Why it is not ready; empty if it is.
    pub obstacles: Vec<String>,
    /// Details for the response to `/readyz`.
    pub facts: Map<String, Value>,
}

/// What a process reports about itself.
#[async_trait]
pub trait Probes: Send + Sync + 'static {
    /// Whether it accepts work.
    async fn readiness(&self) -> Readiness;
    /// Its metrics as of now.
    async fn metrics(&self) -> Vec<MetricFamily>;
}

/// A port for probes and metrics, bound before the services start.
#[derive(Debug)]
pub struct HttpPort {
    listener: TcpListener,
    address: SocketAddr,
}

impl HttpPort {
    /// Listens on `bind`; port 0 picks a free port.
    ///
    /// # Errors
    /// [`ProcessError::Http`] if it cannot listen.
    pub async fn bind(bind: SocketAddr) -> Result<Self, ProcessError> {
        let failed = |source| ProcessError::Http { address: bind, source };
        let listener = TcpListener::bind(bind).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves `/healthz` (the process lives), `/readyz` (it accepts work; the body gives the reason if not) and
    /// `/metrics`, on a dedicated thread, which answers even if the others are busy.
    ///
    /// # Errors
    /// [`ProcessError::Http`] if no thread can be started.
    pub fn serve(self, probes: Arc<dyn Probes>) -> Result<HttpServer, ProcessError> {
        let address = self.address;
        let failed = |source| ProcessError::Http { address, source };
        let listener = self.listener.into_std().map_err(failed)?;
        let thread = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let stop = CancellationToken::new();
        let router = Router::new()
            .route("/healthz", get(healthz))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
            .with_state(probes);
        let stopped = stop.clone().cancelled_owned();
        let serve = async move {
            let listener = TcpListener::from_std(listener)?;
            axum::serve(listener, router).with_graceful_shutdown(stopped).await
        };
        let run = move || {
            if let Err(error) = thread.block_on(serve) {
                tracing::error!(%error, "probes and metrics are no longer served");
            }
            // Pending probes need not finish.
            thread.shutdown_background();
        };
        std::thread::Builder::new().name("windlass-probes".to_owned()).spawn(run).map_err(failed)?;
        Ok(HttpServer { stop })
    }
}

/// Serves probes and metrics until it is dropped.
#[derive(Debug)]
pub struct HttpServer {
    stop: CancellationToken,
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

async fn healthz() -> &'static str {
    "alive\n"
}

async fn readyz(State(probes): State<Arc<dyn Probes>>) -> Response {
    let readiness = probes.readiness().await;
    let ready = readiness.obstacles.is_empty();
    let mut body = Map::new();
    body.insert("ready".to_owned(), json!(ready));
    body.insert("reasons".to_owned(), json!(readiness.obstacles));
    body.extend(readiness.facts);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CONTENT_TYPE, "application/json")], Value::Object(body).to_string()).into_response()
}

async fn metrics(State(probes): State<Arc<dyn Probes>>) -> Response {
    let encoder = TextEncoder::new();
    let mut text = Vec::new();
    match encoder.encode(&probes.metrics().await, &mut text) {
        Ok(()) => ([(header::CONTENT_TYPE, encoder.format_type().to_owned())], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

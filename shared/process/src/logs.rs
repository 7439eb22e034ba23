//! Logs on stderr, and traces to a collector.

use std::io::IsTerminal;

use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, fmt};
use url::Url;
use windlass_base::secrets::DiscreetStderr;

use super::value::{LogFilter, LogFormat};
use super::{ProcessError, Values};

/// How a process logs.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// How lines are written.
    pub format: LogFormat,
    /// Which lines are written.
    pub filter: LogFilter,
    /// The collector that traces are sent to, by OTLP over gRPC.
    pub otlp_endpoint: Option<Url>,
}

impl LogSettings {
    /// Reads `log-format`, `log` and `otlp-endpoint`.
    ///
    /// # Errors
    /// As [`Values::required`].
    pub fn from_values(values: &Values) -> Result<Self, ProcessError> {
        Ok(Self {
            format: values.required("log-format")?,
            filter: values.required("log")?,
            otlp_endpoint: values.get("otlp-endpoint")?,
        })
    }

    /// Starts logging to stderr, and sending traces if there is a collector. Call it once, on tokio's threads.
    ///
    /// # Errors
    /// [`ProcessError::Logs`].
    pub fn start(&self, service: &'static str) -> Result<LogGuard, ProcessError> {
        let failed = |reason: String| ProcessError::Logs { reason };
        let filter = EnvFilter::try_new(&self.filter.0).map_err(|error| failed(error.to_string()))?;
        let lines = fmt::layer().with_writer(DiscreetStderr::default);
        let lines = match self.format {
            LogFormat::Human => lines.with_ansi(std::io::stderr().is_terminal()).boxed(),
            LogFormat::Json => lines.json().flatten_event(true).boxed(),
        };
        let provider = match &self.otlp_endpoint {
            Some(endpoint) => Some(provider(endpoint, service).map_err(failed)?),
            None => None,
        };
        let traces = provider.as_ref().map(|provider| {
            // Only spans of this project: exporting creates spans too, which would never end.
            let ours = filter_fn(|metadata| metadata.target().starts_with("windlass"));
            tracing_opentelemetry::layer().with_tracer(provider.tracer("windlass")).with_filter(ours)
        });
        tracing_subscriber::registry()
            .with(lines.with_filter(filter))
            .with(traces)
            .try_init()
            .map_err(|error| failed(error.to_string()))?;
        Ok(LogGuard { provider })
    }
}

fn provider(endpoint: &Url, service: &'static str) -> Result<SdkTracerProvider, String> {
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint.as_str())
        .build()
        .map_err(|error| error.to_string())?;
    let resource = Resource::builder().with_service_name(service).build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

/// Sends the last traces when dropped. Drop it outside of async code, while tokio still runs.
#[derive(Debug)]
pub struct LogGuard {
    provider: Option<SdkTracerProvider>,
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        if let Some(Err(error)) = self.provider.take().map(|provider| provider.shutdown()) {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

//! Probes answer even if the process is busy.

use std::sync::Arc;

use async_trait::async_trait;
use prometheus::proto::MetricFamily;
use windlass_process::{HttpPort, Probes, Readiness};
use windlass_tests::processes::http_get;

struct Ready;

#[async_trait]
impl Probes for Ready {
    async fn readiness(&self) -> Readiness {
        tokio::task::yield_now().await;
        Readiness::default()
    }

    async fn metrics(&self) -> Vec<MetricFamily> {
        Vec::new()
    }
}

/// The only thread of this test waits for the answers, and does nothing else.
#[tokio::test(flavor = "current_thread")]
async fn probes_run_on_a_dedicated_thread() {
    let port = HttpPort::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let address = port.address();
    let server = port.serve(Arc::new(Ready)).unwrap();
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(http_get(address, path).unwrap().0, 200, "{path}");
    }
    drop(server);
}

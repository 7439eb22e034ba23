//! The probes and metrics of the executor's process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{ExecutorStatus, TaskMetrics};
use async_trait::async_trait;
use datafusion::execution::memory_pool::MemoryPool;
use prometheus::proto::MetricFamily;
use prometheus::{IntGauge, Registry};
use serde_json::{Map, json};
use windlass_process::{Probes, Readiness};

/// The executor's state for probes.
pub(crate) struct ExecutorProbes {
    node: ExecutorStatus,
    pool: Arc<dyn MemoryPool>,
    tasks: TaskMetrics,
    draining: AtomicBool,
    registry: Registry,
    reserved: IntGauge,
    connected: IntGauge,
}

impl ExecutorProbes {
    pub(crate) fn new(
        node: ExecutorStatus,
        pool: Arc<dyn MemoryPool>,
        vcores: usize,
        memory: Option<usize>,
        tasks: &TaskMetrics,
    ) -> prometheus::Result<Self> {
        let registry = Registry::new();
        tasks.register(&registry)?;
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            prometheus::Result::Ok(gauge)
        };
        gauge("windlass_executor_vcores", "How many tasks may run in parallel")?.set(number(vcores));
        if let Some(bytes) = memory {
            gauge("windlass_executor_memory_limit_bytes", "How much memory queries may use before they spill")?
                .set(number(bytes));
        }
        let reserved = gauge("windlass_executor_memory_reserved_bytes", "How much memory queries use")?;
        let connected = gauge("windlass_executor_connected", "1 if the scheduler answered the last heartbeat, else 0")?;
        let draining = AtomicBool::new(false);
        Ok(Self { node, pool, tasks: tasks.clone(), draining, registry, reserved, connected })
    }

    /// From now on the process accepts no more work.
    pub(crate) fn begin_to_drain(&self) {
        self.draining.store(true, Ordering::Release);
    }
}

fn number(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[async_trait]
impl Probes for ExecutorProbes {
    async fn readiness(&self) -> Readiness {
        let draining = self.draining.load(Ordering::Acquire).then(|| "draining".to_owned());
        let mut facts = Map::new();
        facts.insert("executor".to_owned(), json!(self.node.id()));
        facts.insert("tasks_running".to_owned(), json!(self.tasks.running()));
        Readiness { obstacles: draining.into_iter().chain(self.node.obstacle()).collect(), facts }
    }

    async fn metrics(&self) -> Vec<MetricFamily> {
        self.reserved.set(number(self.pool.reserved()));
        self.connected.set(i64::from(self.node.is_connected()));
        let mut families = self.registry.gather();
        // The process's own metrics, and those of libraries.
        families.extend(prometheus::gather());
        families
    }
}

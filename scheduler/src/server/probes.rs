//! What the scheduler's process tells about itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::Scheduler;
use crate::cluster::{ClusterLoad, SchedulerProcess};
use crate::service::ApiServer;
use async_trait::async_trait;
use prometheus::proto::MetricFamily;
use prometheus::{IntGauge, Registry};
use serde_json::{Map, json};
use tokio::sync::RwLock;
use tokio::time::timeout;
use windlass_base::error::full_message;
use windlass_process::{Probes, Readiness};

/// A key to read in order to see that the state store answers; nothing is ever put there.
const PROBED_KEY: &str = "probe";
/// How long a part of the process may take to answer a probe.
const PATIENCE: Duration = Duration::from_secs(3);

/// The scheduler, seen from outside.
pub(crate) struct SchedulerProbes {
    process: Arc<SchedulerProcess>,
    scheduler: Arc<Scheduler>,
    api: Arc<RwLock<Option<ApiServer>>>,
    draining: AtomicBool,
    registry: Registry,
    gauges: Gauges,
}

struct Gauges {
    runs_active: IntGauge,
    runs_queued: IntGauge,
    executors: IntGauge,
    vcores: IntGauge,
    tasks_pending: IntGauge,
    tasks_running: IntGauge,
    leads: IntGauge,
}

impl SchedulerProbes {
    /// Shows what `registry` holds already, and what the parts tell when they are asked.
    pub(crate) fn new(
        process: Arc<SchedulerProcess>,
        scheduler: Arc<Scheduler>,
        api: Arc<RwLock<Option<ApiServer>>>,
        registry: Registry,
    ) -> prometheus::Result<Self> {
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            prometheus::Result::Ok(gauge)
        };
        let gauges = Gauges {
            runs_active: gauge("windlass_runs_active", "Runs under way")?,
            runs_queued: gauge("windlass_runs_queued", "Runs that wait for their turn")?,
            executors: gauge("windlass_executors", "Executors that take tasks")?,
            vcores: gauge("windlass_vcores", "Tasks that all executors may run side by side")?,
            tasks_pending: gauge("windlass_tasks_pending", "Tasks that could run and wait for an executor")?,
            tasks_running: gauge("windlass_tasks_running", "Tasks that run")?,
            leads: gauge("windlass_leads", "1 if this scheduler leads, else 0")?,
        };
        Ok(Self { process, scheduler, api, draining: AtomicBool::new(false), registry, gauges })
    }

    /// From now on the process takes no more work.
    pub(crate) fn begin_to_drain(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// What the cluster has and does; `None` if it does not say in time.
    async fn load(&self) -> Option<ClusterLoad> {
        timeout(PATIENCE, self.process.load()).await.ok()
    }

    async fn runs_active(&self) -> usize {
        self.api.read().await.as_ref().map_or(0, ApiServer::active_runs)
    }

    async fn runs_queued(&self) -> usize {
        self.api.read().await.as_ref().map_or(0, ApiServer::queued_runs)
    }

    async fn state_obstacle(&self) -> Option<String> {
        match timeout(PATIENCE, self.scheduler.state.get(PROBED_KEY)).await {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(full_message(&error)),
            Err(_) => Some(format!("the state store does not answer within {} s", PATIENCE.as_secs())),
        }
    }
}

fn number(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[async_trait]
impl Probes for SchedulerProbes {
    /// Without executors the scheduler is ready all the same: runs wait for them, and they for it.
    async fn readiness(&self) -> Readiness {
        let draining = self.draining.load(Ordering::Acquire).then(|| "draining".to_owned());
        let leadership = &self.scheduler.leadership;
        let standby = (!leadership.leads()).then(|| "standby".to_owned());
        let mut facts = Map::new();
        if let Some(leader) = leadership.leader() {
            facts.insert("leader".to_owned(), json!(leader.api));
        }
        if let Some(load) = self.load().await {
            facts.insert("executors".to_owned(), json!(load.executors));
            facts.insert("vcores".to_owned(), json!(load.vcores));
        }
        facts.insert("runs_active".to_owned(), json!(self.runs_active().await));
        facts.insert("runs_queued".to_owned(), json!(self.runs_queued().await));
        Readiness { obstacles: draining.into_iter().chain(standby).chain(self.state_obstacle().await).collect(), facts }
    }

    async fn metrics(&self) -> Vec<MetricFamily> {
        let gauges = &self.gauges;
        gauges.runs_active.set(number(self.runs_active().await));
        gauges.leads.set(i64::from(self.scheduler.leadership.leads()));
        gauges.runs_queued.set(number(self.runs_queued().await));
        if let Some(load) = self.load().await {
            gauges.executors.set(number(load.executors));
            gauges.vcores.set(number(load.vcores));
            gauges.tasks_pending.set(number(load.tasks_pending));
            gauges.tasks_running.set(number(load.tasks_running));
        }
        let mut families = self.registry.gather();
        // The engine's metrics and the process's own are in the registry that libraries share.
        families.extend(prometheus::gather());
        families
    }
}

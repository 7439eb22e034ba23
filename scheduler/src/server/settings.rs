//! The settings of a scheduler's process.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::cluster::{ClusterConfig, ClusterTimeouts};
use crate::leadership::Leadership;
use crate::service::queue::QueueLimits;
use crate::state::EtcdAddress;
use url::Url;
use windlass_process::{
    Fallback, HostPort, LogFilter, LogFormat, LogSettings, Period, ProcessError, Program, Setting, SettingValue, Size,
    Values, advertised_host, memory,
};
use windlass_storage::Location;

/// The share of the memory for queries in this process: it also plans, and keeps what it knows of tables.
const QUERY_SHARE_PERCENT: u64 = 35;
/// How long an executor that leaves is kept without a word; it says something about twice a second.
const LEAVING: Duration = Duration::from_secs(10);

/// The variables with the user of etcd and the password.
pub(super) const ETCD_USER: &str = "WINDLASS_ETCD_USER";
pub(super) const ETCD_PASSWORD: &str = "WINDLASS_ETCD_PASSWORD";

/// What this process can be told.
pub(crate) static PROGRAM: Program = Program {
    name: super::NAME,
    about: "Plans, runs, commits and records the pipelines of a Windlass cluster",
    example: "windlass-scheduler --home s3://lake/windlass --state-dir /var/lib/windlass/state --api-bind 0.0.0.0:50051 \
              --engine-bind 0.0.0.0:50050",
    settings: &SETTINGS,
    credentials: &[ETCD_USER, ETCD_PASSWORD],
    derive,
};

static SETTINGS: [Setting; 27] = [
    Setting::new::<Location>(
        "home",
        "URL",
        Fallback::Required,
        "Where run bundles and tables go, in a folder for each pipeline",
    ),
    Setting::new::<Location>(
        "data",
        "URL",
        Fallback::Derived("<home>/data"),
        "Where relative locations of submitted projects start",
    ),
    Setting::new::<PathBuf>(
        "state-dir",
        "DIR",
        Fallback::Value("/var/lib/windlass/state"),
        "Where leases, run counters and unfinished runs are kept, on a local disk",
    ),
    Setting::new::<EtcdAddress>(
        "state",
        "URL",
        Fallback::Derived("a file in --state-dir"),
        "The etcd that keeps them instead, as etcd://HOST:PORT,HOST:PORT/PREFIX",
    ),
    Setting::new::<SocketAddr>(
        "api-bind",
        "IP:PORT",
        Fallback::Value("127.0.0.1:50051"),
        "Where clients submit projects and ask questions",
    ),
    Setting::new::<SocketAddr>(
        "engine-bind",
        "IP:PORT",
        Fallback::Value("127.0.0.1:50050"),
        "Where executors join; neither encrypted nor authenticated, so keep it private",
    ),
    Setting::new::<SocketAddr>(
        "http-bind",
        "IP:PORT",
        Fallback::Value("127.0.0.1:8080"),
        "Where /healthz, /readyz and /metrics are served",
    ),
    Setting::new::<String>(
        "advertised-host",
        "HOST",
        Fallback::Derived("the address of --engine-bind; the machine's name if that is 0.0.0.0 or ::"),
        "The host under which executors reach the engine port",
    ),
    Setting::new::<HostPort>(
        "api-advertise",
        "HOST:PORT",
        Fallback::Derived("the address of --api-bind, with the machine's name for 0.0.0.0 or ::"),
        "Where clients reach the API, as other schedulers tell them while this one leads",
    ),
    Setting::new::<Period>(
        "leader-lease",
        "DURATION",
        Fallback::Value("6s"),
        "How long nobody takes over from a leader that is silent; the same for all that share the state",
    ),
    Setting::new::<Period>(
        "executor-timeout",
        "DURATION",
        Fallback::Value("60s"),
        "An executor without a heartbeat for this long is lost, and its tasks run elsewhere",
    ),
    Setting::new::<Period>(
        "executor-check",
        "DURATION",
        Fallback::Value("1s"),
        "How often executors are pinged, and lost ones removed",
    ),
    Setting::new::<Period>(
        "executor-silence",
        "DURATION",
        Fallback::Value("20s"),
        "An executor that leaves a ping unanswered for this long is connected to again",
    ),
    Setting::new::<Period>(
        "executor-unreachable",
        "DURATION",
        Fallback::Value("5s"),
        "An executor that cannot be connected to again for this long is lost; one that refuses it, at once",
    ),
    Setting::new::<Period>(
        "no-executors-grace",
        "DURATION",
        Fallback::Value("60s"),
        "How long work waits for an executor after the last one was lost",
    ),
    Setting::new::<Period>(
        "no-executor-timeout",
        "DURATION",
        Fallback::Value("10m"),
        "How long a job waits for a first executor before it fails; 0s is for ever",
    ),
    Setting::new::<Size>(
        "small-job-limit",
        "SIZE",
        Fallback::Value("32MiB"),
        "Jobs that read no more than this run in the scheduler's process instead of in tasks",
    ),
    Setting::new::<Size>(
        "memory",
        "SIZE",
        Fallback::Found { find: memory_text, how: "35 % of the memory of the container or the machine" },
        "How much memory the queries of these jobs may use before they spill to disk",
    ),
    Setting::new::<Size>(
        "message-limit",
        "SIZE",
        Fallback::Value("64MiB"),
        "The largest message of the engine; as on the executors",
    ),
    Setting::new::<Size>(
        "project-limit",
        "SIZE",
        Fallback::Value("16MiB"),
        "The largest project that can be submitted",
    ),
    Setting::new::<usize>("max-runs", "N", Fallback::Value("8"), "How many runs may be under way at a time"),
    Setting::new::<usize>(
        "max-queued",
        "N",
        Fallback::Value("1000"),
        "How many more runs may wait; what is submitted beyond them is refused",
    ),
    Setting::new::<usize>(
        "max-queued-per-pipeline",
        "N",
        Fallback::Value("100"),
        "How many runs of one pipeline may wait",
    ),
    Setting::new::<Period>(
        "drain-deadline",
        "DURATION",
        Fallback::Value("60s"),
        "How long runs may take to end after SIGTERM, before they are cancelled",
    ),
    Setting::new::<LogFormat>("log-format", "FORMAT", Fallback::Value("human"), "How log lines look: human or json"),
    Setting::new::<LogFilter>("log", "FILTER", Fallback::Value("info"), "Which log lines are written, as RUST_LOG"),
    Setting::new::<Url>("otlp-endpoint", "URL", Fallback::Off, "Where traces are sent, by OTLP over gRPC"),
];

impl SettingValue for EtcdAddress {
    const EXPECTED: &'static str = "servers and a prefix such as `etcd://host:2379,other:2379/windlass`; who uses them is in WINDLASS_ETCD_USER \
         and WINDLASS_ETCD_PASSWORD";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse()
    }
}

fn memory_text() -> Option<String> {
    // In MiB, for readability.
    memory::share_of_memory(QUERY_SHARE_PERCENT).map(|bytes| format!("{}MiB", bytes >> 20))
}

/// Where others reach what listens on `bind`.
pub(super) fn advertised(bind: SocketAddr) -> String {
    format!("{}:{}", advertised_host(bind.ip()), bind.port())
}

fn derive(values: &mut Values) -> Result<(), ProcessError> {
    let engine: SocketAddr = values.required("engine-bind")?;
    values.derive("advertised-host", advertised_host(engine.ip()));
    let api: SocketAddr = values.required("api-bind")?;
    // Another port is known only when it listens.
    if api.port() > 0 {
        values.derive("api-advertise", advertised(api));
    }
    if let Some(home) = values.get::<Location>("home")? {
        values.derive("data", home.join("data").to_string());
    }
    Ok(())
}

fn queue_limits(values: &Values) -> Result<QueueLimits, ProcessError> {
    let limits = QueueLimits {
        max_runs: values.required("max-runs")?,
        max_queued: values.required("max-queued")?,
        max_queued_per_pipeline: values.required("max-queued-per-pipeline")?,
    };
    if limits.max_runs == 0 {
        return Err(values.refuse("max-runs", "", "a number greater than zero"));
    }
    Ok(limits)
}

/// The settings, checked.
#[derive(Debug)]
pub(crate) struct SchedulerSettings {
    pub(crate) home: Location,
    pub(crate) data: Location,
    pub(crate) state_dir: PathBuf,
    /// `None` for a file in the state folder.
    pub(crate) state: Option<EtcdAddress>,
    pub(crate) api_bind: SocketAddr,
    /// `None` if that is known only when it listens.
    pub(crate) api_advertise: Option<HostPort>,
    pub(crate) leader_lease: Duration,
    pub(crate) http_bind: SocketAddr,
    pub(crate) cluster: ClusterConfig,
    pub(crate) small_job_limit: u64,
    /// The memory limit of queries in this process, in bytes; `None` if the machine's memory is unknown.
    pub(crate) memory: Option<usize>,
    pub(crate) message_limit: usize,
    pub(crate) project_limit: u64,
    pub(crate) queue: QueueLimits,
    pub(crate) drain_deadline: Duration,
    pub(crate) logs: LogSettings,
}

impl SchedulerSettings {
    pub(crate) fn from_values(values: &Values) -> Result<Self, ProcessError> {
        let Period(first_executor) = values.required("no-executor-timeout")?;
        let timeouts = ClusterTimeouts {
            executor: values.seconds("executor-timeout")?,
            check: values.seconds("executor-check")?,
            silence: values.seconds("executor-silence")?,
            unreachable: values.seconds("executor-unreachable")?,
            no_executors: values.seconds("no-executors-grace")?,
            first_executor: (!first_executor.is_zero()).then_some(first_executor),
            leaving: LEAVING,
        };
        let cluster = ClusterConfig {
            bind: values.required("engine-bind")?,
            advertised_host: values.get("advertised-host")?,
            timeouts,
            leadership: Leadership::standby(),
        };
        let project_limit: Size = values.required("project-limit")?;
        if project_limit.0 == 0 {
            return Err(values.refuse("project-limit", "", "a size greater than zero"));
        }
        let Period(drain_deadline) = values.required("drain-deadline")?;
        let settings = Self {
            home: values.required("home")?,
            data: values.required("data")?,
            state_dir: values.required("state-dir")?,
            state: values.get("state")?,
            api_bind: values.required("api-bind")?,
            api_advertise: values.get("api-advertise")?,
            leader_lease: values.seconds("leader-lease")?,
            http_bind: values.required("http-bind")?,
            cluster,
            small_job_limit: values.required::<Size>("small-job-limit")?.0,
            memory: values.get::<Size>("memory")?.map(|memory| memory.as_usize()),
            message_limit: values.message_limit()?,
            project_limit: project_limit.0,
            queue: queue_limits(values)?,
            drain_deadline,
            logs: LogSettings::from_values(values)?,
        };
        settings.check_ports()?;
        Ok(settings)
    }

    fn check_ports(&self) -> Result<(), ProcessError> {
        let binds = [("api-bind", self.api_bind), ("engine-bind", self.cluster.bind), ("http-bind", self.http_bind)];
        for (at, (name, bind)) in binds.iter().enumerate() {
            let same = |other: &SocketAddr| bind.port() > 0 && other.port() == bind.port();
            if let Some((other, _)) = binds.iter().skip(at + 1).find(|(_, other)| same(other)) {
                return Err(ProcessError::Unusable {
                    message: format!("`{name}` and `{other}` are both port {}", bind.port()),
                    help: "give each its own port".to_owned(),
                });
            }
        }
        Ok(())
    }
}

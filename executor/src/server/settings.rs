//! The settings of an executor's process.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use url::Url;
use windlass_base::count::counted;
use windlass_process::{
    Fallback, HostPorts, LogFilter, LogFormat, LogSettings, Period, ProcessError, Program, Setting, Size, Values,
    advertised_host, memory,
};

use crate::ExecutorConfig;

/// The share of the memory for queries; the rest is for memory that the engine does not track.
const QUERY_SHARE_PERCENT: u64 = 70;
/// The maximum number of tasks that one executor may run in parallel.
const MAX_VCORES: usize = 1024;
/// The minimum memory per task.
const MIN_MEMORY_PER_TASK: u64 = 16 << 20;

/// The settings of this process.
pub(crate) static PROGRAM: Program = Program {
    name: super::NAME,
    about: "Runs the tasks of a Windlass cluster",
    example: "windlass-executor --scheduler scheduler:50050 --bind 0.0.0.0 --vcores 4 --memory 8GiB",
    settings: &SETTINGS,
    credentials: &[],
    derive,
};

static SETTINGS: [Setting; 16] = [
    Setting::new::<HostPorts>(
        "scheduler",
        "HOST:PORT",
        Fallback::Required,
        "The scheduler's engine port; of several schedulers all, separated by commas",
    ),
    Setting::new::<usize>(
        "vcores",
        "N",
        Fallback::Found { find: cores, how: "the cores of the machine" },
        "How many tasks run in parallel",
    ),
    Setting::new::<Size>(
        "memory",
        "SIZE",
        Fallback::Found { find: memory_text, how: "70 % of the memory of the container or the machine" },
        "How much memory queries may use before they spill to disk",
    ),
    Setting::new::<PathBuf>(
        "work-dir",
        "DIR",
        Fallback::Value("/var/lib/windlass/work"),
        "Where shuffle files are stored, in a separate folder for each executor",
    ),
    Setting::new::<PathBuf>("spill-dir", "DIR", Fallback::Derived("in the work folder"), "Where queries spill"),
    Setting::new::<IpAddr>("bind", "IP", Fallback::Value("127.0.0.1"), "The address that both ports listen on"),
    Setting::new::<u16>("flight-port", "PORT", Fallback::Value("50052"), "The port that serves shuffle files"),
    Setting::new::<u16>("grpc-port", "PORT", Fallback::Value("50053"), "The port that the scheduler sends tasks to"),
    Setting::new::<SocketAddr>(
        "http-bind",
        "IP:PORT",
        Fallback::Value("127.0.0.1:8080"),
        "Where /healthz, /readyz and /metrics are served",
    ),
    Setting::new::<String>(
        "advertised-host",
        "HOST",
        Fallback::Derived("the bind address; the machine's name if that is 0.0.0.0 or ::"),
        "The host under which the scheduler and other executors reach this one",
    ),
    Setting::new::<Period>(
        "heartbeat",
        "DURATION",
        Fallback::Value("10s"),
        "How often a heartbeat is sent to the scheduler",
    ),
    Setting::new::<Size>(
        "message-limit",
        "SIZE",
        Fallback::Value("64MiB"),
        "The largest message of the engine; as on the scheduler",
    ),
    Setting::new::<Period>(
        "drain-deadline",
        "DURATION",
        Fallback::Value("60s"),
        "How long tasks and readers of shuffle files may take after SIGTERM",
    ),
    Setting::new::<LogFormat>("log-format", "FORMAT", Fallback::Value("human"), "How log lines look: human or json"),
    Setting::new::<LogFilter>("log", "FILTER", Fallback::Value("info"), "Which log lines are written, as RUST_LOG"),
    Setting::new::<Url>("otlp-endpoint", "URL", Fallback::Off, "Where traces are sent, by OTLP over gRPC"),
];

fn cores() -> Option<String> {
    std::thread::available_parallelism().ok().map(|cores| cores.to_string())
}

fn memory_text() -> Option<String> {
    // In MiB, for readability.
    memory::share_of_memory(QUERY_SHARE_PERCENT).map(|bytes| format!("{}MiB", bytes >> 20))
}

fn derive(values: &mut Values) -> Result<(), ProcessError> {
    let bind: IpAddr = values.required("bind")?;
    values.derive("advertised-host", advertised_host(bind));
    Ok(())
}

/// The validated settings.
#[derive(Debug)]
pub(crate) struct ExecutorSettings {
    pub(crate) executor: ExecutorConfig,
    /// The memory limit of queries in bytes; `None` if the machine's memory is unknown.
    pub(crate) memory: Option<usize>,
    pub(crate) spill_dir: Option<PathBuf>,
    pub(crate) message_limit: usize,
    pub(crate) http_bind: SocketAddr,
    pub(crate) drain_deadline: Duration,
    pub(crate) logs: LogSettings,
}

impl ExecutorSettings {
    pub(crate) fn from_values(values: &Values) -> Result<Self, ProcessError> {
        let vcores: usize = values.required("vcores")?;
        if vcores > MAX_VCORES {
            return Err(values.refuse("vcores", "", "a number of tasks from 1 to 1024"));
        }
        let HostPorts(schedulers) = values.required("scheduler")?;
        let executor = ExecutorConfig {
            schedulers: schedulers.iter().map(ToString::to_string).collect(),
            vcores,
            work_dir: values.required("work-dir")?,
            bind: values.required("bind")?,
            flight_port: values.required("flight-port")?,
            grpc_port: values.required("grpc-port")?,
            advertised_host: values.get("advertised-host")?,
            heartbeat: values.seconds("heartbeat")?,
        };
        let http_bind: SocketAddr = values.required("http-bind")?;
        check_ports(&executor, http_bind)?;
        let Period(drain_deadline) = values.required("drain-deadline")?;
        Ok(Self {
            memory: memory(values, vcores)?,
            spill_dir: values.get("spill-dir")?,
            message_limit: values.message_limit()?,
            http_bind,
            drain_deadline,
            logs: LogSettings::from_values(values)?,
            executor,
        })
    }
}

fn memory(values: &Values, vcores: usize) -> Result<Option<usize>, ProcessError> {
    let Some(memory) = values.get::<Size>("memory")? else { return Ok(None) };
    let least = Size(MIN_MEMORY_PER_TASK.saturating_mul(u64::try_from(vcores).unwrap_or(u64::MAX)));
    if memory < least {
        return Err(ProcessError::Unusable {
            message: format!(
                "{memory} of memory ({}) is too little for {}",
                values.origin("memory"),
                counted(vcores, "task")
            ),
            help: format!("set `memory` to {least} or more, or `vcores` to less"),
        });
    }
    Ok(Some(memory.as_usize()))
}

fn check_ports(executor: &ExecutorConfig, http_bind: SocketAddr) -> Result<(), ProcessError> {
    let ports =
        [("flight-port", executor.flight_port), ("grpc-port", executor.grpc_port), ("http-bind", http_bind.port())];
    for (at, (name, port)) in ports.iter().enumerate() {
        if let Some((other, _)) = ports.iter().skip(at + 1).find(|(_, other)| *port > 0 && other == port) {
            return Err(ProcessError::Unusable {
                message: format!("`{name}` and `{other}` are both port {port}"),
                help: "give each its own port".to_owned(),
            });
        }
    }
    Ok(())
}

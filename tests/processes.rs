//! A real cluster of processes: a scheduler and executors as children of the test, on free ports, stopped when dropped.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take that a test waits for.
pub const TIMEOUT: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(20);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// Below those that systems give away.
const PORTS: Range<u16> = 20_000..30_000;
/// As much of a log is shown when a test fails.
const TAIL_LINES: usize = 60;

/// How a cluster of processes is set up.
#[derive(Debug, Clone, Default)]
pub struct ClusterOptions {
    /// How many executors; `ProcessCluster::start` takes one if none are asked for.
    pub executors: usize,
    /// How many schedulers stand by. They share the state of the one that leads at first.
    pub standbys: usize,
    /// The scheduler's `--home`; a folder of the cluster's own if not specified.
    pub home: Option<String>,
    /// More flags of all schedulers.
    pub scheduler_args: Vec<String>,
    /// More flags of the executors.
    pub executor_args: Vec<String>,
    /// More variables of all processes, such as the credentials of an object store.
    pub environment: Vec<(String, String)>,
}

/// A scheduler, others that stand by, and executors, each a separate process.
///
/// Heartbeats are short, so that losses show soon. When a test fails, the ends of all logs are printed.
pub struct ProcessCluster {
    /// The scheduler that leads at first.
    pub scheduler: ServerProcess,
    /// Those that stand by at first.
    pub standbys: Vec<ServerProcess>,
    /// The executors.
    pub executors: Vec<ServerProcess>,
    options: ClusterOptions,
    /// API and engine port of each scheduler, the first of which is `scheduler`.
    addresses: Vec<(SocketAddr, SocketAddr)>,
    folder: TempDir,
}

impl ProcessCluster {
    /// Starts a scheduler and `executors` executors and returns when all have joined.
    pub fn start(executors: usize) -> Self {
        Self::with(ClusterOptions { executors, ..ClusterOptions::default() })
    }

    /// Starts a cluster and returns when all executors have joined. It runs everything in tasks unless options say otherwise.
    pub fn with(options: ClusterOptions) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let addresses: Vec<_> = (0..=options.standbys).map(|_| (free_address(), free_address())).collect();
        let scheduler = start_scheduler("scheduler", folder.path(), addresses[0], &options);
        let (standbys, executors) = (Vec::new(), Vec::new());
        let mut cluster = Self { scheduler, standbys, executors, options, addresses, folder };
        for at in 1..cluster.addresses.len() {
            // The first one leads.
            cluster.scheduler.wait_until_ready();
            let (name, address) = (format!("standby-{at}"), cluster.addresses[at]);
            cluster.standbys.push(start_scheduler(&name, cluster.folder.path(), address, &cluster.options));
        }
        for _ in 0..cluster.options.executors.max(1) {
            cluster.add_executor();
        }
        cluster.wait_for_executors(cluster.executors.len());
        cluster
    }

    /// Starts one more executor, without waiting for it.
    pub fn add_executor(&mut self) -> &mut ServerProcess {
        let name = format!("executor-{}", self.executors.len() + 1);
        let engines: Vec<String> = self.addresses.iter().map(|(_, engine)| engine.to_string()).collect();
        let args = executor_args(&engines.join(","), &self.work_dir(self.executors.len()));
        let args = unless_given(args, &self.options.executor_args);
        let executor =
            ServerProcess::start("windlass-executor", &name, self.folder.path(), args, &self.options.environment);
        self.executors.push(executor);
        self.executors.last_mut().expect("it was just pushed")
    }

    /// Waits until the scheduler counts `wanted` executors that take tasks.
    pub fn wait_for_executors(&mut self, wanted: usize) {
        let started = Instant::now();
        while self.scheduler.metric("windlass_executors") != Some(wanted as f64) {
            for process in std::iter::once(&mut self.scheduler).chain(&mut self.standbys).chain(&mut self.executors) {
                assert!(!process.has_ended(), "{} ended before there were {wanted} executors", process.name);
            }
            assert!(started.elapsed() < TIMEOUT, "the scheduler does not have {wanted} executors");
            std::thread::sleep(POLL);
        }
    }

    /// The URL for `--cluster` of the scheduler that leads at first.
    pub fn url(&self) -> String {
        format!("http://{}", self.addresses[0].0)
    }

    /// The URLs of all schedulers, the one that leads at first before the others.
    pub fn urls(&self) -> Vec<String> {
        self.addresses.iter().map(|(api, _)| format!("http://{api}")).collect()
    }

    /// Where executors join the scheduler that leads at first.
    pub fn engine(&self) -> SocketAddr {
        self.addresses[0].1
    }

    /// Waits until a task runs on one of the executors.
    pub fn wait_for_a_task(&self) {
        let started = Instant::now();
        let busy = |executor: &ServerProcess| executor.metric("windlass_executor_tasks_running") > Some(0.0);
        while !self.executors.iter().any(busy) {
            assert!(started.elapsed() < TIMEOUT, "no executor has a task");
            std::thread::sleep(POLL);
        }
    }

    /// The folder of the cluster: home, state, work folders and logs, unless options say otherwise.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The folder that the executor with this index makes its own folder in.
    pub fn work_dir(&self, executor: usize) -> PathBuf {
        self.folder.path().join(format!("work-{}", executor + 1))
    }
}

fn start_scheduler(
    name: &str,
    folder: &Path,
    (api, engine): (SocketAddr, SocketAddr),
    options: &ClusterOptions,
) -> ServerProcess {
    let home = options.home.clone().unwrap_or_else(|| folder.join("home").display().to_string());
    let state = folder.join("state").display().to_string();
    let mut args = vec!["--home".to_owned(), home, "--state-dir".to_owned(), state];
    args.extend([format!("--api-bind={api}"), format!("--engine-bind={engine}")]);
    let usual = ["--executor-check=1s", "--executor-timeout=10s", "--small-job-limit=0"].map(str::to_owned);
    args.extend(unless_given(usual, &options.scheduler_args));
    ServerProcess::start("windlass-scheduler", name, folder, args, &options.environment)
}

/// The flags of `usual` that `given` does not have, and all of `given`.
fn unless_given(usual: impl IntoIterator<Item = String>, given: &[String]) -> Vec<String> {
    let name = |flag: &str| flag.split('=').next().unwrap_or_default().to_owned();
    let usual = usual.into_iter().filter(|flag| !given.iter().any(|other| name(other) == name(flag)));
    usual.chain(given.iter().cloned()).collect()
}

/// The usual flags of an executor for a test.
pub fn executor_args(scheduler: &str, work_dir: &Path) -> Vec<String> {
    let mut args = vec![format!("--scheduler={scheduler}"), format!("--work-dir={}", work_dir.display())];
    args.extend(
        ["--flight-port=0", "--grpc-port=0", "--heartbeat=1s", "--vcores=2", "--memory=256MiB"].map(str::to_owned),
    );
    args
}

/// A server as a child of the test. It is killed when dropped.
pub struct ServerProcess {
    name: String,
    server: String,
    args: Vec<String>,
    environment: Vec<(String, String)>,
    http: SocketAddr,
    log: PathBuf,
    child: Child,
}

impl ServerProcess {
    /// Starts `server`, with probes on a free port and its log as `<name>.log` in `folder`. It may not be ready yet.
    pub fn start(server: &str, name: &str, folder: &Path, args: Vec<String>, environment: &[(String, String)]) -> Self {
        let (server, http) = (server.to_owned(), free_address());
        let log = folder.join(format!("{name}.log"));
        let child = spawn(&server, &args, environment, http, &log);
        Self { name: name.to_owned(), server, args, environment: environment.to_vec(), http, log, child }
    }

    /// Starts the process again, on the same ports, after it has ended.
    pub fn restart(&mut self) {
        assert!(self.has_ended(), "{} still runs", self.name);
        self.child = spawn(&self.server, &self.args, &self.environment, self.http, &self.log);
    }

    /// Where its probes are served.
    pub fn http(&self) -> SocketAddr {
        self.http
    }

    /// Everything it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The status and the body of what it answers on `path`.
    pub fn get(&self, path: &str) -> io::Result<(u16, String)> {
        http_get(self.http, path)
    }

    /// Whether it is ready, and what it says about that; `None` if it does not answer.
    pub fn readiness(&self) -> Option<(bool, Value)> {
        let (status, body) = self.get("/readyz").ok()?;
        Some((status == 200, serde_json::from_str(&body).ok()?))
    }

    /// The value of the metric `name`, with its labels as they are written, if any.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let (_, text) = self.get("/metrics").ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        line.trim().parse().ok()
    }

    /// How long it has used a processor until now.
    pub fn cpu_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        // The fields after the name, which stands in brackets; user and system time are the 14th and 15th of all.
        let fields = stat.rsplit_once(") ").map(|(_, fields)| fields).unwrap_or_default();
        let ticks: u64 = fields.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        Duration::from_millis(ticks * 10)
    }

    /// Waits until `condition` holds, as long as the process lives.
    pub fn wait_until(&mut self, what: &str, mut condition: impl FnMut(&Self) -> bool) {
        let started = Instant::now();
        while !condition(self) {
            assert!(!self.has_ended(), "{} ended before {what}", self.name);
            assert!(started.elapsed() < TIMEOUT, "{} never came to {what}", self.name);
            std::thread::sleep(POLL);
        }
    }

    /// Waits until it says that it is ready.
    pub fn wait_until_ready(&mut self) {
        self.wait_until("being ready", |process| process.readiness().is_some_and(|(ready, _)| ready));
    }

    /// Sends a signal: `TERM`, `STOP`, `CONT`.
    pub fn signal(&self, signal: &str) {
        let sent = Command::new("kill").args([&format!("-{signal}"), &self.child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "{} gets no {signal}", self.name);
    }

    /// Kills it, as `kill -9`, and waits until it is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits until it has ended by itself.
    pub fn wait(&mut self) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return status;
            }
            assert!(started.elapsed() < TIMEOUT, "{} does not end", self.name);
            std::thread::sleep(POLL);
        }
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            let mut tail = String::new();
            for line in lines.iter().skip(lines.len().saturating_sub(TAIL_LINES)) {
                let _ = writeln!(tail, "  {line}");
            }
            eprintln!("the log of {} ended with\n{tail}", self.name);
        }
    }
}

/// The program that the same build has made next to the tests.
pub fn program() -> PathBuf {
    let tests = std::env::current_exe().expect("the tests' path");
    let folder = tests.parent().and_then(Path::parent).expect("the tests lie in deps");
    let program = folder.join("windlass");
    assert!(program.is_file(), "{} is missing: build it with `cargo build --workspace --bins`", program.display());
    program
}

/// The program, called as the link `server` to it.
pub fn server(server: &str) -> Command {
    let mut command = Command::new(program());
    command.arg0(server);
    command
}

/// A server's command without what this process's environment says about Windlass.
pub fn server_command(name: &str) -> Command {
    let mut command = server(name);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("WINDLASS_")) {
        command.env_remove(name);
    }
    command
}

/// An address of this machine that was free just now, and that nobody gets who asks the system for any port: clients and
/// servers of other tests do all the time.
pub fn free_address() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let next = std::process::id().wrapping_mul(100).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = PORTS.start + u16::try_from(next % u32::from(PORTS.end - PORTS.start)).unwrap_or_default();
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            return listener.local_addr().expect("its address");
        }
    }
}

/// The status and the body of the answer to a GET.
pub fn http_get(address: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_TIMEOUT)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| io::Error::other("no HTTP"))?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    status.map(|status| (status, body.to_owned())).ok_or_else(|| io::Error::other("no status"))
}

fn spawn(server: &str, args: &[String], environment: &[(String, String)], http: SocketAddr, log: &Path) -> Child {
    let output = File::options().create(true).append(true).open(log).expect("the log can be written");
    let errors = output.try_clone().expect("the log can be shared");
    server_command(server)
        .args(args)
        .arg(format!("--http-bind={http}"))
        .envs(environment.iter().cloned())
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .spawn()
        .expect("the server starts")
}

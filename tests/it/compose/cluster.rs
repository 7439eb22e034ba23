//! The containers of a test, and operations on them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use windlass_tests::{Requirement, skip};

use super::eventually;

pub(super) const FIRST: &str = "executor-1";
pub(super) const SECOND: &str = "executor-2";
pub(super) const EXECUTORS: [&str; 2] = [FIRST, SECOND];
pub(super) const SCHEDULER: &str = "scheduler";

/// The Compose projects of tests, by which those of tests that were killed before they could clean up are found, too.
const PREFIX: &str = "windlass-test-";

/// A cluster, which is removed with its data when it is dropped. There is one at a time: two cores are not enough for
/// more.
pub(super) struct Cluster {
    project: String,
    _alone: MutexGuard<'static, ()>,
}

fn output(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// The output of a command that must succeed.
#[track_caller]
fn stdout_of(command: &mut Command) -> String {
    let output = output(command);
    let reported = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{}\n{reported}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A command in docker/.
fn script(name: &str, project: &str) -> Command {
    let mut command = Command::new(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docker").join(name));
    command.env("COMPOSE_PROJECT_NAME", project).env("COMPOSE_FILES", "compose.test.yaml");
    // Any port that is free.
    command.env("API_PORT", "0").env("HTTP_PORT", "0");
    command
}

fn docker(args: &[&str]) -> String {
    stdout_of(Command::new("docker").args(args))
}

/// Whether containers can be started; if not, the test is [skipped](skip).
fn is_on() -> bool {
    if std::env::var_os("WINDLASS_COMPOSE").is_none_or(|value| value != "1") {
        skip(Requirement::Compose, "the container tests are run by `make compose-test`");
        return false;
    }
    let engine = Command::new("docker").arg("info").output();
    if !engine.is_ok_and(|output| output.status.success()) {
        skip(Requirement::Compose, "there is no container engine");
        return false;
    }
    true
}

/// Removes the leftovers of tests whose process is dead.
fn tidy_up_after_the_killed() {
    let projects = docker(&["ps", "--all", "--format", "{{.Label \"com.docker.compose.project\"}}"]);
    let mut projects: Vec<&str> = projects.lines().filter(|project| project.starts_with(PREFIX)).collect();
    projects.sort_unstable();
    projects.dedup();
    for project in projects {
        let process = project[PREFIX.len()..].split('-').next().unwrap_or_default();
        if !Path::new("/proc").join(process).exists() {
            output(script("compose.sh", project).args(["down", "--volumes", "--timeout", "1"]));
        }
    }
}

impl Cluster {
    /// A cluster with `executors` of [`EXECUTORS`]; none, with a message, where containers cannot be started.
    pub(super) fn start(executors: &[&str]) -> Option<Self> {
        static ONE: Mutex<()> = Mutex::new(());
        static TIDY: Once = Once::new();
        static COUNT: AtomicU32 = AtomicU32::new(0);
        if !is_on() {
            return None;
        }
        let alone = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        TIDY.call_once(tidy_up_after_the_killed);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let cluster = Self { project: format!("{PREFIX}{}-{number}", std::process::id()), _alone: alone };
        stdout_of(script("up.sh", &cluster.project).args(executors));
        cluster.has_executors(executors.len());
        Some(cluster)
    }

    /// Starts a further service.
    pub(super) fn add(&self, service: &str) {
        stdout_of(script("compose.sh", &self.project).args(["up", "--detach", "--no-deps", service]));
    }

    fn container(&self, service: &str) -> String {
        let project = format!("label=com.docker.compose.project={}", self.project);
        let service_filter = format!("label=com.docker.compose.service={service}");
        let found = docker(&["ps", "--all", "--quiet", "--filter", &project, "--filter", &service_filter]);
        assert!(!found.is_empty() && !found.contains('\n'), "containers of {service}: `{found}`");
        found
    }

    /// The address of the scheduler's API. It changes when the scheduler is restarted.
    pub(super) fn address(&self) -> String {
        let ports = docker(&["port", &self.container(SCHEDULER), "50051/tcp"]);
        format!("http://{}", ports.lines().next().expect("the API's port is published"))
    }

    /// Puts the files of a folder into the cluster's storage.
    pub(super) fn put(&self, folder: &Path, url: &str) {
        let folder = folder.canonicalize().unwrap();
        let volume = format!("{}:/source:ro", folder.display());
        let args = ["run", "--rm", "--no-deps", "--volume", &volume, "put", "/source", url];
        stdout_of(script("compose.sh", &self.project).args(args));
    }

    /// Ends a service's process at once, as a crash or a lost machine does. The container stays down.
    pub(super) fn kill(&self, service: &str) {
        docker(&["kill", "--signal", "KILL", &self.container(service)]);
    }

    /// Starts a container that was killed.
    pub(super) fn start_again(&self, service: &str) {
        docker(&["start", &self.container(service)]);
    }

    /// Restarts a service's process gracefully.
    pub(super) fn restart(&self, service: &str) {
        docker(&["restart", "--time", "45", &self.container(service)]);
    }

    fn network(&self) -> String {
        format!("{}_engine", self.project)
    }

    /// Disconnects a service from the network; its process continues and is not notified.
    pub(super) fn cut_off(&self, service: &str) {
        docker(&["network", "disconnect", &self.network(), &self.container(service)]);
    }

    /// Reverts [`Self::cut_off`].
    pub(super) fn connect(&self, service: &str) {
        docker(&["network", "connect", "--alias", service, &self.network(), &self.container(service)]);
    }

    /// The response of a service to `path` at `port`, requested from within its own container, which needs no network.
    fn get(&self, service: &str, port: u16, path: &str) -> Option<String> {
        let ask = format!(
            "exec 3<>/dev/tcp/127.0.0.1/{port} && printf 'GET {path} HTTP/1.0\\r\\nHost: localhost\\r\\n\\r\\n' >&3 && cat <&3"
        );
        let output = output(Command::new("docker").args(["exec", &self.container(service), "bash", "-c", &ask]));
        let answer = String::from_utf8_lossy(&output.stdout).into_owned();
        let (head, body) = answer.split_once("\r\n\r\n")?;
        (output.status.success() && head.lines().next()?.contains(" 200 ")).then(|| body.to_owned())
    }

    /// The sum of a metric's samples that have `label` (as `name="value"`; all with an empty one), if the service answers.
    pub(super) fn metric(&self, service: &str, name: &str, label: &str) -> Option<u64> {
        let text = self.get(service, 8080, "/metrics")?;
        let samples = text.lines().filter(|line| {
            line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']) && rest.contains(label))
        });
        samples.map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).map(|value| value.map(|v| v as u64)).sum()
    }

    /// How many tasks run on an executor.
    pub(super) fn tasks_running(&self, executor: &str) -> u64 {
        self.metric(executor, "windlass_executor_tasks_running", "").unwrap_or(0)
    }

    /// How many tasks have succeeded on an executor.
    pub(super) fn tasks_done(&self, executor: &str) -> u64 {
        self.metric(executor, "windlass_executor_tasks_total", "outcome=\"succeeded\"").unwrap_or(0)
    }

    /// Waits until the scheduler counts the given number of executors.
    pub(super) fn has_executors(&self, number: usize) {
        eventually(&format!("{number} executors"), || {
            (self.metric(SCHEDULER, "windlass_executors", "")? == number as u64).then_some(())
        });
    }

    /// The names of the objects below `prefix` in the cluster's bucket.
    pub(super) fn objects(&self, prefix: &str) -> Vec<String> {
        let listing = self.get("storage", 4566, &format!("/windlass?list-type=2&prefix={prefix}")).unwrap_or_default();
        let keys = listing.split("<Key>").skip(1);
        keys.filter_map(|key| key.split("</Key>").next()).map(str::to_owned).collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let logs = output(script("compose.sh", &self.project).args(["logs", "--no-color", "--tail", "60"]));
            println!("{}", String::from_utf8_lossy(&logs.stdout));
        }
        output(script("compose.sh", &self.project).args(["down", "--volumes", "--timeout", "1"]));
    }
}

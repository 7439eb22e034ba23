//! Real etcd servers on this machine for one test.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::processes::{free_address, http_get};
use crate::requirements::{Requirement, skip};

/// Runs the command of its arguments until that ends, or until the test's end of its standard input is closed, for example
/// because the test was killed.
const SERVE: &str = r#"
exec 3<&0
"$@" </dev/null &
server=$!
(cat <&3 >/dev/null; kill -9 "$server") &
wait "$server"
"#;
/// How long the servers may take to answer.
const TIMEOUT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);
/// How often free ports are tried, in case another process takes one at the last moment.
const PORT_ATTEMPTS: usize = 5;

/// An etcd of one or more members, each a process. It ends when this is dropped.
#[derive(Debug)]
pub struct EtcdServers {
    members: Vec<Member>,
    cluster: String,
    folder: TempDir,
}

#[derive(Debug)]
struct Member {
    name: String,
    clients: SocketAddr,
    peers: SocketAddr,
    process: Option<Child>,
}

impl EtcdServers {
    /// Starts an etcd of so many members and returns when all of them answer. Where the program is missing, `None`: the test
    /// is [skipped](skip).
    pub fn start(members: usize) -> Option<Self> {
        if program().is_none() {
            skip(Requirement::Etcd, "no etcd; see scripts/test-etcd.sh");
            return None;
        }
        let started = (0..PORT_ATTEMPTS).find_map(|_| Self::try_start(members));
        Some(started.expect("etcd starts"))
    }

    fn try_start(members: usize) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let member =
            |at| Member { name: format!("member-{at}"), clients: free_address(), peers: free_address(), process: None };
        let members: Vec<Member> = (0..members).map(member).collect();
        let peers = members.iter().map(|member| format!("{}=http://{}", member.name, member.peers));
        let cluster = peers.collect::<Vec<_>>().join(",");
        let mut servers = Self { members, cluster, folder };
        for at in 0..servers.members.len() {
            servers.spawn(at);
        }
        (0..servers.members.len()).all(|at| servers.answers(at)).then_some(servers)
    }

    fn spawn(&mut self, at: usize) {
        let member = &mut self.members[at];
        let (clients, peers) = (format!("http://{}", member.clients), format!("http://{}", member.peers));
        let process = Command::new("sh")
            .args(["-c", SERVE, "sh"])
            .arg(program().expect("it was there when the first member was started"))
            .args(["--name", &member.name, "--initial-cluster", &self.cluster])
            .args(["--listen-client-urls", &clients, "--advertise-client-urls", &clients])
            .args(["--listen-peer-urls", &peers, "--initial-advertise-peer-urls", &peers])
            .arg("--data-dir")
            .arg(self.folder.path().join(&member.name))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        member.process = Some(process.expect("a shell starts"));
    }

    /// Waits until a member answers; false if it ends instead.
    fn answers(&mut self, at: usize) -> bool {
        let member = &mut self.members[at];
        let started = Instant::now();
        while !http_get(member.clients, "/health").is_ok_and(|(_, body)| body.contains("\"true\"")) {
            let process = member.process.as_mut().expect("it was started");
            if process.try_wait().expect("the process of a member").is_some() {
                return false;
            }
            assert!(started.elapsed() < TIMEOUT, "etcd does not answer");
            std::thread::sleep(POLL);
        }
        true
    }

    /// How many members it has.
    pub fn members(&self) -> usize {
        self.members.len()
    }

    /// The servers as `host:port,host:port`.
    pub fn hosts(&self) -> String {
        self.members.iter().map(|member| member.clients.to_string()).collect::<Vec<_>>().join(",")
    }

    /// Kills a member, as `kill -9`, and waits until it is gone.
    pub fn kill(&mut self, at: usize) {
        if let Some(mut process) = self.members[at].process.take() {
            drop(process.stdin.take());
            let _ = process.wait();
        }
    }

    /// Starts a member that was killed, with the data that it had, and waits until it answers.
    pub fn restart(&mut self, at: usize) {
        assert!(self.members[at].process.is_none(), "the member still runs");
        self.spawn(at);
        assert!(self.answers(at), "etcd does not start again");
    }
}

impl Drop for EtcdServers {
    fn drop(&mut self) {
        for at in 0..self.members.len() {
            self.kill(at);
        }
    }
}

/// The program, where the machine has it.
fn program() -> Option<&'static PathBuf> {
    static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();
    let find = || {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).map(|folder| folder.join("etcd")).find(|program| program.is_file())
    };
    PROGRAM.get_or_init(find).as_ref()
}

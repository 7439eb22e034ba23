//! A real S3 server on this machine for one test.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;

use crate::processes::free_address;
use crate::requirements::{Requirement, skip};

/// Serves until the test's end of its standard input is closed, for example because the test was killed.
const SERVE: &str = "
import os, sys, threading
def leave_with_the_test():
    sys.stdin.buffer.read()
    os._exit(0)
threading.Thread(target=leave_with_the_test, daemon=True).start()
from hypercorn.__main__ import main
sys.exit(main())
";
/// The bucket that every server has.
const BUCKET: &str = "lake";
/// How long the server may take to answer.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How often a free port is tried, in case another process takes it at the last moment.
const PORT_ATTEMPTS: usize = 5;

/// An S3 server with one empty bucket. It keeps objects in memory, accepts any credentials, and ends when this is
/// dropped.
#[derive(Debug)]
pub struct StorageServer {
    process: Child,
    address: SocketAddr,
}

impl StorageServer {
    /// Starts a server. Where it cannot be installed, `None`: the test is [skipped](skip).
    pub fn start() -> Option<Self> {
        let Some(python) = python() else {
            skip(Requirement::S3, "the S3 server cannot be installed; see scripts/test-storage.sh");
            return None;
        };
        let started = (0..PORT_ATTEMPTS).find_map(|_| Self::start_on(python, free_address().port()));
        Some(started.expect("the S3 server starts"))
    }

    fn start_on(python: &Path, port: u16) -> Option<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let process = Command::new(python)
            .args(["-c", SERVE, "--workers", "0", "--bind", &address.to_string(), "ministack.app:app"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the S3 server's process starts");
        let mut server = Self { process, address };
        let started = Instant::now();
        while !server.makes_bucket() {
            if server.process.try_wait().expect("the S3 server's process").is_some() {
                return None;
            }
            assert!(started.elapsed() < TIMEOUT, "the S3 server does not answer");
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(server)
    }

    fn makes_bucket(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(self.address) else { return false };
        let request = format!(
            "PUT /{BUCKET} HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            self.address
        );
        let mut answer = String::new();
        stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_string(&mut answer)).is_ok()
            && answer.starts_with("HTTP/1.1 200")
    }

    /// Where the server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of `path` in the server's bucket.
    pub fn url(&self, path: &str) -> String {
        format!("s3://{BUCKET}/{path}")
    }

    /// What a process needs in its environment to use the server.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        environment(self.address)
    }

    /// The server's bucket as a store for the test itself.
    pub fn store(&self) -> Arc<dyn ObjectStore> {
        let store = AmazonS3Builder::new()
            .with_bucket_name(BUCKET)
            .with_region("us-east-1")
            .with_endpoint(format!("http://{}", self.address))
            .with_allow_http(true)
            .with_access_key_id("test")
            .with_secret_access_key("test")
            .build();
        Arc::new(store.expect("a store"))
    }
}

impl Drop for StorageServer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// What a process needs in its environment to use the S3 server at `address`.
pub(crate) fn environment(address: SocketAddr) -> Vec<(&'static str, String)> {
    [
        ("AWS_ENDPOINT_URL", format!("http://{address}")),
        ("AWS_ALLOW_HTTP", "true".to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ACCESS_KEY_ID", "test-key-of-the-server".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "test-secret-of-the-server".to_owned()),
    ]
    .into()
}

/// The Python that has the server, installed once if that is possible.
fn python() -> Option<&'static PathBuf> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    PYTHON
        .get_or_init(|| {
            let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/test-storage.sh");
            let output = Command::new(script).output().ok().filter(|output| output.status.success())?;
            let path = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
            path.is_file().then_some(path)
        })
        .as_ref()
}

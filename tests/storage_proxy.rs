//! A proxy in front of an object store that answers some requests itself.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use crate::storage_server::environment;

/// A request as the proxy sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProxiedRequest {
    /// The method, such as `GET`.
    pub method: String,
    /// The path with its query, such as `/lake/tables/t?list-type=2`.
    pub target: String,
}

/// What the proxy says instead of the server.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status, such as `503 Service Unavailable`.
    pub status: &'static str,
    /// The XML of the error.
    pub body: String,
    /// Whether the server gets the request all the same, and only its reply is lost.
    pub after_server: bool,
}

impl Answer {
    /// The server is busy: what S3 says when it wants less of a client.
    pub fn busy() -> Self {
        let body = "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>".to_owned();
        Self { status: "503 Service Unavailable", body, after_server: false }
    }

    /// The server did what it was asked to, but the reply is lost on the way.
    pub fn lost() -> Self {
        Self { after_server: true, ..Self::busy() }
    }

    /// The credentials are wrong. As S3 does, the answer repeats the access key's id.
    pub fn forbidden(access_key: &str) -> Self {
        let body = format!(
            "<Error><Code>InvalidAccessKeyId</Code><Message>The AWS Access Key Id you provided does not exist in our \
             records.</Message><AWSAccessKeyId>{access_key}</AWSAccessKeyId></Error>"
        );
        Self { status: "403 Forbidden", body, after_server: false }
    }
}

type Policy = dyn Fn(&ProxiedRequest) -> Option<Answer> + Send + Sync;

/// A proxy on a free port of this machine. It stops taking requests when it is dropped.
pub struct StorageProxy {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
    /// Every request, and whether the proxy answered it.
    seen: Arc<Mutex<Vec<(ProxiedRequest, bool)>>>,
}

impl StorageProxy {
    /// A proxy before `server`. The client of a request that `policy` has an answer for gets no other.
    pub fn start(
        server: SocketAddr,
        policy: impl Fn(&ProxiedRequest) -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("its address");
        let (stopped, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let policy: Arc<Policy> = Arc::new(policy);
        let (stop, requests) = (Arc::clone(&stopped), Arc::clone(&seen));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(client) = client else { continue };
                let (policy, requests) = (Arc::clone(&policy), Arc::clone(&requests));
                // A client that goes away ends its thread with an error that nobody needs.
                std::thread::spawn(move || serve(&client, server, policy.as_ref(), &requests));
            }
        });
        Self { address, stopped, seen }
    }

    /// What a process needs in its environment to use the server through the proxy.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        environment(self.address)
    }

    /// Every request so far, and whether the proxy answered it.
    pub fn seen(&self) -> Vec<(ProxiedRequest, bool)> {
        self.seen.lock().clone()
    }
}

impl Drop for StorageProxy {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for clients.
        let _ = TcpStream::connect(self.address);
    }
}

/// Handles one request; the connection ends with it.
fn serve(
    client: &TcpStream,
    server: SocketAddr,
    policy: &Policy,
    requests: &Mutex<Vec<(ProxiedRequest, bool)>>,
) -> std::io::Result<()> {
    let mut from_client = BufReader::new(client);
    let mut head = Vec::new();
    let mut length = 0;
    loop {
        let mut line = String::new();
        if from_client.read_line(&mut line)? == 0 {
            return Ok(());
        }
        if line == "\r\n" {
            break;
        }
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap_or_default();
        }
        if !lower.starts_with("connection:") {
            head.push(line);
        }
    }
    let mut body = vec![0; length];
    from_client.read_exact(&mut body)?;
    let mut words = head.first().map(String::as_str).unwrap_or_default().split_whitespace().map(str::to_owned);
    let request = ProxiedRequest { method: words.next().unwrap_or_default(), target: words.next().unwrap_or_default() };
    let answer = policy(&request);
    requests.lock().push((request, answer.is_some()));
    let mut to_client = client;
    let mut from_server: Box<dyn Read> = match &answer {
        Some(answer) if !answer.after_server => Box::new(std::io::empty()),
        _ => {
            let mut upstream = TcpStream::connect(server)?;
            head.push("Connection: close\r\n\r\n".to_owned());
            upstream.write_all(head.concat().as_bytes())?;
            upstream.write_all(&body)?;
            Box::new(upstream)
        }
    };
    match answer {
        None => std::io::copy(&mut from_server, &mut to_client).map(drop)?,
        Some(Answer { status, body, .. }) => {
            std::io::copy(&mut from_server, &mut std::io::sink())?;
            let length = body.len();
            write!(
                to_client,
                "HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nContent-Length: {length}\r\nConnection: \
                 close\r\n\r\n{body}"
            )?;
        }
    }
    to_client.shutdown(std::net::Shutdown::Both)
}

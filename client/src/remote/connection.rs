//! The connection to a scheduler, and calls that are retried when the connection is lost or another scheduler leads.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::time::Instant;
use tonic::metadata::MetadataValue;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status};
use windlass_api::v1::windlass_service_client::WindlassServiceClient;
use windlass_api::v1::{GetServerInfoRequest, GetServerInfoResponse};
use windlass_api::{API_HEADER, API_MESSAGE_BYTES, API_VERSION, DecodedStatus, Standby, decode_status};
use windlass_project::spec::ProjectFiles;

use crate::error::ClientError;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const KEEPALIVE: Duration = Duration::from_secs(20);
/// Where there is another scheduler to turn to, one that is silent is left sooner.
const KEEPALIVE_OF_SEVERAL: Duration = Duration::from_secs(5);
/// The first delay between two attempts; it doubles up to the maximum.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// How long a connection that is refused is tried again: nothing listens at the address.
const REFUSED: Duration = Duration::from_secs(1);

/// The timeouts of a client.
#[derive(Debug, Clone, Copy)]
pub struct ConnectOptions {
    /// The timeout for the first answer of the scheduler. If the connection is refused, it is one second at most.
    pub start: Duration,
    /// How long a scheduler that has answered may be unavailable: calls are retried, and runs are followed again, if it
    /// returns in time. A run that a full queue refuses is submitted again for as long.
    pub away: Duration,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        Self { start: Duration::from_secs(10), away: Duration::from_secs(60) }
    }
}

type VersionHeader = fn(Request<()>) -> Result<Request<()>, Status>;

/// The channel that every call of this library goes through.
pub(super) type ApiChannel = InterceptedService<Channel, VersionHeader>;

/// The calls of the API.
pub(super) type Api = WindlassServiceClient<ApiChannel>;

/// A connection to a scheduler, or to the one of several that leads. Clones share it; it is re-established automatically.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    /// The addresses that the user has given.
    urls: Arc<[String]>,
    current: Arc<RwLock<Current>>,
    options: ConnectOptions,
}

/// The scheduler that calls go to.
#[derive(Debug)]
struct Current {
    url: String,
    channel: Channel,
    /// Addresses that a standby has named, and at which nobody answers from here.
    unreachable: BTreeSet<String>,
}

impl Connection {
    /// Connects to the first of `urls`, separated by commas, that answers, and checks that it is a scheduler with the same
    /// API version.
    pub(super) async fn open(urls: &str, options: ConnectOptions) -> Result<Self, ClientError> {
        let urls: Arc<[String]> = urls.split(',').map(|url| url.trim().to_owned()).collect();
        let is_one = urls.len() == 1;
        let endpoints = urls.iter().map(|url| endpoint(url, is_one)).collect::<Result<Vec<_>, _>>()?;
        let (at, channel) = connect_to_any(&urls, &endpoints, options).await?;
        let url = urls.get(at).cloned().unwrap_or_default();
        let current = Arc::new(RwLock::new(Current { url, channel, unreachable: BTreeSet::new() }));
        let connection = Self { urls, current, options };
        let info = match is_one {
            true => connection.server_info().await?,
            false => {
                let ask = |mut api: Api| async move { api.get_server_info(GetServerInfoRequest {}).await };
                connection.call(&ProjectFiles::new(), ask).await?
            }
        };
        if info.api_versions.contains(&API_VERSION) {
            return Ok(connection);
        }
        let spoken: Vec<String> = info.api_versions.iter().map(ToString::to_string).collect();
        Err(connection.not_windlass(format!("it speaks version {} of the API", spoken.join(", "))))
    }

    /// What the scheduler says of itself.
    pub(super) async fn server_info(&self) -> Result<GetServerInfoResponse, ClientError> {
        match self.api().get_server_info(GetServerInfoRequest {}).await {
            Ok(info) => Ok(info.into_inner()),
            Err(status) => Err(self.to_client_error(status, &ProjectFiles::new())),
        }
    }

    /// The channel, for other services at the same address.
    pub(super) fn channel(&self) -> ApiChannel {
        InterceptedService::new(self.current.read().channel.clone(), add_version_header as VersionHeader)
    }

    /// The calls of the API.
    pub(super) fn api(&self) -> Api {
        WindlassServiceClient::new(self.channel())
            .max_decoding_message_size(API_MESSAGE_BYTES)
            .max_encoding_message_size(API_MESSAGE_BYTES)
    }

    /// How long the scheduler may be unavailable.
    pub(super) fn reconnect_timeout(&self) -> Duration {
        self.options.away
    }

    /// Whether a call that failed may succeed when it is made again: the connection was lost, or another scheduler leads.
    /// Waits a moment then, and turns to another scheduler if there is one; `false` after the timeout.
    pub(super) async fn recovers(&self, status: &Status, retry: &mut Retry) -> bool {
        let standby = Standby::of(status);
        if (standby.is_none() && !is_lost(status)) || !retry.pause().await {
            return false;
        }
        self.turn_from(standby);
        true
    }

    /// Turns to the scheduler that a standby has named, or to the next one.
    fn turn_from(&self, standby: Option<Standby>) {
        let mut current = self.current.write();
        let is_given = |url: &String| self.urls.contains(url);
        if standby.is_none() && !is_given(&current.url) {
            let url = current.url.clone();
            current.unreachable.insert(url);
        }
        let named = standby.and_then(|standby| standby.leader);
        let named = named.filter(|url| self.urls.len() == 1 || is_given(url) || !current.unreachable.contains(url));
        let next = named.unwrap_or_else(|| {
            let at = self.urls.iter().position(|url| *url == current.url);
            let at = at.map_or(0, |at| (at + 1) % self.urls.len());
            self.urls.get(at).cloned().unwrap_or_default()
        });
        if next == current.url {
            return;
        }
        // One that a standby has named may be no address.
        if let Ok(endpoint) = endpoint(&next, self.urls.len() == 1) {
            tracing::debug!(from = %current.url, to = %next, "turning to another scheduler");
            current.channel = endpoint.connect_lazy();
            current.url = next;
        }
    }

    /// Makes a call that must not be made twice: it is made again only if a standby has refused it.
    pub(super) async fn call_once<T, F, A>(&self, files: &ProjectFiles, call: F) -> Result<T, ClientError>
    where
        F: Fn(Api) -> A,
        A: Future<Output = Result<Response<T>, Status>>,
    {
        let mut retry = Retry::new(self.options.away);
        loop {
            match call(self.api()).await {
                Ok(answer) => return Ok(answer.into_inner()),
                Err(status) if Standby::of(&status).is_some() && self.recovers(&status, &mut retry).await => {}
                Err(status) => return Err(self.to_client_error(status, files)),
            }
        }
    }

    /// Makes a call, and retries it while the connection is lost. `files` are the client's files, for showing problems.
    pub(super) async fn call<T, F, A>(&self, files: &ProjectFiles, call: F) -> Result<T, ClientError>
    where
        F: Fn(Api) -> A,
        A: Future<Output = Result<Response<T>, Status>>,
    {
        self.call_while(files, false, call).await
    }

    /// As [`Connection::call`]; it is also retried while the scheduler's queue is full.
    pub(super) async fn call_until_room<T, F, A>(&self, files: &ProjectFiles, call: F) -> Result<T, ClientError>
    where
        F: Fn(Api) -> A,
        A: Future<Output = Result<Response<T>, Status>>,
    {
        self.call_while(files, true, call).await
    }

    async fn call_while<T, F, A>(&self, files: &ProjectFiles, waits_for_room: bool, call: F) -> Result<T, ClientError>
    where
        F: Fn(Api) -> A,
        A: Future<Output = Result<Response<T>, Status>>,
    {
        let mut retry = Retry::new(self.options.away);
        loop {
            match call(self.api()).await {
                Ok(answer) => return Ok(answer.into_inner()),
                Err(status) if self.recovers(&status, &mut retry).await => {}
                Err(status) if waits_for_room && is_full(&status) && retry.pause().await => {}
                Err(status) => return Err(self.to_client_error(status, files)),
            }
        }
    }

    /// Converts a status to an error that a user can act upon.
    pub(super) fn to_client_error(&self, status: Status, files: &ProjectFiles) -> ClientError {
        match decode_status(status, files) {
            DecodedStatus::Project(problems) => ClientError::Project(problems),
            DecodedStatus::PlanMoved(moved) => ClientError::PlanMoved(moved),
            DecodedStatus::Failure(failure) => ClientError::Remote(failure),
            DecodedStatus::Foreign(status) if is_lost(&status) => {
                ClientError::Unreachable { url: self.urls.join(", "), source: Box::new(status) }
            }
            DecodedStatus::Foreign(status) => self.not_windlass(status.message().to_owned()),
        }
    }

    pub(super) fn unreadable_answer(&self, what: &str, error: &dyn std::error::Error) -> ClientError {
        self.not_windlass(format!("{what} cannot be read: {error}"))
    }

    fn not_windlass(&self, answer: String) -> ClientError {
        ClientError::NotWindlass { url: self.current.read().url.clone(), answer }
    }
}

/// Connects to the first of the addresses that can be connected to: its place among them, and the channel.
async fn connect_to_any(
    urls: &[String],
    endpoints: &[Endpoint],
    options: ConnectOptions,
) -> Result<(usize, Channel), ClientError> {
    let began = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        let mut failed = None;
        let mut patience = options.start.min(REFUSED);
        for (at, endpoint) in endpoints.iter().enumerate() {
            match endpoint.connect().await {
                Ok(channel) => return Ok((at, channel)),
                Err(source) => {
                    if !is_refused(&source) {
                        patience = options.start;
                    }
                    failed = Some(source);
                }
            }
        }
        if let Some(source) = failed
            && Instant::now() + pause > began + patience
        {
            return Err(ClientError::Unreachable { url: urls.join(", "), source: Box::new(source) });
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(MAX_PAUSE);
    }
}

/// Whether nothing listens at the address, or there is no such host.
fn is_refused(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source()).any(|error| {
        let refused = |error: &std::io::Error| error.kind() == std::io::ErrorKind::ConnectionRefused;
        error.downcast_ref().is_some_and(refused) || error.to_string().starts_with("dns error")
    })
}

/// Retries with increasing delays, until the timeout.
pub(super) struct Retry {
    deadline: Instant,
    pause: Duration,
}

impl Retry {
    pub(super) fn new(patience: Duration) -> Self {
        Self { deadline: Instant::now() + patience, pause: FIRST_PAUSE }
    }

    /// Waits; `false` after the timeout.
    async fn pause(&mut self) -> bool {
        if Instant::now() + self.pause > self.deadline {
            return false;
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(MAX_PAUSE);
        true
    }
}

/// Whether a status is about the connection and not about the call: no Windlass scheduler has answered.
fn is_lost(status: &Status) -> bool {
    // Statuses of a Windlass scheduler have details.
    if !status.details().is_empty() {
        return false;
    }
    match status.code() {
        Code::Unavailable => true,
        // A connection that breaks in the middle of a stream results in one of these, with the transport's error.
        Code::Unknown | Code::Internal | Code::Cancelled => std::error::Error::source(status).is_some(),
        _ => false,
    }
}

/// Whether a call failed because of a queue that has no room just now.
fn is_full(status: &Status) -> bool {
    let is_temporary = |status: &Status| {
        let decoded = decode_status(status.clone(), &ProjectFiles::new());
        matches!(decoded, DecodedStatus::Failure(failure) if failure.retryable)
    };
    status.code() == Code::ResourceExhausted && is_temporary(status)
}

/// The address of a scheduler: the only one, or one of several.
fn endpoint(url: &str, is_one: bool) -> Result<Endpoint, ClientError> {
    let keepalive = if is_one { KEEPALIVE } else { KEEPALIVE_OF_SEVERAL };
    let bad = |reason: &str| ClientError::BadAddress { url: url.to_owned(), reason: reason.to_owned() };
    let parsed = match url::Url::parse(url) {
        // `host:50051` parses as a URL of the scheme `host`.
        Err(url::ParseError::RelativeUrlWithoutBase) => return Err(bad("it must begin with http://")),
        parsed => parsed.map_err(|error| bad(&error.to_string()))?,
    };
    if parsed.scheme() != "http" {
        return Err(bad("it must begin with http://"));
    }
    if parsed.host_str().is_none_or(str::is_empty) {
        return Err(bad("it has no host"));
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(ClientError::BadAddress {
            url: format!("http://{}", parsed.host_str().unwrap_or_default()),
            reason: "an address must not contain credentials".to_owned(),
        });
    }
    let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|error| bad(&error.to_string()))?;
    Ok(endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(keepalive)
        .keep_alive_timeout(keepalive))
}

#[allow(clippy::result_large_err, clippy::unnecessary_wraps)]
fn add_version_header(mut request: Request<()>) -> Result<Request<()>, Status> {
    request.metadata_mut().insert(API_HEADER, MetadataValue::from(API_VERSION));
    Ok(request)
}

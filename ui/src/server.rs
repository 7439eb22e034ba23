//! Serves the pages over HTTP.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;

use crate::error::UiError;
use crate::pages::{self, Content};
use crate::runs::SealedRecords;
use crate::source::RunSource;

/// What a page may load and do: its own style and script, and nothing else from anywhere.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What pages are made from.
pub(crate) struct Site {
    /// The home.
    pub(crate) source: Arc<dyn RunSource>,
    /// The records that were read before.
    pub(crate) sealed: Arc<SealedRecords>,
    /// Whether only this machine can reach the pages.
    is_local: bool,
}

/// Serves the pages at an address.
#[derive(Debug)]
pub struct UiServer {
    listener: TcpListener,
    address: SocketAddr,
}

impl UiServer {
    /// Listens on `address`; port 0 picks a free port.
    ///
    /// # Errors
    /// [`UiError::Listen`].
    pub async fn bind(address: SocketAddr) -> Result<Self, UiError> {
        let failed = |source| UiError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves the pages of `source` until `stop` is ready, and the answers under way are sent.
    ///
    /// # Errors
    /// [`UiError::Listen`] if no connection can be accepted any more.
    pub async fn serve<F>(self, source: Arc<dyn RunSource>, stop: F) -> Result<(), UiError>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let address = self.address;
        let site = Site { source, sealed: Arc::default(), is_local: address.ip().is_loopback() };
        let router = Router::new().fallback(answer).with_state(Arc::new(site));
        let served = axum::serve(self.listener, router).with_graceful_shutdown(stop).await;
        served.map_err(|source| UiError::Listen { address, source })
    }
}

/// Every address has a page, if only one that says what is wrong.
async fn answer(State(site): State<Arc<Site>>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let content = match check(&site, &method, &headers) {
        Ok(()) => pages::content(&site, uri.path(), uri.query().unwrap_or_default()).await,
        Err(error) => Err(error),
    };
    let (status, kind, text) = match content {
        Ok(Content::Page(html)) => (StatusCode::OK, "text/html; charset=utf-8", html),
        Ok(Content::Asset { kind, text }) => (StatusCode::OK, kind, text.to_owned()),
        Err(error) => {
            if error.status().is_server_error() {
                tracing::warn!(path = uri.path(), %error, "a page cannot be shown");
            }
            (error.status(), "text/html; charset=utf-8", pages::error_page(&error))
        }
    };
    let headers = [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (status, headers, text).into_response()
}

fn check(site: &Site, method: &Method, headers: &HeaderMap) -> Result<(), UiError> {
    if method != Method::GET && method != Method::HEAD {
        return Err(UiError::ReadOnly { method: method.to_string() });
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    // A page of another site cannot read these by giving this machine a name of its own.
    if site.is_local && !is_this_machine(host) {
        return Err(UiError::OtherHost { host: host.to_owned() });
    }
    Ok(())
}

/// Whether a `host` header names this machine from within.
fn is_this_machine(host: &str) -> bool {
    if let Ok(address) = host.parse::<SocketAddr>() {
        return address.ip().is_loopback();
    }
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name.eq_ignore_ascii_case("localhost")
        || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_answered() {
        for host in ["127.0.0.1:4270", "127.0.0.1", "localhost:1", "LOCALHOST", "[::1]:4270", "[::1]"] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in ["", "example.org", "localhost.example.org:4270", "127.0.0.1.example.org", "10.0.0.1:4270"] {
            assert!(!is_this_machine(host), "{host}");
        }
    }
}

//! HTTP connections to stores that give up early on an address at which nothing has ever answered.
//!
//! The client of a store repeats a request for up to a minute when the connection is refused. That is right for a store that
//! restarts; a wrong address or a store that was not started is told after about a second.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};
use parking_lot::Mutex;

/// How long connections are tried again to an address at which nothing has answered yet.
const FIRST_CONTACT: Duration = Duration::from_secs(1);
/// After this time without a refusal, refusals are counted anew.
const FORGOTTEN: Duration = Duration::from_secs(10);

/// Connects as the stores' own clients do, but gives up early at first contact.
#[derive(Debug, Default)]
pub(crate) struct FirstContact;

impl HttpConnector for FirstContact {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(Contact { client, answered: AtomicBool::new(false), refusals: Mutex::default() }))
    }
}

#[derive(Debug)]
struct Contact {
    client: HttpClient,
    /// Whether anything has answered.
    answered: AtomicBool,
    refusals: Mutex<Refusals>,
}

/// The first and the last refusal in a row.
#[derive(Debug, Default)]
struct Refusals(Option<(Instant, Instant)>);

impl Refusals {
    /// Notes a refusal; whether it is time to give up.
    fn note(&mut self, now: Instant) -> bool {
        let first = self.0.filter(|(_, last)| now.duration_since(*last) < FORGOTTEN).map_or(now, |(first, _)| first);
        self.0 = Some((first, now));
        now.duration_since(first) >= FIRST_CONTACT
    }
}

#[async_trait]
impl HttpService for Contact {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        match self.client.execute(request).await {
            Ok(response) => {
                self.answered.store(true, Ordering::Relaxed);
                Ok(response)
            }
            Err(error)
                if error.kind() == HttpErrorKind::Connect
                    && !self.answered.load(Ordering::Relaxed)
                    && self.refusals.lock().note(Instant::now()) =>
            {
                // The client does not repeat a request after an error of this kind.
                Err(HttpError::new(HttpErrorKind::Unknown, error))
            }
            outcome => outcome,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_end_after_a_second_and_are_counted_anew_later() {
        let start = Instant::now();
        let mut refusals = Refusals::default();
        let noted: Vec<bool> = [0, 400, 999, 1_000, 3_000, 20_000, 20_500, 21_000]
            .map(|ms| refusals.note(start + Duration::from_millis(ms)))
            .into();
        assert_eq!(noted, [false, false, false, true, true, false, false, true]);
    }
}

//! What to do about the error of a store, by what is known of its cause.

/// What to do about `error`, if it shows that its cause is a store's address, its bucket or the credentials for it.
pub fn advice(error: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let text = causes.map(ToString::to_string).collect::<Vec<_>>().join("\n");
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if says(&["Connection refused", "dns error"]) {
        return Some(
            "nothing answers at the address of the store: check that it runs, and the endpoint in the environment of this \
             process (AWS_ENDPOINT_URL)",
        );
    }
    if says(&["NoSuchBucket", "The specified bucket does not exist"]) {
        return Some("there is no such bucket at this address: check its name and the endpoint (AWS_ENDPOINT_URL)");
    }
    if says(&["Received redirect without LOCATION", "PermanentRedirect", "AuthorizationHeaderMalformed"]) {
        return Some("set AWS_REGION to the region of the bucket");
    }
    if says(&["InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"]) {
        return Some("the store does not accept the credentials: check them in the environment of this process");
    }
    if says(&["403 Forbidden", "401 Unauthorized", "AccessDenied"]) {
        return Some(
            "the store refuses the request: check the permissions of these credentials for the bucket and prefix",
        );
    }
    None
}

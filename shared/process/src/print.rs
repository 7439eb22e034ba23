//! `--print-config`: the effective settings and their origins.

use super::error::key;
use super::layers::Values;
use super::redact::redacted;

/// The variables that configure object stores. Their values are never shown.
const CREDENTIALS: [&str; 21] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_ALLOW_HTTP",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_SERVICE_ACCOUNT",
    "GOOGLE_SERVICE_ACCOUNT_KEY",
    "AZURE_STORAGE_ACCOUNT_NAME",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_SAS_KEY",
    "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_TENANT_ID",
];

/// The settings as a settings file, each with its origin, and which credentials are set. Without secrets.
pub(super) fn config_text(values: &Values, credentials: &[&str], is_set: &dyn Fn(&str) -> bool) -> String {
    let mut text = String::new();
    for setting in values.settings {
        let name = key(setting.name);
        match values.given(setting.name) {
            Some(given) => {
                let shown = redacted(&given.text);
                let literal = if setting.number { shown } else { toml::Value::String(shown).to_string() };
                text.push_str(&format!("{name} = {literal}  # {}\n", given.origin));
            }
            None => text.push_str(&format!("# {name} =  # default: {}\n", setting.fallback)),
        }
    }
    text.push_str("\n# Credentials, from the environment of the process:\n");
    let mut list = |names: &[&str]| {
        for name in names {
            text.push_str(&format!("# {name}: {}\n", if is_set(name) { "set" } else { "unset" }));
        }
    };
    list(&CREDENTIALS);
    list(credentials);
    text
}

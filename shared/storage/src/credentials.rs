//! Whether the environment has credentials for a store.
//!
//! Without any, the clients of the stores ask the metadata service of a machine in the cloud. Elsewhere nothing answers
//! there, and each request fails only after minutes. So it is found out first whether there is one.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};

/// The variable about credentials from the metadata service of the machine: `on`, `off`, or by default whether it answers.
pub const METADATA_VARIABLE: &str = "WINDLASS_INSTANCE_METADATA";

/// Where the machines of all three clouds reach their metadata service.
const METADATA_SERVICE: (Ipv4Addr, u16) = (Ipv4Addr::new(169, 254, 169, 254), 80);
/// It is next to the machine, and answers at once where there is one.
const METADATA_TIMEOUT: Duration = Duration::from_millis(500);

/// The folder of the Google Cloud command line's credentials, below the home folder.
const GCLOUD_CREDENTIALS: &str = ".config/gcloud/application_default_credentials.json";
/// The file with the profiles of the AWS command line, below the home folder.
const AWS_PROFILES: &str = ".aws/credentials";

/// What to set for a store that the environment has no credentials for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Of Amazon S3 or a compatible store; whether the machine has profiles of the AWS command line.
    S3 {
        /// Whether it has.
        profiles: bool,
    },
    /// Of Google Cloud Storage.
    Google,
    /// Of Azure.
    Azure,
}

impl Missing {
    /// What to do about it.
    pub fn help(self) -> String {
        let set = match self {
            Self::S3 { profiles: true } => {
                "export the profile of the AWS command line (`eval \"$(aws configure export-credentials --format env)\"`), or \
                 set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and AWS_REGION or AWS_ENDPOINT_URL"
            }
            Self::S3 { profiles: false } => {
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and AWS_REGION or AWS_ENDPOINT_URL"
            }
            Self::Google => {
                "set GOOGLE_SERVICE_ACCOUNT_PATH or GOOGLE_APPLICATION_CREDENTIALS, or run `gcloud auth application-default \
                 login`"
            }
            Self::Azure => "set AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or a service principal",
        };
        format!(
            "{set}; the role of a machine in the cloud is taken if its metadata service answers, or {METADATA_VARIABLE}=on"
        )
    }
}

/// Whether the metadata service of the machine is asked for credentials. Waits for it for a moment, once in a process.
pub(crate) fn is_metadata_asked() -> bool {
    static ANSWERS: LazyLock<bool> =
        LazyLock::new(|| TcpStream::connect_timeout(&SocketAddr::from(METADATA_SERVICE), METADATA_TIMEOUT).is_ok());
    match std::env::var(METADATA_VARIABLE).as_deref() {
        Ok("on") => true,
        Ok("off") => false,
        _ => *ANSWERS,
    }
}

fn in_home(path: &str) -> bool {
    std::env::var_os("HOME").is_some_and(|home| Path::new(&home).join(path).is_file())
}

/// What is missing for S3, if anything; `metadata` tells whether the metadata service is asked.
pub(crate) fn missing_for_s3(store: &AmazonS3Builder, metadata: fn() -> bool) -> Option<Missing> {
    use AmazonS3ConfigKey as Key;
    let has = |key: Key| store.get_config_value(&key).is_some();
    let found = has(Key::AccessKeyId)
        || has(Key::SecretAccessKey)
        || (has(Key::WebIdentityTokenFile) && has(Key::RoleArn))
        || has(Key::ContainerCredentialsRelativeUri)
        || (has(Key::ContainerCredentialsFullUri) && has(Key::ContainerAuthorizationTokenFile))
        // Whoever names a metadata service wants it to be asked.
        || has(Key::MetadataEndpoint)
        || is_on(store.get_config_value(&Key::SkipSignature));
    let profiles = || std::env::var_os("AWS_PROFILE").is_some() || in_home(AWS_PROFILES);
    (!found && !metadata()).then(|| Missing::S3 { profiles: profiles() })
}

/// What is missing for Google Cloud Storage, if anything.
pub(crate) fn missing_for_google(store: &GoogleCloudStorageBuilder, metadata: fn() -> bool) -> Option<Missing> {
    use GoogleConfigKey as Key;
    let has = |key: Key| store.get_config_value(&key).is_some();
    let found = has(Key::ServiceAccount)
        || has(Key::ServiceAccountKey)
        || has(Key::ApplicationCredentials)
        || in_home(GCLOUD_CREDENTIALS)
        || is_on(store.get_config_value(&Key::SkipSignature));
    (!found && !metadata()).then_some(Missing::Google)
}

/// What is missing for Azure, if anything.
pub(crate) fn missing_for_azure(store: &MicrosoftAzureBuilder, metadata: fn() -> bool) -> Option<Missing> {
    use AzureConfigKey as Key;
    let has = |key: Key| store.get_config_value(&key).is_some();
    let switched_on = [Key::UseEmulator, Key::UseAzureCli, Key::SkipSignature];
    let found = has(Key::AccessKey)
        || has(Key::SasKey)
        || has(Key::Token)
        || has(Key::ClientSecret)
        || has(Key::FederatedTokenFile)
        || has(Key::FabricSessionToken)
        || has(Key::MsiEndpoint)
        || switched_on.into_iter().any(|key| is_on(store.get_config_value(&key)));
    (!found && !metadata()).then_some(Missing::Azure)
}

/// Whether a switch is on; a builder gives the text of one that is not set too.
pub(crate) fn is_on(value: Option<String>) -> bool {
    value.is_some_and(|value| ["1", "true", "on", "yes", "y"].contains(&value.to_ascii_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_provider_of_credentials_is_enough() {
        use AmazonS3ConfigKey as Key;
        let no: fn() -> bool = || false;
        let with = |settings: &[(Key, &str)]| {
            settings.iter().fold(AmazonS3Builder::new(), |store, (key, value)| store.with_config(*key, *value))
        };
        let enough: [&[(Key, &str)]; 6] = [
            &[(Key::AccessKeyId, "id"), (Key::SecretAccessKey, "key")],
            &[(Key::WebIdentityTokenFile, "/token"), (Key::RoleArn, "role")],
            &[(Key::ContainerCredentialsRelativeUri, "/v2")],
            &[
                (Key::ContainerCredentialsFullUri, "http://169.254.170.23"),
                (Key::ContainerAuthorizationTokenFile, "/t"),
            ],
            &[(Key::MetadataEndpoint, "http://127.0.0.1:1338")],
            &[(Key::SkipSignature, "true")],
        ];
        for settings in enough {
            assert_eq!(missing_for_s3(&with(settings), no), None, "{settings:?}");
        }
        let lacking: [&[(Key, &str)]; 4] =
            [&[], &[(Key::RoleArn, "role")], &[(Key::Region, "eu-west-1")], &[(Key::SkipSignature, "false")]];
        for settings in lacking {
            assert!(matches!(missing_for_s3(&with(settings), no), Some(Missing::S3 { .. })), "{settings:?}");
        }
        assert_eq!(missing_for_azure(&MicrosoftAzureBuilder::new(), no), Some(Missing::Azure));
        assert_eq!(missing_for_azure(&MicrosoftAzureBuilder::new().with_access_key("key"), no), None);
        let store = GoogleCloudStorageBuilder::new().with_service_account_path("/account.json");
        assert_eq!(missing_for_google(&store, no), None);
        assert_eq!(missing_for_s3(&AmazonS3Builder::new(), || true), None);
    }

    #[test]
    fn the_help_names_what_to_set() {
        for (missing, variable) in [
            (Missing::S3 { profiles: false }, "AWS_ACCESS_KEY_ID"),
            (Missing::S3 { profiles: true }, "aws configure export-credentials"),
            (Missing::Google, "GOOGLE_APPLICATION_CREDENTIALS"),
            (Missing::Azure, "AZURE_STORAGE_ACCOUNT_KEY"),
        ] {
            let help = missing.help();
            assert!(help.contains(variable) && help.contains(METADATA_VARIABLE), "{help}");
        }
    }
}

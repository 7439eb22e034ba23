//! The embedded Windlass of tests, on the engine that is asked for.

use windlass_base::config::SessionSettings;
use windlass_client::embedded::{EmbeddedConfig, EngineKind};
use windlass_storage::Location;

/// The variable that chooses the engine, for tests as for the command.
const ENGINE: &str = "WINDLASS_ENGINE";

/// The usual set-up for a project whose home is at `home`. With `WINDLASS_ENGINE=cluster` its plans run in tasks.
pub fn embedded(home: Location, session: SessionSettings) -> EmbeddedConfig {
    let engine = match std::env::var(ENGINE).as_deref() {
        Ok("cluster") => EngineKind::Cluster,
        _ => EngineKind::default(),
    };
    EmbeddedConfig { engine, ..EmbeddedConfig::new(home, session) }
}

//! Where the pages get their runs from.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;
use windlass_base::error::Failure;
use windlass_base::ids::RunId;
use windlass_evidence::bundle::BundleReader;

use crate::project_texts::ProjectTexts;

/// The runs of a home at one moment.
#[derive(Debug)]
pub struct OpenRuns {
    /// Reads the bundles.
    pub bundles: BundleReader,
    /// The active runs.
    pub live: BTreeSet<RunId>,
}

/// A home whose runs are shown. It is asked for each page, so it must hold nothing that a run needs.
#[async_trait]
pub trait RunSource: Send + Sync + 'static {
    /// The runs as of now.
    ///
    /// # Errors
    /// [`Failure`] if the home cannot be read.
    async fn runs(&self) -> Result<OpenRuns, Failure>;

    /// The project as of now: descriptions and queries are not in bundles.
    fn texts(&self) -> Arc<ProjectTexts>;
}

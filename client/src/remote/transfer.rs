//! Sends a project: only files that the scheduler does not have yet.

use std::collections::HashSet;

use bytes::Bytes;
use windlass_api::{digest, manifest, v1};

use super::connection::Connection;
use crate::error::ClientError;
use crate::project::Project;

/// Makes sure that the scheduler has the project's files, and returns the project for requests.
///
/// The scheduler refuses a project that exceeds its limit before anything is sent.
pub(super) async fn send(
    connection: &Connection,
    project: &Project,
    params: &[(String, String)],
) -> Result<v1::Project, ClientError> {
    let files = &project.graph.files;
    let entries = manifest(files);
    let request = v1::FindMissingFilesRequest { files: entries.clone() };
    let missing = connection.call(files, |mut api| {
        let request = request.clone();
        async move { api.find_missing_files(request).await }
    });
    let missing: HashSet<String> = missing.await?.digests.into_iter().collect();
    let contents = files.iter().map(|(_, text)| (digest(text.as_bytes()), text));
    let puts: Vec<v1::PutFilesRequest> = contents
        .filter(|(digest, _)| missing.contains(digest))
        .map(|(digest, text)| v1::PutFilesRequest { digest, content: Bytes::copy_from_slice(text.as_bytes()) })
        .collect();
    if !puts.is_empty() {
        let put = connection.call(files, |mut api| {
            let puts = puts.clone();
            async move { api.put_files(futures::stream::iter(puts)).await }
        });
        put.await?;
    }
    Ok(v1::Project {
        files: entries,
        target: project.graph.target.clone().unwrap_or_default(),
        sources: project.sources.iter().cloned().collect(),
        params: params.iter().cloned().collect(),
    })
}

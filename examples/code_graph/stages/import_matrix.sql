/* windlass
description: Which repository imports which other one, and how often.
tags: { layer: summary, kind: table, semantic_id: summary.import, entity: repo_pair, grain: per_repo_and_repo }
*/
SELECT
    repo,
    imported_repo,
    count(*) AS imports,
    count(DISTINCT file_id) AS files,
    min(confidence) AS confidence
FROM resolved_imports
GROUP BY repo, imported_repo

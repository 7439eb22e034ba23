/* windlass
description: Metrics of each repository.
tags: { layer: summary, kind: table, semantic_id: summary.repo, entity: repo, grain: per_repo }
io:
  constraints:
    resolved_share_is_a_share: resolved_share >= 0 AND resolved_share <= 1
expect:
  - { row_count: { min: 1 }, on_failure: warn }
  - { sql: resolved_calls <= calls, name: a_call_counts_once }
*/
SELECT
    repos.repo,
    files,
    bytes,
    coalesce(definitions, 0) AS definitions,
    coalesce(imports, 0) AS imports,
    coalesce(errors, 0) AS errors,
    coalesce(calls, 0) AS calls,
    coalesce(resolved, 0) AS resolved_calls,
    CASE WHEN calls > 0 THEN coalesce(resolved, 0) / CAST(calls AS DOUBLE) ELSE 0 END AS resolved_share
FROM repos
LEFT JOIN (
    SELECT
        repo,
        count(*) FILTER (WHERE role = 'definition') AS definitions,
        count(*) FILTER (WHERE role = 'call') AS calls,
        count(*) FILTER (WHERE role = 'import') AS imports,
        count(*) FILTER (WHERE role = 'error') AS errors
    FROM syntax
    GROUP BY repo
) AS nodes ON repos.repo = nodes.repo
LEFT JOIN (SELECT repo, count(DISTINCT call_id) AS resolved FROM resolved_calls GROUP BY repo) AS resolved
    ON repos.repo = resolved.repo

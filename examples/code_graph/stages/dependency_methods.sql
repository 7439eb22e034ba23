/* windlass
description: The methods that a repository calls and that its imported packages define.
tags: { layer: semantic, kind: table, semantic_id: code.dependency_method, entity: symbol, grain: per_repo_and_symbol }
*/
SELECT
    repo,
    symbol,
    sum(candidates) AS candidates,
    CASE WHEN sum(candidates) <= $max_candidates THEN array_sort(flatten(array_agg(node_ids))) END AS node_ids
FROM (
    SELECT called.repo, called.symbol, candidates, node_ids
    FROM (SELECT DISTINCT repo, symbol FROM call_sites WHERE is_method) AS called
    JOIN (SELECT DISTINCT repo, '@' || root AS place FROM imports WHERE origin = 'known') AS dependencies
        ON called.repo = dependencies.repo
    JOIN targets ON dependencies.place = targets.place AND called.symbol = targets.symbol
    WHERE targets.holder = '*'
)
GROUP BY repo, symbol

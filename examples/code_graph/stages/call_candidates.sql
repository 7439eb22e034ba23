/* windlass
description: The definitions that a call site may refer to, all from the nearest place that has any.
tags: { layer: semantic, kind: table, semantic_id: code.call_candidate, entity: call, grain: per_call_site }
*/
WITH nearest AS (
    SELECT file_id, symbol, holder, is_method, imported_as, min(rank) AS rank
    FROM call_matches
    GROUP BY file_id, symbol, holder, is_method, imported_as
)
SELECT matches.file_id, matches.symbol, matches.holder, matches.is_method, matches.imported_as, matches.rank, candidates, node_ids
FROM call_matches AS matches
JOIN nearest
    ON matches.file_id = nearest.file_id
    AND matches.symbol = nearest.symbol
    AND matches.holder = nearest.holder
    AND matches.is_method = nearest.is_method
    AND matches.imported_as = nearest.imported_as
    AND matches.rank = nearest.rank
WHERE node_ids IS NOT NULL
UNION ALL
SELECT sites.file_id, sites.symbol, sites.holder, sites.is_method, sites.imported_as, 8 AS rank, candidates, node_ids
FROM call_sites AS sites
LEFT ANTI JOIN nearest
    ON sites.file_id = nearest.file_id
    AND sites.symbol = nearest.symbol
    AND sites.holder = nearest.holder
    AND sites.is_method = nearest.is_method
    AND sites.imported_as = nearest.imported_as
JOIN dependency_methods AS methods ON sites.repo = methods.repo AND sites.symbol = methods.symbol
WHERE sites.is_method AND node_ids IS NOT NULL

/* windlass
description: The calls with the definitions that they may refer to, and the confidence.
tags: { layer: semantic, kind: table, semantic_id: code.resolved_call, entity: call, grain: per_call_and_definition, join_keys: { call_id: code.call, definition_id: code.definition } }
expect:
  - { range: { column: confidence, min: 0, max: 1 } }
  - { not_null: [resolution, candidates] }
*/
-- The confidence falls with the distance of the definitions and with their number. Where a method's name is all that
-- is known, it also falls with the number of packages that have such a method, and with the share of repositories that
-- call one without being able to reach any: those, at least, mean a method of a standard library.
WITH rules (rank, resolution, base, by_name_only) AS (
    VALUES
        (1, 'file', 0.95, false),
        (2, 'repo', 0.8, false),
        (3, 'import', 0.85, false),
        (4, 'package', 0.8, false),
        (5, 'anywhere', 0.5, false),
        (6, 'file method', 0.7, true),
        (7, 'repo method', 0.6, true),
        (8, 'package method', 0.5, true)
)
SELECT call_id, scope_id, repo, definition_id, resolution, candidates, confidence
FROM (
    SELECT
        calls.node_id AS call_id,
        calls.scope_id,
        calls.repo,
        unnest(node_ids) AS definition_id,
        resolution,
        candidates,
        round(base / candidates * CASE WHEN by_name_only THEN certainty ELSE 1 END, 3) AS confidence
    FROM calls
    JOIN call_candidates AS found
        ON calls.file_id = found.file_id
        AND calls.symbol = found.symbol
        AND calls.holder = found.holder
        AND calls.is_method = found.is_method
        AND calls.imported_as = found.imported_as
    JOIN rules ON found.rank = rules.rank
    LEFT JOIN method_certainty ON calls.symbol = method_certainty.symbol
)
WHERE confidence >= $min_confidence

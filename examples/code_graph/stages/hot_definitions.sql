/* windlass
description: The called definitions, with the number and origin of their calls.
tags: { layer: summary, kind: table, semantic_id: summary.definition, entity: definition, grain: per_called_definition, join_keys: { definition_id: code.definition } }
expect:
  - { sql: calls >= calls_of_others, name: some_calls_are_of_others }
*/
-- `expected_calls` counts each call with its confidence, exactly, so that the order of rows makes no difference.
SELECT
    definition_id,
    owner,
    name,
    syntax_kind,
    definitions.repo,
    path,
    start_line AS line,
    sum(calls) AS calls,
    sum(CASE WHEN called.repo <> definitions.repo THEN calls ELSE 0 END) AS calls_of_others,
    count(*) AS caller_repos,
    CAST(sum(expected_calls) AS DOUBLE) AS expected_calls
FROM (
    SELECT definition_id, repo, count(*) AS calls, sum(CAST(confidence AS DECIMAL(9, 3))) AS expected_calls
    FROM resolved_calls
    GROUP BY definition_id, repo
) AS called
JOIN definitions ON called.definition_id = definitions.node_id
JOIN files ON definitions.file_id = files.file_id
GROUP BY definition_id, owner, name, syntax_kind, definitions.repo, path, start_line

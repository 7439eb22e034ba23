/* windlass
description: Further properties of the graph's nodes.
materialize: view
tags: { layer: semantic, kind: view, semantic_id: code.property_row, entity: property, grain: per_node_and_key, join_keys: { node_id: cpg.nodes } }
*/
SELECT node_id, prop['key'] AS key, prop['value'] AS value
FROM (
    SELECT file_id AS node_id, unnest(make_array(
        named_struct('key', 'language', 'value', language),
        named_struct('key', 'module', 'value', module),
        named_struct('key', 'content_hash', 'value', content_hash)
    )) AS prop
    FROM files
    UNION ALL
    SELECT repo_id, named_struct('key', 'package', 'value', package)
    FROM repos
    UNION ALL
    SELECT node_id, unnest(make_array(
        named_struct('key', 'owner', 'value', owner),
        named_struct('key', 'symbol', 'value', symbol)
    ))
    FROM definitions
    UNION ALL
    SELECT node_id, unnest(make_array(
        named_struct('key', 'symbol', 'value', symbol),
        named_struct('key', 'holder', 'value', nullif(holder, ''))
    ))
    FROM calls
)
WHERE prop['value'] IS NOT NULL

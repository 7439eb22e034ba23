/* windlass
description: The syntax nodes from which the graph is built. The only stage that parses.
tags: { layer: normalized, kind: table, semantic_id: code.syntax, entity: syntax_node, grain: per_syntax_node, entity_keys: [node_id], join_keys: { file_id: code.file } }
expect:
  - { accepted_values: { column: role, values: [definition, call, import, error] } }
  - { sql: start_line <= end_line AND start_byte <= end_byte, name: places_are_in_order, on_failure: quarantine }
*/
SELECT
    file_id || ':' || node['node_id'] AS node_id,
    file_id || ':' || node['scope_id'] AS scope_id,
    file_id,
    repo,
    package,
    module,
    folder,
    language,
    node['role'] AS role,
    node['kind'] AS syntax_kind,
    node['name'] AS name,
    node['name_kind'] AS name_kind,
    node['qualifier'] AS qualifier,
    node['owner'] AS owner,
    node['arity'] AS arity,
    node['start_line'] AS start_line,
    node['end_line'] AS end_line,
    node['start_byte'] AS start_byte,
    node['end_byte'] AS end_byte
FROM (
    SELECT
        file_id,
        repo,
        package,
        module,
        folder,
        language,
        unnest(syntax_nodes(content, language, 'definition,call,import,error')) AS node
    FROM files
)

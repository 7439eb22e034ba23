/* windlass
description: What can be called, by the place in which it is searched.
tags: { layer: semantic, kind: table, semantic_id: code.target, entity: definition, grain: per_place_holder_and_symbol }
*/
-- A place is a file, a repository, `@` and a package, whatever its version, or `*`, which is everywhere: there only
-- members of a type can be searched. `candidates` is the number of definitions; the definitions themselves are kept only
-- if there are no more than a call may refer to.
WITH callables AS (
    SELECT
        node_id,
        symbol,
        file_id,
        repo,
        package,
        owner,
        unnest(CASE
            WHEN owner IS NULL THEN array_distinct(make_array('', coalesce(inline_module, module), folder))
            WHEN syntax_kind = 'enum_variant' THEN make_array(owner)
            ELSE make_array(owner, '*')
        END) AS holder
    FROM definitions
    LEFT JOIN (SELECT node_id AS module_id, name AS inline_module FROM definitions WHERE syntax_kind = 'mod_item') AS modules
        ON definitions.scope_id = modules.module_id
    WHERE symbol IS NOT NULL
)
SELECT
    place,
    holder,
    symbol,
    count(*) AS candidates,
    CASE WHEN count(*) <= $max_candidates THEN array_sort(array_agg(node_id)) END AS node_ids
FROM (
    SELECT
        node_id,
        symbol,
        holder,
        unnest(make_array(file_id, repo, '@' || package, CASE WHEN holder = owner THEN '*' END)) AS place
    FROM callables
)
WHERE place IS NOT NULL
GROUP BY place, holder, symbol

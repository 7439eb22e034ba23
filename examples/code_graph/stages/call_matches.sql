/* windlass
description: The places in which a call site finds definitions, from the nearest to the farthest.
tags: { layer: semantic, kind: table, semantic_id: code.call_match, entity: call, grain: per_call_site_and_place }
*/
-- An imported name is searched where it was imported from and not nearby, and since packages re-export definitions,
-- then everywhere.
SELECT
    file_id,
    repo,
    lookups.symbol,
    lookups.holder,
    is_method,
    imported_as,
    look['rank'] AS rank,
    candidates,
    node_ids
FROM (
    SELECT
        *,
        unnest(make_array(
            named_struct('rank', 1, 'place', CASE WHEN holder <> '*' THEN file_id END, 'holder', holder),
            named_struct('rank', 2, 'place', CASE WHEN holder <> '*' AND imported_package IS NULL THEN repo END, 'holder', holder),
            named_struct('rank', 3, 'place', '@' || imported_package, 'holder', holder),
            named_struct('rank', 4, 'place', CASE WHEN holder <> '' THEN '@' || nullif(imported_as, '') END, 'holder', ''),
            named_struct('rank', 5, 'place', CASE WHEN imported_package NOT IN ('std', 'core', 'alloc') THEN '*' END, 'holder', holder),
            named_struct('rank', 6, 'place', CASE WHEN is_method THEN file_id END, 'holder', '*'),
            named_struct('rank', 7, 'place', CASE WHEN is_method THEN repo END, 'holder', '*')
        )) AS look
    FROM call_sites
) AS lookups
JOIN targets
    ON lookups.look['place'] = targets.place
    AND lookups.look['holder'] = targets.holder
    AND lookups.symbol = targets.symbol

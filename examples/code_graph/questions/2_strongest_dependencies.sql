-- Which repositories depend on each other most, by how many calls, to how many definitions?
SELECT
    caller.repo AS caller,
    definition.repo AS uses,
    count(DISTINCT edge.src_id) AS calls,
    count(DISTINCT edge.dst_id) AS definitions,
    CAST(round(sum(CAST(confidence AS DECIMAL(9, 3)))) AS BIGINT) AS expected
FROM cpg_edges AS edge
JOIN cpg_nodes AS caller ON edge.src_id = caller.node_id
JOIN cpg_nodes AS definition ON edge.dst_id = definition.node_id
WHERE edge.kind = 'calls' AND caller.repo <> definition.repo
GROUP BY caller.repo, definition.repo
ORDER BY expected DESC, caller, uses
LIMIT 10

/* windlass { tags: { layer: semantic }, materialize: cache } */
SELECT a.node_id AS source, b.node_id AS target
FROM cpg_nodes AS a
JOIN cpg_nodes AS b ON a.node_id < b.node_id
WHERE EXISTS (SELECT 1 FROM history AS h WHERE h.node_id = a.node_id)

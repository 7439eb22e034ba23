-- Which are the longest functions, outside tests, whose name does not occur in any call of the graph?
SELECT
    f.name AS function,
    file.name || ':' || f.start_line AS place,
    f.end_line - f.start_line + 1 AS lines
FROM cpg_nodes AS f
JOIN cpg_nodes AS file ON f.file_id = file.node_id
JOIN cpg_edges AS edge ON f.node_id = edge.dst_id AND edge.src_id = file.node_id
LEFT ANTI JOIN (SELECT DISTINCT name FROM cpg_nodes WHERE kind = 'call') AS called ON f.name = called.name
WHERE f.kind = 'definition'
    AND f.syntax_kind IN ('function_item', 'function_definition')
    AND f.name <> 'main'
    AND file.name NOT LIKE '%test%'
    AND file.name NOT LIKE '%bench%'
    AND file.name NOT LIKE '%/examples/%'
ORDER BY lines DESC, place
LIMIT 10

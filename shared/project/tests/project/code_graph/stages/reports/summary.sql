SELECT (SELECT count(*) FROM cpg_nodes) AS nodes, (SELECT count(*) FROM cpg_edges) AS edges

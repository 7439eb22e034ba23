/* windlass
description: The names that a file imports from exactly one other package.
materialize: view
tags: { layer: semantic, kind: view, semantic_id: code.imported_name, entity: import, grain: per_file_and_name }
*/
SELECT file_id, word, min(root) AS package
FROM (
    SELECT file_id, root, unnest(string_to_array(regexp_replace(name, '[^A-Za-z0-9_]+', ' ', 'g'), ' ')) AS word
    FROM imports
    WHERE origin <> 'own'
)
WHERE word <> ''
GROUP BY file_id, word
HAVING min(root) = max(root)

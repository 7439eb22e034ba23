/* windlass
description: Files worth parsing
materialize: view
*/
SELECT f.*, o.owner
FROM files AS f
LEFT JOIN owners AS o ON o.path = f.path
WHERE f.size >= $least_bytes

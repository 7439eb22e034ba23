/* windlass
name: largest_files
tags: { layer: report, core: yes }
*/
WITH RECURSIVE steps AS (
    SELECT 1 AS n
    UNION ALL
    SELECT n + 1 FROM steps WHERE n < 10
)
SELECT path, n FROM files_clean CROSS JOIN steps ORDER BY size DESC

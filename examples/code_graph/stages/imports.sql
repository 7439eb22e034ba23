/* windlass
description: The imports, and whether each refers to a package in the data, to the repository itself, or to neither.
tags: { layer: semantic, kind: table, semantic_id: code.import, entity: import, grain: per_import }
expect:
  - { accepted_values: { column: origin, values: [own, known, unknown] } }
*/
WITH statements AS (
    SELECT
        node_id,
        file_id,
        repo,
        package,
        name,
        CASE
            WHEN language = 'python' THEN split_part(name, '.', 1)
            ELSE split_part(split_part(ltrim(name, ':'), '::', 1), ' ', 1)
        END AS root
    FROM syntax
    WHERE role = 'import' AND name IS NOT NULL
),
packages AS (
    SELECT DISTINCT package FROM files
),
modules AS (
    SELECT repo, module FROM files
    UNION
    SELECT repo, folder FROM files
)
SELECT
    statements.node_id,
    statements.file_id,
    statements.repo,
    statements.name,
    statements.root,
    CASE
        WHEN root IN ('', 'crate', 'self', 'super') OR root = statements.package THEN 'own'
        WHEN packages.package IS NOT NULL THEN 'known'
        WHEN modules.module IS NOT NULL AND root NOT IN ('std', 'core', 'alloc') THEN 'own'
        ELSE 'unknown'
    END AS origin
FROM statements
LEFT JOIN packages ON statements.root = packages.package
LEFT JOIN modules ON statements.repo = modules.repo AND statements.root = modules.module

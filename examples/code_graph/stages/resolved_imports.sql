/* windlass
description: The imports of other packages with the repositories that contain a version of the package.
tags: { layer: semantic, kind: table, semantic_id: code.resolved_import, entity: import, grain: per_import_and_repo }
expect:
  - { references: { columns: [repo_id], to: repos } }
*/
SELECT
    imports.node_id AS import_id,
    imports.file_id,
    imports.repo,
    repos.repo_id,
    repos.repo AS imported_repo,
    1.0 / versions AS confidence
FROM imports
JOIN repos ON imports.root = repos.package
JOIN (SELECT package, count(*) AS versions FROM repos GROUP BY package) AS packages ON imports.root = packages.package
WHERE imports.origin = 'known' AND versions <= $max_candidates

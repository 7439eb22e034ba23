/* windlass
description: The repositories, each with its package.
tags: { layer: normalized, kind: table, semantic_id: code.repo, entity: repo, grain: per_repo }
expect:
  - { not_null: [repo_id, package] }
*/
SELECT stable_id('repo', repo) AS repo_id, repo, package, count(*) AS files, sum(size) AS bytes
FROM files
GROUP BY repo, package

/* windlass
description: The source files, with repository, package, module and folder derived from their paths.
tags: { layer: normalized, kind: table, semantic_id: code.file, entity: file, grain: per_file, entity_keys: [file_id] }
expect:
  - { matches: { column: content_hash, pattern: '[0-9a-f]+' }, on_failure: warn }
  - { range: { column: size, min: 0 } }
*/
-- A repository is a top-level folder, a package the repository's name without its version as written in code, a module
-- the name by which other files of the repository refer to a file, and a folder the name of the folder that it is in.
SELECT
    stable_id('file', path) AS file_id,
    path,
    repo,
    replace(regexp_replace(repo, '-[0-9]+[.].*$', ''), '-', '_') AS package,
    CASE WHEN stem IN ('mod', 'lib', 'main', '__init__') THEN folder ELSE stem END AS module,
    folder,
    CASE WHEN path LIKE '%.rs' THEN 'rust' ELSE 'python' END AS language,
    size,
    content_hash,
    content
FROM (
    SELECT
        *,
        CASE WHEN strpos(path, '/') > 0 THEN split_part(path, '/', 1) ELSE '.' END AS repo,
        split_part(split_part(path, '/', -1), '.', 1) AS stem,
        split_part(path, '/', -2) AS folder
    FROM source_files
)

/* windlass
description: The calls of a file, grouped where they must refer to the same definition.
tags: { layer: semantic, kind: table, semantic_id: code.call_site, entity: call, grain: per_call_site }
*/
SELECT sites.*, imported_names.package AS imported_package
FROM (SELECT DISTINCT file_id, repo, symbol, holder, is_method, imported_as FROM calls WHERE symbol IS NOT NULL) AS sites
LEFT JOIN imported_names ON sites.file_id = imported_names.file_id AND sites.imported_as = imported_names.word

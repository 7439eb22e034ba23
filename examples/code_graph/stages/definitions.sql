/* windlass
description: The definitions, and the symbol by which each is called.
materialize: view
tags: { layer: semantic, kind: view, semantic_id: code.definition, entity: definition, grain: per_definition }
*/
-- A symbol identifies candidates by name and number of arguments (`self` counts): `get/2`, `vec!`, `Some`. Python's
-- calls may omit or name arguments, so there it is `get()`.
SELECT
    node_id,
    scope_id,
    file_id,
    repo,
    package,
    module,
    folder,
    name,
    syntax_kind,
    owner,
    start_line,
    end_line,
    CASE
        WHEN syntax_kind = 'macro_definition' THEN name || '!'
        WHEN syntax_kind IN ('function_definition', 'class_definition') THEN name || '()'
        WHEN syntax_kind IN ('struct_item', 'enum_variant') THEN name
        WHEN syntax_kind NOT IN ('function_item', 'function_signature_item') THEN NULL
        WHEN substr(name, 1, 1) BETWEEN 'A' AND 'Z' THEN name
        ELSE name || '/' || arity
    END AS symbol
FROM syntax
WHERE role = 'definition'

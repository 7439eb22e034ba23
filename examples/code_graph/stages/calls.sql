/* windlass
description: The calls, and what is known about the definition that each may refer to.
materialize: view
tags: { layer: semantic, kind: view, semantic_id: code.call, entity: call, grain: per_call }
*/
-- `holder` is what must contain the definition: a type or a module by its name, '' for a file's or module's own functions,
-- '*' for whichever type has such a method. `imported_as` is the name that may have been imported, or ''.
SELECT
    node_id,
    scope_id,
    file_id,
    repo,
    package,
    symbol,
    is_method,
    CASE
        WHEN qualifier IN ('self', 'Self', 'cls') AND owner IS NOT NULL THEN owner
        WHEN name_kind = 'field_identifier' OR qualifier = '' THEN '*'
        WHEN is_macro OR qualifier IS NULL OR qualifier IN ('crate', 'super', 'self') THEN ''
        ELSE qualifier
    END AS holder,
    CASE
        WHEN qualifier IN ('self', 'Self', 'cls', 'crate', 'super') THEN ''
        WHEN qualifier IS NULL THEN name
        WHEN name_kind = 'field_identifier' THEN ''
        ELSE qualifier
    END AS imported_as
FROM (
    SELECT
        *,
        syntax_kind = 'macro_invocation' AS is_macro,
        name_kind = 'field_identifier' OR language = 'python' AND qualifier IS NOT NULL AS is_method,
        CASE
            WHEN syntax_kind = 'macro_invocation' THEN name || '!'
            WHEN language = 'python' THEN CASE WHEN name = 'cls' THEN coalesce(owner, name) ELSE name END || '()'
            WHEN name_kind = 'field_identifier' THEN name || '/' || (arity + 1)
            WHEN name = 'Self' THEN owner
            WHEN substr(name, 1, 1) BETWEEN 'A' AND 'Z' THEN name
            ELSE name || '/' || arity
        END AS symbol
    FROM syntax
    WHERE role = 'call' AND name IS NOT NULL
)

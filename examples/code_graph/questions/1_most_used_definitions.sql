-- Which definitions do other repositories depend on most, and where are they?
SELECT
    coalesce(owner || '.', '') || name AS definition,
    path || ':' || line AS place,
    caller_repos AS callers,
    calls_of_others AS calls,
    CAST(round(expected_calls) AS BIGINT) AS expected
FROM hot_definitions
WHERE calls_of_others > 0 AND expected_calls >= calls / 2.0
ORDER BY callers DESC, calls DESC, definition_id
LIMIT 10

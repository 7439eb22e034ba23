/* windlass
description: How well a method's name alone identifies the method, from 0 to 1.
tags: { layer: semantic, kind: table, semantic_id: code.method_certainty, entity: symbol, grain: per_symbol }
expect:
  - { range: { column: certainty, min: 0, max: 1 } }
*/
SELECT
    callers.symbol,
    count(reach.repo) / CAST(count(*) AS DOUBLE) / (1 + ln(min(packages))) AS certainty
FROM (SELECT DISTINCT repo, symbol FROM call_sites WHERE is_method) AS callers
JOIN (
    SELECT symbol, count(*) AS packages FROM targets WHERE place LIKE '@%' AND holder = '*' GROUP BY symbol
) AS defined ON callers.symbol = defined.symbol
LEFT JOIN (
    SELECT repo, symbol FROM dependency_methods
    UNION
    SELECT place AS repo, symbol FROM targets WHERE holder = '*'
) AS reach ON callers.repo = reach.repo AND callers.symbol = reach.symbol
GROUP BY callers.symbol

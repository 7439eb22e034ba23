/* windlass
description: A few orders, written down here.
tags: { layer: raw, kind: table }
*/
SELECT order_id, customer, CAST(day AS DATE) AS day, amount
FROM (VALUES
    (1, 'ada', '2026-01-05', 19.90),
    (2, 'brook', '2026-01-05', 5.00),
    (3, 'ada', '2026-01-06', 42.00),
    (4, 'chen', '2026-01-06', 12.75)
) AS listed (order_id, customer, day, amount)

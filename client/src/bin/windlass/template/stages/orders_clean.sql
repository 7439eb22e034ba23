/* windlass
description: Orders with a customer and a relevant amount.
tags: { layer: clean, kind: view }
materialize: view
*/
SELECT order_id, customer, CAST(ordered_at AS DATE) AS day, amount
FROM orders
WHERE customer IS NOT NULL AND amount >= $min_amount

/* windlass
description: Orders, customers and amounts per day.
tags: { layer: summary, kind: table }
io: { not_null: [day], constraints: { counted: orders > 0 } }
*/
SELECT day, count(*) AS orders, count(DISTINCT customer) AS customers, sum(amount) AS amount
FROM orders_clean
GROUP BY day

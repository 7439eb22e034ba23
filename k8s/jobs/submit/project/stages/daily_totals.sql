/* windlass
description: Orders, customers and amounts per day.
tags: { layer: summary, kind: table }
*/
SELECT day, count(*) AS orders, sum(amount) AS amount
FROM orders
GROUP BY day

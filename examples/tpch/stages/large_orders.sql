/* windlass
description: Orders of more than `large_quantity` pieces, with their customers (after TPC-H query 18).
io: { key: [order_key] }
*/
SELECT
    c.c_name AS customer_name,
    c.c_custkey AS customer_key,
    o.o_orderkey AS order_key,
    o.o_orderdate AS order_date,
    o.o_totalprice AS total_price,
    sum(l.l_quantity) AS quantity
FROM customer AS c
JOIN orders AS o ON c.c_custkey = o.o_custkey
JOIN lineitem AS l ON o.o_orderkey = l.l_orderkey
WHERE o.o_orderkey IN (
    SELECT l_orderkey FROM lineitem GROUP BY l_orderkey HAVING sum(l_quantity) > $large_quantity
)
GROUP BY c.c_name, c.c_custkey, o.o_orderkey, o.o_orderdate, o.o_totalprice

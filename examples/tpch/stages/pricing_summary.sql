/* windlass
description: What was billed, shipped and returned, by return flag and line status (after TPC-H query 1).
io: { key: [return_flag, line_status] }
*/
SELECT
    l_returnflag AS return_flag,
    l_linestatus AS line_status,
    sum(l_quantity) AS quantity,
    sum(l_extendedprice) AS base_price,
    sum(l_extendedprice * (1 - l_discount)) AS discounted_price,
    sum(l_extendedprice * (1 - l_discount) * (1 + l_tax)) AS charge,
    avg(l_quantity) AS average_quantity,
    avg(l_extendedprice) AS average_price,
    avg(l_discount) AS average_discount,
    count(*) AS lines
FROM lineitem
WHERE l_shipdate <= $shipped_until
GROUP BY l_returnflag, l_linestatus

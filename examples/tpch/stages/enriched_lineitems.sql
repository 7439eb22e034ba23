/* windlass
description: Every line of every order with its order, customer, supplier and their nations, one partition per year.
tags: { layer: core }
io:
  partition_by: [order_year]
  key: [order_key, line_number]
  not_null: [order_key, line_number]
*/
SELECT
    l.l_orderkey AS order_key,
    l.l_linenumber AS line_number,
    l.l_partkey AS part_key,
    l.l_suppkey AS supplier_key,
    o.o_custkey AS customer_key,
    c.c_mktsegment AS market_segment,
    customer_nation.n_name AS customer_nation,
    supplier_nation.n_name AS supplier_nation,
    region.r_name AS supplier_region,
    o.o_orderdate AS order_date,
    l.l_shipdate AS ship_date,
    l.l_shipmode AS ship_mode,
    l.l_quantity AS quantity,
    l.l_extendedprice AS extended_price,
    l.l_discount AS discount,
    l.l_extendedprice * (1 - l.l_discount) AS revenue,
    CAST(date_part('year', o.o_orderdate) AS INT) AS order_year
FROM lineitem AS l
JOIN orders AS o ON l.l_orderkey = o.o_orderkey
JOIN customer AS c ON o.o_custkey = c.c_custkey
JOIN nation AS customer_nation ON c.c_nationkey = customer_nation.n_nationkey
JOIN supplier AS s ON l.l_suppkey = s.s_suppkey
JOIN nation AS supplier_nation ON s.s_nationkey = supplier_nation.n_nationkey
JOIN region ON supplier_nation.n_regionkey = region.r_regionkey

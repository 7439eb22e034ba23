/* windlass
description: Revenue of suppliers from customers in their own nation, by year (after TPC-H query 5).
io: { key: [nation, order_year] }
*/
SELECT
    supplier_region AS region,
    supplier_nation AS nation,
    order_year,
    sum(revenue) AS revenue,
    count(*) AS lines
FROM enriched_lineitems
WHERE customer_nation = supplier_nation
GROUP BY supplier_region, supplier_nation, order_year

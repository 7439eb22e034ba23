/* windlass
description: Each customer's revenue per year, the change from the previous year, and the rank within nation and year.
io: { key: [customer_key, order_year] }
*/
WITH yearly AS (
    SELECT
        customer_key,
        customer_nation,
        market_segment,
        order_year,
        sum(revenue) AS revenue,
        count(DISTINCT order_key) AS orders
    FROM enriched_lineitems
    GROUP BY customer_key, customer_nation, market_segment, order_year
)
SELECT
    customer_key,
    customer_nation,
    market_segment,
    order_year,
    revenue,
    orders,
    revenue - lag(revenue) OVER (PARTITION BY customer_key ORDER BY order_year) AS change,
    rank() OVER (PARTITION BY customer_nation, order_year ORDER BY revenue DESC) AS rank_in_nation
FROM yearly

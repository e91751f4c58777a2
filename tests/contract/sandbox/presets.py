"""Settings of the sandboxes in these tests: little stock, and no durations."""

from number_orders.sandbox.inventory import StockPlan

SMALL = StockPlan(lines_per_exchange=24, toll_free_per_code=20, foreign_per_range=20)
AT_ONCE = {
    "processing_s": 0,
    "backorder_s": 0,
    "strange_s": 0,
    "swift_usable_s": 0,
    "cm_review_s": 0,
    "latency_s": dict.fromkeys(
        ("token", "search", "order_create", "order_read", "order_list", "order_change", "numbers", "other"), 0
    ),
}

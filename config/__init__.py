"""Settings, queues and schedule. Only `workers` and `number_orders.cli` import them and pass values on."""

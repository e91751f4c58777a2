"""Benchmarks: what an order costs in number-orders and in other designs. Nothing in production imports this."""

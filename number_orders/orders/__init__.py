"""The pure core: what an order is, what may happen to it, and what is then owed."""

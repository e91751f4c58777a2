"""The pure core: what an order is, what can happen to it, and what work is owed next."""

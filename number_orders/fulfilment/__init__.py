"""The use cases: taking an order in, working it off, telling its end, answering for it."""

"""The use cases: accept orders, work on them at carriers, notify producers, carry out people's decisions."""

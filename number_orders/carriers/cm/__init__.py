"""CM.com: its JSON, its rules, and its conversations about number requests."""

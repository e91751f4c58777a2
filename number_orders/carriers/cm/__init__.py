"""CM.com: its JSON, its rules, its number-request conversations."""

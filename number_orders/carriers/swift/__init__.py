"""Swift: its JSON, its rules, its conversations about carts, and its taint window."""

"""Swift: its JSON, its rules, its cart conversations and its taint window."""

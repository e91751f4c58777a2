"""One order in words: its timeline, what it waits for, what can be done."""

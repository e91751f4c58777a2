"""One order in words: its timeline, what it waits for, what can be done. The command line and the board print them."""

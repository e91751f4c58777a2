"""The command `doctor`: what is wrong here, and how to repair it."""

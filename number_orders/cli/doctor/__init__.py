"""`number-orders doctor`: what is wrong here and how to fix it."""

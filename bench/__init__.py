"""What an order costs here and elsewhere: benches that measure, and that nothing in production imports."""

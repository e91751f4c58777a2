"""Place phone-number orders with carriers and follow each to its true end."""

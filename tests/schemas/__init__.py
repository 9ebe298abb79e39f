"""Random schemas with random rows that keep every promise of them."""

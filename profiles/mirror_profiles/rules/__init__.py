"""Rules: what rows obey, found in Arrow columns and spelled in words."""

"""What is learned from a source: its profile, and nothing that could be traced to a row."""

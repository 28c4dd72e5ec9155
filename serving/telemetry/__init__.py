"""What a server remembers of its work, and what of it may leave: counts in bins, never a value."""

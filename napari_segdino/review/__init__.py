"""What a user wants to know of a probe: its doubt, its score, what changed."""

"""What a user wants to know of a probe: its uncertainty, its score, what changed."""

"""What a user wants to know about a probe: uncertainty, score, what changed."""

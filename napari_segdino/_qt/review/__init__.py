"""What the dock shows of a probe: its uncertainty, what it changed, how good it is."""

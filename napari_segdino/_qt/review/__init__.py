"""What the dock shows of a probe: its doubt, what it changed, how good it is."""

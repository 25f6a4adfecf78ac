"""From planes to features, and where they are kept."""

"""From features and a trained head to masks."""

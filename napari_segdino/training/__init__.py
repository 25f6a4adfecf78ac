"""From marks and features to a trained head."""

"""The default head: a probe that learns from strokes and from masks."""

"""Decoders over whole tiles, as published, and how they are trained."""

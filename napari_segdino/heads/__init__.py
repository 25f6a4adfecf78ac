"""The heads that are trained on the features of a frozen encoder."""

HEADS = ("mvr", "segdino", "segdino_v2", "meddino")
"""All heads by name, the default first."""

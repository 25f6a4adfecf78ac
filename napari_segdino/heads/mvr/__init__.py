"""The head ``mvr``: DINO-MVR, one small perceptron on each of the last three blocks."""

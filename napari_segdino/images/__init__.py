"""Arrays as planes: which axis is what, reslicing, channels, reading lazily."""

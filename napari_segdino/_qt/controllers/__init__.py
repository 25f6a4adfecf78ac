"""What buttons, keys and layers set off."""

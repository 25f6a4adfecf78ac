"""The Objects tab: objects of a mask as a layer and a table."""

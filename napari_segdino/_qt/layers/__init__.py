"""napari layers in step with the session: masks, marks, overlays, undo."""

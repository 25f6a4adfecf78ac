"""The napari side: the only place for Qt, magicgui and napari."""

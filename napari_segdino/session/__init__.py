"""What one window holds and can do: knows neither Qt nor napari."""

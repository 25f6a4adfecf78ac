"""Widgets that know no viewer: value, setValue, a signal when the user changes it."""

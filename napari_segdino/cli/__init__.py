"""The command line: ``napari-segdino`` and its commands, one file a group.

Importing this imports click and little else, so that ``--help`` is quick: each
command imports what it needs when it runs.
"""

from napari_segdino.cli.root import main

__all__ = ["main"]

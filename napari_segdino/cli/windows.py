"""``app`` and ``demo``: the commands that open windows."""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from napari_segdino.cli.options import ANY_PATH, EXISTING, verbose_option

_log = logging.getLogger(__name__)


@click.command()
@click.argument("paths", nargs=-1, type=EXISTING)
@verbose_option
def app(paths: tuple[Path, ...]) -> None:
    """Open napari with the dock, and PATHS if any are given."""
    _of_demo("launch")(paths)


@click.command()
@click.option(
    "-o",
    "--output",
    type=ANY_PATH,
    default=Path("demo-output"),
    show_default=True,
    help="Folder of the mask and the screenshots.",
)
@click.option(
    "--headless/--window",
    default=None,
    help="Play the story on a virtual display; the default where there is none.",
)
@verbose_option
def demo(output: Path, headless: bool | None) -> None:
    """Run the main job on a real sample scan."""
    _of_demo("run")(output, headless)


def _of_demo(name: str) -> Callable[..., Any]:
    """Find a function of the part with windows.

    Raises
    ------
    click.ClickException
        If napari or Qt is not installed.
    """
    try:
        # By name, so that nothing here imports Qt, which may not be installed.
        module = import_module("napari_segdino._qt.demo")
    except (ImportError, RuntimeError) as error:  # qtpy's own is a RuntimeError
        _log.debug("the windows cannot be imported", exc_info=True)
        raise click.ClickException(
            "napari or Qt is not installed: pip install 'napari-segdino[app]'."
        ) from error
    function: Callable[..., Any] = getattr(module, name)
    return function

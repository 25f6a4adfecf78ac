"""``encoders``: what can be chosen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from napari_segdino.cli.options import verbose_option

if TYPE_CHECKING:
    from napari_segdino.encoders import EncoderStatus


@click.command()
@verbose_option
def encoders() -> None:
    """List the encoders and whether their weights are on this machine."""
    from napari_segdino.encoders import list_encoders

    click.echo(f"{'name':<24} {'weights':>12}  what and under which terms")
    for status in list_encoders():
        spec = status.spec
        terms = f"{spec.title}  [{status.licence}]"
        click.echo(f"{spec.name:<24} {_weights_of(status):>12}  {terms}")


def _weights_of(status: EncoderStatus) -> str:
    """Say where the weights of an encoder are."""
    if status.here:
        return "here"
    # What cannot be downloaded has no size: only its file helps.
    if status.download_bytes:
        return f"{status.download_bytes / 1e6:,.0f} MB"
    return "file needed"

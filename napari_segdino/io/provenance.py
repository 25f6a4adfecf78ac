"""Who, when, with which program, encoder and model: what a mask file says of itself."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

from napari_segdino import __version__
from napari_segdino.io.scan import Header

PROGRAM = "napari-segdino"

AUTHOR_VARIABLE = "NAPARI_SEGDINO_AUTHOR"
"""Names who made a mask. The account's name is never taken: files are passed on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What a mask was made with; what is empty is not known, and is not written.

    Parameters
    ----------
    encoder : str
        Name of the encoder; of a local checkpoint the file's name, without its folder.
    model : str
        Name of the head, with its recipe where one was chosen.
    digest : str
        Of all that masks of the model depend on; two files of one probe have the same.
    program, date, source, author : str
        Given by :meth:`stamped`: program and version, time in UTC (ISO 8601), name of
        the image, and who made it.
    """

    program: str = ""
    date: str = ""
    author: str = ""
    encoder: str = ""
    model: str = ""
    digest: str = ""
    source: str = ""

    def stamped(self, header: Header | None) -> Provenance:
        """Return it with program, author and image, as of now.

        Parameters
        ----------
        header : Header, optional
            Of the image. That of one from DICOM is not named: its files and folders are
            often called after a patient, and DICOM-SEG refers to it by its UID.
        """
        image = header.path if header and header.format != "DICOM" else None
        return replace(
            self,
            program=f"{PROGRAM} {__version__}",
            date=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            author=os.environ.get(AUTHOR_VARIABLE, "").strip(),
            source=image.name if image else "",
        )

    def to_dict(self) -> dict[str, str]:
        """Return what is known."""
        return {name: value for name, value in asdict(self).items() if value}

    def to_json(self) -> str:
        """Return what is known as one line of JSON."""
        return json.dumps({PROGRAM: self.to_dict()}, ensure_ascii=False)

    def to_lines(self) -> str:
        """Return what is known as lines ``name: value``."""
        return "".join(f"{name}: {value}\n" for name, value in self.to_dict().items())

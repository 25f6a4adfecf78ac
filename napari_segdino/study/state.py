"""The folder of a study: what it is of, and where each training stands."""

from __future__ import annotations

import csv
import json
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from napari_segdino.errors import InputError, ModelFileError
from napari_segdino.files import atomic_path, write_csv
from napari_segdino.heads.dense.train import TrainingState
from napari_segdino.heads.registry import current_names
from napari_segdino.metrics import Row, to_csv
from napari_segdino.probe_file import ModelFile, read_model, write_model
from napari_segdino.study.split import Splits

_log = logging.getLogger(__name__)

VERSION = 2
"""In studies without one, ``mvr`` names the recipe ``probe``."""


@dataclass(frozen=True, slots=True)
class StudyFolder:
    """Files of a study.

    Parameters
    ----------
    path : pathlib.Path
        ``study.json``, ``split.csv``, the cached ``features`` and a folder
        for each seed: ``seed-0/state.segdino`` while it trains, then
        ``probe.segdino``, ``validation.csv`` and ``scores.csv``.
    """

    path: Path

    @property
    def features(self) -> Path:
        """Folder of the cached features."""
        return self.path / "features"

    def open(self, description: Mapping[str, Any], restart: bool = False) -> None:
        """Make the folder, or check that it is of this study.

        Parameters
        ----------
        description : mapping of str to object
            All that the result depends on, as JSON can hold it.
        restart : bool
            Forget what the folder holds.

        Raises
        ------
        InputError
            If it holds another study, or something else.
        """
        file = self.path / "study.json"
        if restart and file.is_file():
            # Only what a study makes: the folder may hold other things of the user.
            for old in self.path.glob("seed-*"):
                shutil.rmtree(old)
            file.unlink()
        if file.is_file():
            self._check(file, description)
            return
        if self.path.is_dir() and any(self.path.glob("seed-*")):
            raise InputError(f"{self.path} is not the folder of a study.")
        self.path.mkdir(parents=True, exist_ok=True)
        with atomic_path(file) as temporary:
            about = {"version": VERSION, **description}
            temporary.write_text(json.dumps(about, indent=1, sort_keys=True), "utf-8")

    def _check(self, file: Path, description: Mapping[str, Any]) -> None:
        # There and back: tuples become the lists that the file holds.
        wanted = json.loads(json.dumps(description))
        try:
            found = json.loads(file.read_text("utf-8"))
            if "version" not in found:
                found["settings"] = current_names(found.get("settings", {}))
            other = sorted(k for k in wanted if found.get(k) != wanted[k])
        except (ValueError, AttributeError) as error:
            raise InputError(f"{file} is damaged: --restart begins anew.") from error
        if other:
            raise InputError(
                f"{self.path} holds a study with other {', '.join(other)}: give "
                "another --work, or --restart to begin anew."
            )

    def write_split(self, splits: Splits) -> None:
        """Write which case is where.

        Parameters
        ----------
        splits : Splits
            Of the study's cases.
        """
        rows = (
            (case.name, case.group, split)
            for split in ("train", "validation", "test")
            for case in getattr(splits, split)
        )
        write_csv(self.path / "split.csv", ("case", "group", "split"), rows)

    def seed(self, seed: int) -> SeedFolder:
        """Return the folder of one seed, and make it.

        Parameters
        ----------
        seed : int
            The seed.
        """
        folder = self.path / f"seed-{seed}"
        folder.mkdir(exist_ok=True)
        return SeedFolder(folder)


@dataclass(frozen=True, slots=True)
class SeedFolder:
    """Files of one training of a study.

    Parameters
    ----------
    path : pathlib.Path
        See :class:`StudyFolder`.
    """

    path: Path

    @property
    def probe(self) -> Path:
        """The finished probe."""
        return self.path / "probe.segdino"

    @property
    def _state(self) -> Path:
        return self.path / "state.segdino"

    def write_state(self, state: TrainingState) -> None:
        """Keep where the training stands: whole, or as it was before.

        Parameters
        ----------
        state : TrainingState
            After an epoch.
        """
        model = ModelFile(dict(state.numbers), dict(state.tensors))
        write_model(self._state, model)

    def read_state(self) -> TrainingState | None:
        """Return where the training stood; None where it has not begun.

        A damaged file counts as none: the training begins anew.
        """
        if not self._state.is_file():
            return None
        try:
            model = read_model(self._state)
        except ModelFileError:
            _log.warning("%s is damaged: this training begins anew.", self._state)
            return None
        return TrainingState(model.tensors, model.meta)

    def forget_state(self) -> None:
        """Remove the state: the training is finished."""
        self._state.unlink(missing_ok=True)

    def write_rows(self, name: str, rows: Sequence[Row]) -> None:
        """Write scores.

        Parameters
        ----------
        name : {"scores", "validation"}
            Of the test cases, or of those that choose.
        rows : sequence of Row
            One a case and class.
        """
        to_csv(self.path / f"{name}.csv", rows)

    def read_rows(self, name: str) -> list[Row] | None:
        """Read what :meth:`write_rows` wrote.

        Parameters
        ----------
        name : {"scores", "validation"}
            As there.

        Returns
        -------
        list of Row or None
            None where nothing was written.
        """
        path = self.path / f"{name}.csv"
        if not path.is_file():
            return None
        # Types of fields are strings with `from __future__ import annotations`.
        kinds = {"str": str, "int": int, "float": float}
        makers = [kinds[str(f.type)] for f in fields(Row)]
        with open(path, newline="", encoding="utf-8") as file:
            lines = list(csv.reader(file))[1:]
        return [Row(*(m(v) for m, v in zip(makers, x, strict=True))) for x in lines]

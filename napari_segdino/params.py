"""scikit-learn's manners, without scikit-learn."""

from __future__ import annotations

import inspect
from typing import Any, Self

from napari_segdino.errors import InputError, unknown_name


class Params:
    """Parameters are the arguments of ``__init__``, stored under their names."""

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters given to ``__init__``."""
        names = list(inspect.signature(type(self).__init__).parameters)[1:]
        return {name: getattr(self, name) for name in names}

    def set_params(self, **params: Any) -> Self:
        """Set parameters by name.

        Raises
        ------
        InputError
            If there is no parameter of that name.
        """
        known = self.get_params()
        for name, value in params.items():
            if name not in known:
                kind = f"parameter of {type(self).__name__}"
                raise InputError(unknown_name(kind, name, known))
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        params = ", ".join(f"{k}={v!r}" for k, v in self.get_params().items())
        return f"{type(self).__name__}({params})"

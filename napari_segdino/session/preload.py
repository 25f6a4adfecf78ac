"""Import torch and timm in a worker's thread without freezing the window.

Three things would freeze it, or worse (``tests/_qt/measure_gap.py`` measures it):

- Python holds its lock while it opens a shared library; torch's take 0.2 to
  0.4 s each. Opened through the C library's own ``dlopen``, which ctypes calls
  without the lock, they cost the window nothing.
- The garbage collector looks at all the objects that an import makes, again and
  again, up to 0.8 s at a time. It is off during the import, and what was
  imported is then left out of its rounds.
- Mesa's OpenGL brings LLVM, and so does triton, which torchvision pulls in:
  loaded into the same window they crash it, unless triton's library prefers its
  own symbols.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib.util
import logging
import os
import sys
import threading
from collections.abc import Callable, Iterable
from functools import partial
from importlib import import_module
from pathlib import Path

_log = logging.getLogger(__name__)

LAYER_MODULES = ("pandas", "skimage.color", "scipy.ndimage")
"""What napari imports when the first Labels layer is made."""

MODULES = (
    *LAYER_MODULES,
    "torch",
    "torchvision",
    "timm",
    "safetensors.torch",
    "napari_segdino.segmenter",
    # Imported by the callbacks of Segment and Retrain, which nobody should wait for.
    "napari_segdino.session.tasks",
)
TORCH_LIBRARIES = ("c10", "torch_cpu", "torch_cuda", "torch", "torch_python")

_lock = threading.Lock()
_preloading = threading.Event()
"""Set while modules are being imported: they are listed before they are ready."""


def preload() -> None:
    """Import what encoders need; returns when it is all there.

    May be called from any thread, any number of times.
    """
    if is_preloaded():
        return
    _import(MODULES, _open_libraries)


def _import(names: Iterable[str], before: Callable[[], None] = lambda: None) -> None:
    with _lock:
        if not _preloading.is_set() and all(name in sys.modules for name in names):
            return
        _preloading.set()
        before()
        was_on = gc.isenabled()
        gc.disable()
        try:
            for name in names:
                import_module(name)
        finally:
            gc.freeze()
            atexit.register(gc.unfreeze)
            _preloading.clear()
            if was_on:
                gc.enable()


def is_preloaded() -> bool:
    """Whether all has been imported."""
    return not _preloading.is_set() and all(name in sys.modules for name in MODULES)


def start_preloading() -> threading.Thread:
    """Begin :func:`preload` in the background and return its thread."""
    return _start(preload)


def start_for_layers() -> threading.Thread:
    """Begin to import what the first Labels layer needs; return the thread."""
    return _start(partial(_import, LAYER_MODULES))


def _start(target: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(
        target=_try, args=(target,), name="segdino-preload", daemon=True
    )
    thread.start()
    return thread


def _try(target: Callable[[], None]) -> None:
    try:
        target()
    except ImportError:
        # Whoever needs it meets the same error and tells the user.
        _log.warning("What is needed later cannot be imported", exc_info=True)


def _open_libraries() -> None:
    if not sys.platform.startswith(("linux", "darwin")):
        return
    ending = ".dylib" if sys.platform == "darwin" else ".so"
    triton = _package_folder("triton")
    if triton is not None and "triton" not in sys.modules:
        deep = getattr(os, "RTLD_DEEPBIND", 0)
        _open(triton / "_C" / "libtriton.so", os.RTLD_NOW | deep)
    torch = _package_folder("torch")
    if torch is not None and "torch" not in sys.modules:
        for name in TORCH_LIBRARIES:
            _open(torch / "lib" / f"lib{name}{ending}", os.RTLD_LAZY)


def _package_folder(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def _open(path: Path, flags: int) -> None:
    """Open a shared library without holding Python's lock; failing is no harm."""
    if not path.is_file():
        return
    dlopen = ctypes.CDLL(None).dlopen
    dlopen.argtypes = (ctypes.c_char_p, ctypes.c_int)
    dlopen.restype = ctypes.c_void_p
    if not dlopen(os.fsencode(path), flags):
        _log.info("Opening %s ahead of its import failed", path)

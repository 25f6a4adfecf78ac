"""Count how large and how entangled the program is.

Run on any checkout: ``python docs/benchmarks/house.py [FOLDER] [--walks]``. With
``--walks`` the dock is opened (on a virtual display: ``xvfb-run -a python ...``) and
Segment and Retrain are pressed, to count the modules that they enter.
"""

from __future__ import annotations

import argparse
import ast
import io
import subprocess
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "napari_segdino"


def modules(root: Path) -> dict[str, Path]:
    """Python files of the package by dotted name."""
    found = {}
    for path in sorted((root / PACKAGE).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(p for p in parts if p != "__init__")] = path
    return found


def imports(tree: ast.AST, known: set[str]) -> set[str]:
    """Modules of the package that a file names in imports, also within functions."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found & known


def comments(source: str) -> int:
    """Comments that say something: no headings, no switches of tools."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    texts = [t.string for t in tokens if t.type == tokenize.COMMENT]
    return sum(not t.startswith(("# type:", "# noqa", "# --", "#!")) for t in texts)


def public_functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    """Public functions, and public methods of public classes."""
    for node in tree.body:
        inner = node.body if isinstance(node, ast.ClassDef) else [node]
        if isinstance(node, ast.ClassDef) and node.name.startswith("_"):
            continue
        for one in inner:
            if isinstance(one, ast.FunctionDef) and not one.name.startswith("_"):
                yield one


def takes_parameters(function: ast.FunctionDef) -> bool:
    """Whether there is something to describe."""
    given = function.args
    names = [a.arg for a in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return bool([n for n in names if n not in ("self", "cls")])


def count(root: Path) -> dict[str, str]:
    """The table's rows that need no window."""
    files = modules(root)
    sources = {name: path.read_text() for name, path in files.items()}
    trees = {name: ast.parse(text) for name, text in sources.items()}
    lines = sum(text.count("\n") for text in sources.values())
    importers: Counter[str] = Counter()
    for name, tree in trees.items():
        importers.update(imports(tree, set(files)) - {name})
    once = [n for n, p in files.items() if importers[n] == 1 and p.stem != "__init__"]
    tests = {p: p.read_text() for p in sorted((root / "tests").rglob("*.py"))}
    seen: set[str] = set()
    for text in tests.values():
        seen |= imports(ast.parse(text), set(files))
    unseen = [n for n, p in files.items() if p.stem != "__init__" and n not in seen]
    described = with_section = 0
    for tree in trees.values():
        for function in public_functions(tree):
            if takes_parameters(function):
                described += 1
                with_section += "Parameters\n" in (ast.get_docstring(function) or "")
    said = sum(comments(text) for text in sources.values())
    everything = "".join(sources.values())
    test_lines = sum(text.count("\n") for text in tests.values())
    return {
        "lines of the package": f"{lines:,}",
        "files of the package": str(len(files)),
        "files imported by one other only": str(len(once)),
        "comments per 1,000 lines": f"{1000 * said / lines:.1f}",
        "public functions with a Parameters section": f"{with_section / described:.0%}",
        "References sections": str(everything.count("References\n")),
        "Examples sections": str(everything.count("Examples\n")),
        "lines of tests": f"{test_lines:,}",
        "tests / code": f"{test_lines / lines:.2f}",
        "modules that no test imports": str(len(unseen)),
        "modules that importing the dock pulls in": dock_imports(root),
    }


def dock_imports(root: Path) -> str:
    """Modules of the package that are there once the dock's is imported."""
    code = (
        f"import sys, {PACKAGE}._qt.widget; "
        f"print(sum(m.startswith('{PACKAGE}') for m in sys.modules))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=root
    )
    return found.stdout.strip() or found.stderr.strip().splitlines()[-1]


class Walk:
    """Counts modules entered, and calls from one to another in the window's thread."""

    def __init__(self) -> None:
        self.entered: set[str] = set()
        self.hops = 0

    def __call__(self, frame: object, event: str, _: object) -> None:
        if event != "call":
            return
        name = frame.f_globals.get("__name__", "")  # type: ignore[attr-defined]
        if not name.startswith(PACKAGE):
            return
        self.entered.add(name)
        caller = frame.f_back  # type: ignore[attr-defined]
        before = caller.f_globals.get("__name__", "") if caller else ""
        self.hops += before.startswith(PACKAGE) and before != name


def walk() -> None:
    """Press Segment and Retrain in a window, and print what they enter."""
    import threading

    import napari
    from qtpy.QtTest import QTest

    from napari_segdino._qt.demo import add_dock
    from napari_segdino.io.sample import sample_scan

    viewer = napari.Viewer()
    data, kwargs, _ = sample_scan("tissue").layer_data()
    viewer.add_image(data, **kwargs)
    dock = add_dock(viewer)
    engine = next(
        getattr(dock, n) for n in ("engine", "controller") if hasattr(dock, n)
    )

    def press(button: object, title: str) -> None:
        here, elsewhere = Walk(), Walk()
        threading.setprofile(elsewhere)
        sys.setprofile(here)
        button.click()  # type: ignore[attr-defined]
        QTest.qWait(50)
        while engine.busy:
            QTest.qWait(10)
        QTest.qWait(300)
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]
        entered = here.entered | elsewhere.entered
        print(f"{title}: {len(entered)} modules entered, {here.hops} hops in the GUI")

    QTest.qWait(1000)
    press(dock.actions.segment, "Segment")
    annotation = engine.annotations.get(dock.image)
    for label, row in ((1, 0.3), (0, 0.6)):
        height, width = annotation.planes.plane_shape
        annotation.mask.selected_label = label
        where = tuple(
            slice(int(f * n), int(f * n) + 20) for f, n in ((row, height), (0.5, width))
        )
        annotation.mask.data_setitem(
            tuple(a.ravel() for a in __import__("numpy").mgrid[where]), label
        )
    press(dock.actions.retrain, "Retrain")
    dock.release()
    viewer.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    here = Path(__file__).resolve().parents[2]
    parser.add_argument("root", type=Path, nargs="?", default=here)
    parser.add_argument("--walks", action="store_true")
    given = parser.parse_args()
    for what, value in count(given.root.resolve()).items():
        print(f"| {what} | {value} |")
    if given.walks:
        walk()

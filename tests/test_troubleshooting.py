"""Every error that a user can meet stands in docs/troubleshooting.md, and no other."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "napari_segdino"
RAISED = {
    "SegDINOError",
    "InputError",
    "ChannelsError",
    "NotFittedError",
    "WeightsError",
    "ModelFileError",
    "ScanError",
    "ProjectError",
}
PASSED_ON = {"error", "reason", "why", "text", "self._failure", "str(error)"}
"""What is raised again: a sentence that was made, and is listed, elsewhere."""


@cache
def trees():
    return [ast.parse(path.read_text("utf8")) for path in PACKAGE.rglob("*.py")]


@cache
def constants():
    """Texts of the package by the name of their constant."""
    found = {}
    for tree in trees():
        for node in tree.body:
            match node:
                case ast.Assign(
                    targets=[ast.Name(id=name)], value=ast.Constant(value=str(text))
                ):
                    found[name] = text
    return found


@cache
def functions():
    """What functions of the package return, by their name."""
    found = {}
    for tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                returns = [x.value for x in ast.walk(node) if isinstance(x, ast.Return)]
                found.setdefault(node.name, []).extend(filter(None, returns))
    return found


def texts(node):
    """Every text that an expression can be; `X` stands for what is filled in."""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=parts):
            return ["".join((texts(part) or ["X"])[0] for part in parts)]
        case ast.FormattedValue():
            return ["X"]
        case ast.BinOp(left=left, right=right):
            return [a + b for a in texts(left) for b in texts(right)]
        case ast.IfExp(body=body, orelse=other):
            return texts(body) + texts(other)
        case ast.Name(id=name) if name in constants():
            return [constants()[name]]
        case ast.Call(func=ast.Attribute(value=inner, attr="format")):
            return [re.sub(r"\{.*?\}", "X", text) for text in texts(inner)]
        case ast.Call(func=ast.Name(id=name)) if name in functions():
            return [text for one in functions()[name] for text in texts(one)]
    return []


@cache
def messages():
    """Every sentence, and expressions that none was found for."""
    found, unknown = set(), set()
    for tree in trees():
        for node in ast.walk(tree):
            name = getattr(getattr(node, "func", None), "id", "")
            if isinstance(node, ast.Call) and name in RAISED and node.args:
                said = texts(node.args[0])
                # Not those that only put a name before what was said.
                found |= {text for text in said if re.search("[a-z]", text)}
                if not said:
                    unknown.add(ast.unparse(node.args[0]))
    return found, unknown


@cache
def entries():
    """Patterns of the document, as they stand there."""
    lines = (ROOT / "docs" / "troubleshooting.md").read_text("utf8").splitlines()
    rows = [line.split("|")[1].strip() for line in lines if line.startswith("| ")]
    return [row for row in rows if row != "it says"]


def fits(entry, message):
    """Whether a message, or one that a name is put before, is of an entry."""
    pattern = re.escape(entry).replace(r"\.\.\.", ".*")
    said = message if message[:1].isupper() else f"X {message}"
    return any(re.fullmatch(pattern, one, re.S) for one in (message, said))


def test_every_message_is_in_the_list():
    missing = [m for m in messages()[0] if not any(fits(e, m) for e in entries())]
    assert not missing


def test_every_message_is_found_in_the_code():
    unknown = {one for one in messages()[1] if one not in PASSED_ON}
    assert not unknown


def test_nothing_is_listed_that_is_not_said():
    own = ("There is not enough memory...", "Something went wrong (...); see the log.")
    stale = [
        e
        for e in entries()
        if e not in own and not any(fits(e, m) for m in messages()[0])
    ]
    assert not stale


@pytest.mark.parametrize("entry", ["... cannot", "...", "... ..."])
def test_no_entry_says_nothing(entry):
    assert entry not in entries()

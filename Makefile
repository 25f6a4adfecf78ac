SHELL := /bin/bash
# make demo   install the program and run the main job on a real sample
# make test   install what the tests need and run the whole suite: what knows no Qt
#             once, the window with PyQt5 in three parts, two suites at a time. PyQt6
#             and PySide6 play the story and what differs; all of it:
#             make test-pyqt6 GUI=tests/_qt
# make docs   build the site into build/site, warnings are errors
# make docs-pictures   make every picture of it from the real window, in minutes
# make docs-notebooks   run the notebooks of it and keep what their cells give
VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin

# What Qt's xcb platform and OpenGL need on Debian or Ubuntu, and a virtual display.
SYSTEM := xvfb xauth libegl1 libgl1 libgl1-mesa-dri libdbus-1-3 libfontconfig1 \
  libxkbcommon-x11-0 libxcb-cursor0 libxcb-icccm4 libxcb-image0 libxcb-keysyms1 \
  libxcb-randr0 libxcb-render-util0 libxcb-shape0 libxcb-xinerama0 libxcb-xkb1 libglib2.0-0
XVFB := xvfb-run -a -s "-screen 0 1600x1200x24"

WINDOW_SUITES := test-pyqt5-g-p test-pyqt5-a-f test-pyqt5-q-z test-pyqt6 test-pyside6
# The longest first, so that neither of two cores is left with much at the end.
SUITES := test-core $(WINDOW_SUITES) docs lint

# Modules are compiled once, not in each process that a test starts.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test docs-pictures docs-notebooks system clean $(SUITES)

demo: $(VENV)/.app system
	$(BIN)/napari-segdino demo

test: $(VENV)/.test system
	$(MAKE) --no-print-directory --keep-going --jobs=2 --output-sync=target $(SUITES)

test-core: $(VENV)/.test system
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -p no:napari --ignore=tests/_qt

test-pyqt5-%: GUI = $(sort $(shell find tests/_qt -name "test_[$(@:test-pyqt5-%=%)]*.py"))
test-pyqt6 test-pyside6: GUI := $(patsubst %,tests/_qt/test_%.py,story life preferences plugin worker mouse opening)
$(WINDOW_SUITES): $(VENV)/.test system
	QT_API=$(word 2,$(subst -, ,$@)) NAPARI_STRICT_QT=1 OMP_NUM_THREADS=1 $(XVFB) $(BIN)/python -m pytest $(GUI)

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(VENV)/.test
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

docs-pictures: $(VENV)/.test system
	QT_API=pyqt6 $(XVFB) $(BIN)/python docs/images/make_pictures.py
	QT_API=pyqt6 $(XVFB) $(BIN)/python docs/images/make_tour.py

docs-notebooks: $(VENV)/.test
	$(BIN)/python docs/notebooks/make_notebooks.py

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.app: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install -e ".[app]"
	touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install -e ".[app,docs,test]"
	touch $@

# Installed when this runs as root on Debian or Ubuntu; otherwise the line to paste.
system:
	@if ! command -v apt-get >/dev/null; then exit 0; fi; \
	missing=$$(dpkg-query -W -f '$${db:Status-Abbrev}|$${Package}\n' $(SYSTEM) 2>/dev/null \
	  | sed -n 's/^ii *|//p' | sort -u | comm -13 - <(printf '%s\n' $(SYSTEM) | sort -u)); \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ]; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$missing; \
	else \
	  echo "System libraries are missing. Paste this line, then run make again:"; \
	  echo "sudo apt-get install -y" $$missing; exit 1; \
	fi

clean:
	rm -rf $(VENV) build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

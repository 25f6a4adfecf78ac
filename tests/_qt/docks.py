"""Waiting for a dock."""

from typing import Any

from qtpy.QtTest import QTest


def rest(dock: Any) -> None:
    """Wait until nothing is going on and all of it is drawn."""
    QTest.qWait(50)
    for _ in range(6000):
        working = dock.status.label.text().endswith("working...")
        if not (working or dock.controller.busy):
            QTest.qWait(50)
            return
        QTest.qWait(10)
    raise AssertionError(f"waited in vain: {dock.status.label.text()}")

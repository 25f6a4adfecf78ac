"""Processes that end, as a power cut ends them, before the n-th change to the disk."""

import errno
import os
import sys
import time
from contextlib import contextmanager
from itertools import count

CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.link", "os.truncate")
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
CUT, FAILED = 77, 1


def in_child(function, *args):
    """Run in a forked process, so that threads of libraries begin anew.

    Returns
    -------
    int
        How it ended: 0, `FAILED`, or `CUT`.
    """
    child = os.fork()
    if not child:
        status = FAILED
        try:
            function(*args)
            status = 0
        except BaseException as error:  # noqa: BLE001
            sys.stderr.write(f"{type(error).__name__}: {error}\n")
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def cut_before(n, function, *args):
    """Run in a process that ends before its n-th change to the disk.

    Returns
    -------
    bool
        Whether it ran through, having fewer changes.
    """
    status = in_child(_run_until, n, function, *args)
    assert status != FAILED, f"failed where it was cut before change {n}"
    return status == 0


def _run_until(n, function, *args):
    """Run, and end before the n-th change; fsync counts as one."""
    seen = count(1)

    def step(*_):
        if next(seen) == n:
            os._exit(CUT)

    def hook(event, given):
        if event in CHANGES or (
            event == "open" and isinstance(given[2], int) and given[2] & WRITES
        ):
            step()

    sync = os.fsync
    os.fsync = lambda handle: (step(), sync(handle))[1]
    sys.addaudithook(hook)
    function(*args)


@contextmanager
def full_disk(n):
    """Have no room on any disk for the n-th file, folder or fsync, and all after it."""
    seen, on, sync = count(1), True, os.fsync

    def step():
        if on and next(seen) >= n:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def hook(event, given):
        if event == "os.mkdir" or (
            event == "open" and isinstance(given[2], int) and given[2] & WRITES
        ):
            step()

    os.fsync = lambda handle: (step(), sync(handle))[1]
    sys.addaudithook(hook)
    try:
        yield
    finally:
        on, os.fsync = False, sync


def killed_after(seconds, function, *args):
    """Run in a process that is killed after a while; return whether it was."""
    child = os.fork()
    if not child:
        try:
            function(*args)
        finally:
            os._exit(0)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if os.waitpid(child, os.WNOHANG)[0]:
            return False
        time.sleep(0.0005)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return True

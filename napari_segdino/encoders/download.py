"""Fetch weights with the hub's library: seen to move, and trusted only when whole."""

from __future__ import annotations

import errno
import hashlib
import io
import logging
import os
import re
import shutil
import time
from collections.abc import Callable
from concurrent.futures import wait
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from napari_segdino.encoders.consent import asker, record_terms
from napari_segdino.encoders.weights import Source, target_path
from napari_segdino.errors import WeightsError
from napari_segdino.files import move, sync
from napari_segdino.progress import PAUSE, THREAD, Progress, Steps, relay, run_in_thread

T = TypeVar("T")

_log = logging.getLogger(__name__)

HUB = "https://huggingface.co"
# A user waits beside it; a server that sends less than this is as good as none.
_SILENCE_S = 5.0
_LEAST = 20_000
"""Bytes within that time, or the server is not waited for any longer."""
_SLOWEST = 50_000
"""Bytes a second over the whole download, after some grace."""
_GRACE_S = 60.0
_CHUNK = 1 << 14
_TRUE = {"1", "ON", "YES", "TRUE"}
_OFFERS = "use the built-in encoder efficientnet_lite0, give a local file, or try again"
_BAR = "huggingface_hub.http_get"


class _Silent(Exception):
    """The server says nothing, or next to nothing, or takes for ever."""


class _TooMuch(Exception):
    """The server sends more than it promised."""


@dataclass(frozen=True, slots=True)
class _Remote:
    """A file as the hub describes it."""

    url: str
    size: int
    sha256: str
    token: str | bool


def iter_fetch(source: Source) -> Steps[Path]:
    """Download weights into the program's folder.

    Closing the generator stops at once. What has come is stored under a name
    that is never loaded, and gone on with next time.

    Parameters
    ----------
    source : Source
        What to fetch. ``HF_ENDPOINT`` names a mirror, ``HF_HUB_OFFLINE``
        forbids the network, ``HF_TOKEN`` opens gated repositories; it is sent to
        huggingface.co only.

    Yields
    ------
    Progress
        In bytes.

    Returns
    -------
    Path
        The whole file, its size and SHA-256 checked.

    Raises
    ------
    WeightsError
        One sentence: not wanted, no network, silent or very slow, gated, not there,
        disk full, folder not writable, cut short, or not the bytes that were
        promised.
    """
    yield Progress(0, 0, f"Asking for {source.title}")
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in _TRUE:
        raise WeightsError(
            f"{source.title} is not on this machine and HF_HUB_OFFLINE forbids "
            f"fetching it: {_OFFERS} without it."
        )
    yield from _iter_ask(source)
    record_terms(source)
    endpoint = (os.environ.get("HF_ENDPOINT") or HUB).rstrip("/")
    for file in source.files:
        remote = yield from _iter_describe(source, endpoint, file)
        if remote is not None:
            try:
                return (yield from _iter_file(source, remote, file))
            # What the network raised is a WeightsError by now: this is the disk.
            except OSError as error:
                folder = target_path(source, file).parent
                raise WeightsError(_disk_text(error, folder)) from error
    raise WeightsError(f"There is no {source.files[0]} in {source.repo}: {_OFFERS}.")


def _iter_ask(source: Source) -> Steps[None]:
    ask = asker.get()
    if ask is None:
        return
    answer = ask(source)
    while not wait([answer], PAUSE).done:
        yield Progress(0, 0, f"Waiting to be told whether to download {source.title}")
    if not answer.result():
        raise WeightsError(
            f"{source.title} is needed and was not downloaded: {_OFFERS}."
        )


def _iter_describe(source: Source, endpoint: str, file: str) -> Steps[_Remote | None]:
    """Ask the hub what a file is; None where there is no such file."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url

    url, token = hf_hub_url(source.repo, file, endpoint=endpoint), token_for(endpoint)
    call = partial(get_hf_file_metadata, url, token=token, timeout=_SILENCE_S)
    step = Progress(0, 0, f"Asking for {source.title}")
    found = yield from _iter_call(source, url, call, lambda: 0, _SILENCE_S, step)
    if found is None:
        return None
    # The hub's etag of a large file is its SHA-256; a proxy or login page has another
    # one.
    if not re.fullmatch("[0-9a-f]{64}", found.etag or "") or not found.size:
        raise WeightsError(
            f"{urlsplit(url).hostname} does not answer as the hub does, perhaps a "
            f"login page stands between: {_OFFERS}."
        )
    # Weights in half precision are of half the size.
    if source.size and not 0.4 * source.size < found.size < 1.2 * source.size:
        raise WeightsError(
            f"{source.title} should be of about {source.size} bytes and is of "
            f"{found.size} there, so it was not downloaded: {_OFFERS}."
        )
    return _Remote(found.location, found.size, found.etag, token_for(found.location))


def token_for(url: str) -> str | bool:
    """Return the user's token for the hub itself, and False for any other host.

    Parameters
    ----------
    url : str
        Where a request goes; a redirect may lead elsewhere.
    """
    parts = urlsplit(url)
    if (parts.scheme, parts.netloc) != ("https", urlsplit(HUB).netloc):
        return False
    from huggingface_hub import get_token

    return os.environ.get("HF_TOKEN") or get_token() or False


def _iter_file(source: Source, remote: _Remote, file: str) -> Steps[Path]:
    target = target_path(source, file)
    target.parent.mkdir(parents=True, exist_ok=True)
    # Named by the checksum: what was begun is gone on with only if the hub still has
    # the same file.
    part = target.with_name(f".{target.name}.{remote.sha256[:16]}.part")
    ours = re.compile(rf"\.{re.escape(target.name)}\.[0-9a-f]{{16}}\.part")
    for left in target.parent.iterdir():
        if ours.fullmatch(left.name) and left != part:
            left.unlink()  # begun of what the hub no longer has
    if part.exists() and part.stat().st_size > remote.size:
        part.unlink()
    _check_space(part, remote)
    try:
        yield from _iter_transfer(source, remote, part)
    finally:
        if part.exists() and not part.stat().st_size:
            part.unlink()
    yield from _iter_check(source, part, remote)
    # On disk before it takes its name, so that a power cut leaves no half file under
    # it.
    sync(part)
    move(part, target)
    return target


class _Part(io.BufferedWriter):
    """A file that is begun or gone on with, and takes no more than was promised."""

    def __init__(self, path: Path, size: int) -> None:
        super().__init__(io.FileIO(path, "r+" if path.exists() else "w"))
        self.size, self.refused = size, False
        self.begin = self.done = self.seek(0, os.SEEK_END)

    def write(self, data: Any) -> int:
        """Write, and remember whether it was the disk that refused."""
        self.done = self.tell() + len(data)
        if self.done > self.size:
            raise _TooMuch
        try:
            return super().write(data)
        except OSError:
            self.refused = True
            raise


def _iter_transfer(source: Source, remote: _Remote, path: Path) -> Steps[None]:
    from huggingface_hub import constants
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers

    # With its 10 MB nobody could tell a slow server from a silent one.
    constants.DOWNLOAD_CHUNK_SIZE = _CHUNK
    headers = build_hf_headers(token=remote.token, library_name="napari-segdino")
    # Closing the part is what ends a call that was left behind: it cannot write.
    with closing(_Part(path, remote.size)) as part:
        if part.done == remote.size:
            return
        call = partial(
            http_get,
            remote.url,
            part,
            resume_size=part.begin,
            # Compressed on the way, bytes received would not be bytes of the file.
            headers=headers | {"Accept-Encoding": "identity"},
            expected_size=remote.size,
        )
        text = f"Downloading {source.title}"
        limit = _GRACE_S + remote.size / _SLOWEST
        try:
            yield from _iter_call(
                source,
                remote.url,
                partial(_call_quietly, call),
                lambda: part.done,
                limit,
                Progress(part.begin, remote.size, text),
            )
        except _TooMuch:
            part.truncate(0)
            raise WeightsError(_wrong_text(source)) from None
        except OSError:
            if part.refused:
                raise
            raise WeightsError(
                f"The download of {source.title} was cut off after {part.done} of "
                f"{remote.size} bytes: {_OFFERS}."
            ) from None
        yield Progress(part.done, remote.size, text)


def _call_quietly(call: Callable[[], None]) -> None:
    """Run the hub's download without its own bar and warnings on the terminal."""
    from huggingface_hub import utils

    for name in ("file_download", "utils._http"):
        logging.getLogger(f"huggingface_hub.{name}").addFilter(_is_of_others)
    was_on = not utils.are_progress_bars_disabled(_BAR)
    utils.disable_progress_bars(_BAR)
    try:
        call()
    finally:
        if was_on:
            utils.enable_progress_bars(_BAR)


def _is_of_others(record: logging.LogRecord) -> bool:
    return record.threadName != THREAD


def _iter_call(
    source: Source,
    url: str,
    call: Callable[[], T],
    done: Callable[[], int],
    limit: float,
    step: Progress,
) -> Steps[T | None]:
    """Run a call of the hub's library while something moves; None for a 404.

    Raises
    ------
    OSError
        The disk refuses, or what came is not whole.
    """
    from huggingface_hub.utils import HfHubHTTPError

    begun = moved = time.monotonic()
    seen = done()

    def look(_: Any) -> list[Progress]:
        nonlocal moved, seen
        now, count = time.monotonic(), done()
        # Fewer than before: the library began anew.
        if not seen <= count < seen + _LEAST:
            moved, seen = now, count
        if now - moved > _SILENCE_S or now - begun > limit:
            raise _Silent
        return [Progress(count, step.total, step.text)]

    try:
        return (yield from relay(run_in_thread(call, step), look))
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status == 404:
            return None
        raise WeightsError(_status_text(source, url, status)) from error
    except _Silent:
        raise WeightsError(_silent_text(source, url, done())) from None
    except (_TooMuch, WeightsError):
        raise
    except Exception as error:  # of whichever network library the hub's uses
        _log.info("fetching %s failed", url, exc_info=True)
        # After the first bytes it is a transfer that was cut off, told with how far it
        # came.
        if isinstance(error, OSError) and done():
            raise
        raise WeightsError(_silent_text(source, url, done())) from error


def _iter_check(source: Source, part: Path, remote: _Remote) -> Steps[None]:
    digest, done = hashlib.sha256(), 0
    with part.open("rb") as file:
        # In pieces, so that it can be cancelled and its progress seen.
        while chunk := file.read(8 << 20):
            digest.update(chunk)
            done += len(chunk)
            yield Progress(done, remote.size, f"Checking {source.title}")
    if digest.hexdigest() != remote.sha256:
        part.unlink()
        raise WeightsError(_wrong_text(source))


def _check_space(part: Path, remote: _Remote) -> None:
    here = part.stat().st_size if part.exists() else 0
    if shutil.disk_usage(part.parent).free < remote.size - here:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _status_text(source: Source, url: str, status: int) -> str:
    if status in (401, 403):
        page = url.split("/resolve/")[0]
        return (
            f"{source.title} is given only to those who accepted its licence: accept "
            f"it at {page} and set HF_TOKEN, or {_OFFERS}."
        )
    host = urlsplit(url).hostname
    return f"{source.title} cannot be fetched, {host} answers {status}: {_OFFERS}."


def _silent_text(source: Source, url: str, done: int) -> str:
    host = urlsplit(url).hostname
    how = "sends next to nothing any more" if done else "does not answer"
    return (
        f"{source.title} cannot be fetched because {host} {how}: {_OFFERS} when there "
        "is a network."
    )


def _wrong_text(source: Source) -> str:
    return (
        f"What was downloaded as {source.title} is not what the server promised, so "
        f"it was thrown away: {_OFFERS}."
    )


def _disk_text(error: OSError, folder: Path) -> str:
    if error.errno == errno.ENOSPC:
        return f"The disk of {folder} is full: make room there, or {_OFFERS}."
    return (
        f"The weights cannot be kept in {folder} ({error.strerror or error}): set "
        "NAPARI_SEGDINO_WEIGHTS to a folder that can be written, or give a local file."
    )

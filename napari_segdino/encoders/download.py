"""Fetch weights: told early when it cannot work, trusted only when whole."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import socket
import threading
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from napari_segdino.encoders.weights import Source, target_path
from napari_segdino.errors import WeightsError
from napari_segdino.progress import Progress, Steps

if TYPE_CHECKING:
    import requests

_CONNECT_S = 4.0
_STALL_S = 10.0
_CHUNK = 1 << 20
_TRUE = {"1", "ON", "YES", "TRUE"}
_OFFERS = "use the built-in encoder efficientnet_lite0, give a local file, or try again"


class _NotThere(Exception):
    """The server has no such file."""


@dataclass(frozen=True, slots=True)
class _Remote:
    """What the server says of a file; ``sha256`` empty where it does not."""

    size: int
    sha256: str


def iter_fetch(source: Source) -> Steps[Path]:
    """Download weights into the program's folder.

    Closing the generator stops at once. What has come is kept under a name
    that is never loaded, and gone on with next time, if the server names the
    file's SHA-256; otherwise it is removed.

    Parameters
    ----------
    source : Source
        What to fetch. ``HF_ENDPOINT`` names a mirror, ``HF_HUB_OFFLINE``
        forbids the network, ``HF_TOKEN`` opens gated repositories.

    Yields
    ------
    Progress
        In bytes.

    Returns
    -------
    Path
        The whole file, its size and (where known) SHA-256 checked.

    Raises
    ------
    WeightsError
        One sentence: no network, gated, not there, disk full, folder not
        writable, cut short, or not the bytes that were promised.
    """
    yield Progress(0, 0, f"Asking for {source.title}")
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in _TRUE:
        raise WeightsError(
            f"{source.title} is not on this machine and HF_HUB_OFFLINE forbids "
            f"fetching it: {_OFFERS} without it."
        )
    endpoint = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    for file in source.files:
        url = f"{endpoint.rstrip('/')}/{source.repo}/resolve/main/{file}"
        try:
            return (yield from _iter_file(source, url, target_path(source, file)))
        except _NotThere:
            continue
    raise WeightsError(f"There is no {source.files[0]} in {source.repo}: {_OFFERS}.")


def _iter_file(source: Source, url: str, target: Path) -> Steps[Path]:
    import requests

    try:
        with requests.Session() as session:
            path: Path = yield from _iter_session(session, source, url, target)
            return path
    except requests.RequestException as error:
        raise WeightsError(_network_text(source, url)) from error
    except OSError as error:
        raise WeightsError(_disk_text(error, target.parent)) from error


def _iter_session(
    session: requests.Session, source: Source, url: str, target: Path
) -> Steps[Path]:
    _resolve_quickly(source, url)
    with closing(_get(session, source, url, 0)) as response:
        remote = _read_headers(response)
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.{remote.sha256[:16] or 'new'}.part")
        _check_space(part, remote)
        have = part.stat().st_size if remote.sha256 and part.exists() else 0
        if not 0 < have <= remote.size:
            yield from _iter_write(source, response, part, remote, 0)
    if 0 < have < remote.size:
        with closing(_get(session, source, url, have)) as response:
            # A server that knows no ranges sends the whole file again.
            begin = have if response.status_code == 206 else 0
            yield from _iter_write(source, response, part, remote, begin)
    yield from _iter_check(source, part, remote)
    os.replace(part, target)
    return target


def _iter_write(
    source: Source,
    response: requests.Response,
    part: Path,
    remote: _Remote,
    begin: int,
) -> Steps[None]:
    import requests

    done, whole = begin, False
    text = f"Downloading {source.title}"
    try:
        with part.open("r+b" if begin else "wb") as file:
            file.seek(begin)
            for chunk in response.iter_content(_CHUNK):
                file.write(chunk)
                done += len(chunk)
                yield Progress(done, remote.size, text)
        whole = True
    except requests.RequestException as error:
        raise WeightsError(_cut_text(source, done, remote)) from error
    finally:
        if not whole and not remote.sha256:
            part.unlink(missing_ok=True)  # nothing could tell it from another


def _iter_check(source: Source, part: Path, remote: _Remote) -> Steps[None]:
    size = part.stat().st_size
    if remote.size and size != remote.size:
        if not remote.sha256 or size > remote.size:
            part.unlink()
        raise WeightsError(_cut_text(source, size, remote))
    if not remote.sha256:
        return
    digest, done = hashlib.sha256(), 0
    with part.open("rb") as file:
        while chunk := file.read(8 * _CHUNK):
            digest.update(chunk)
            done += len(chunk)
            yield Progress(done, size, f"Checking {source.title}")
    if digest.hexdigest() != remote.sha256:
        part.unlink()
        raise WeightsError(
            f"What was downloaded as {source.title} is not what the server "
            f"promised, so it was thrown away: {_OFFERS}."
        )


def _get(
    session: requests.Session, source: Source, url: str, begin: int
) -> requests.Response:
    # Compression would hide the size and break ranges.
    headers = {"Accept-Encoding": "identity", "User-Agent": "napari-segdino"}
    if begin:
        headers["Range"] = f"bytes={begin}-"
    if token := _token():
        headers["Authorization"] = f"Bearer {token}"
    response = session.get(
        url, headers=headers, stream=True, timeout=(_CONNECT_S, _STALL_S)
    )
    status = response.status_code
    if status in (200, 206):
        return response
    response.close()
    if status == 404:
        raise _NotThere(url)
    page = url.split("/resolve/")[0]
    if status in (401, 403):
        raise WeightsError(
            f"{source.title} is given only to those who accepted its licence: accept "
            f"it at {page} and set HF_TOKEN, or {_OFFERS}."
        )
    raise WeightsError(f"{page} answers with error {status}: {_OFFERS}.")


def _token() -> str | None:
    from huggingface_hub import get_token

    return os.environ.get("HF_TOKEN") or get_token()


def _read_headers(response: requests.Response) -> _Remote:
    # The hub's own answer carries them; the store it redirects to does not.
    size, sha256 = _number(response.headers.get("Content-Length")), ""
    for answer in (*response.history, response):
        etag = answer.headers.get("x-linked-etag", "").strip('W/"')
        if re.fullmatch(r"[0-9a-f]{64}", etag):
            sha256 = etag
        size = _number(answer.headers.get("x-linked-size")) or size
    return _Remote(size, sha256)


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() else 0


def _resolve_quickly(source: Source, url: str) -> None:
    """Look the host up with a time limit, which the system's look-up has not."""
    from requests.utils import get_environ_proxies

    address = urlsplit(url)
    proxies = get_environ_proxies(url)
    if proxies.get(address.scheme) or proxies.get("all"):
        return  # the proxy looks it up
    answers: list[object] = []
    host = address.hostname or ""

    def look_up() -> None:
        try:
            answers.append(socket.getaddrinfo(host, None))
        except OSError as error:
            answers.append(error)

    thread = threading.Thread(target=look_up, daemon=True, name="segdino-dns")
    thread.start()
    thread.join(_CONNECT_S)
    if not answers or isinstance(answers[0], OSError):
        raise WeightsError(_network_text(source, url))


def _check_space(part: Path, remote: _Remote) -> None:
    here = part.stat().st_size if part.exists() else 0
    if shutil.disk_usage(part.parent).free < remote.size - here:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _network_text(source: Source, url: str) -> str:
    host = urlsplit(url).hostname
    return (
        f"{source.title} cannot be fetched because {host} does not answer: {_OFFERS} "
        "when there is a network."
    )


def _cut_text(source: Source, done: int, remote: _Remote) -> str:
    return (
        f"The download of {source.title} was cut off after {done} of "
        f"{remote.size} bytes: {_OFFERS}."
    )


def _disk_text(error: OSError, folder: Path) -> str:
    if error.errno == errno.ENOSPC:
        return f"The disk of {folder} is full: make room there, or {_OFFERS}."
    return (
        f"The weights cannot be kept in {folder} ({error.strerror or error}): set "
        "NAPARI_SEGDINO_WEIGHTS to a folder that can be written, or give a local file."
    )

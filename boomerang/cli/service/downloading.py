"""The command that brings a size here from a running service: download."""

import hashlib
import os
import shutil
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Annotated, Any
from urllib.parse import quote, urlencode

import typer

from boomerang.assembly.writing import on_disk
from boomerang.cli import options
from boomerang.cli.progress import Bar
from boomerang.cli.service.client import POLL_SECONDS, RETRY_SECONDS, Refused, Service, Unreachable
from boomerang.cli.show import emit
from boomerang.errors import BadRequest

TAGS = ".etags"
"""The folder, in that of a download which is not whole, of what each of its files is a part of."""
Progress = Callable[[int], None]
"""Is told how many bytes more there are, or fewer."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A file as the service lists it: `sha256` or `oid`, git's own digest, where it knows it."""

    name: str
    bytes: int
    sha256: str | None
    oid: str | None


@dataclass(frozen=True, slots=True)
class Size:
    """One size at one commit, with its files."""

    size: str
    family: str
    repo: str
    commit: str
    files: tuple[Listed, ...]

    @property
    def name(self) -> str:
        """What its folder is called."""
        return self.repo.rpartition("/")[2]


def download(
    size: Annotated[str, typer.Argument(help=f"A size's name, or a budget: {options.BUDGET}.")],
    family: Annotated[
        str | None, typer.Option(help="Id of its family, where several have that size.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder (or tar) to write. [default: the model's name]")
    ] = None,
    tar: Annotated[bool, typer.Option("--tar", help="As one tar instead of a folder.")] = False,
    url: options.Url = options.LOCAL,
    api_key: options.Key = "",
    as_json: options.Json = False,
) -> None:
    """Download a size from a running service.

    It appears whole or not at all: every file has the bytes that the service lists, and the sha256
    where it knows that. What is there already when it is interrupted is not downloaded again.
    """
    with Service(url, api_key) as service:
        found = look(service, size, family)
        to = out or Path(f"{found.name}.tar" if tar else found.name)
        if to.exists():
            raise BadRequest(
                f"{to} is there already.", value=str(to), fix="Remove it, or name another --out."
            )
        to.parent.mkdir(parents=True, exist_ok=True)
        with Bar(found.name, size=True) as bar:
            proven = (_tar if tar else _folder)(service, found, to, bar)
    files = [asdict(one) | {"proven": proven[one.name]} for one in found.files]
    shown = {"size": found.size, "family": found.family, "repo": found.repo, "out": str(to),
             "commit": found.commit, "bytes": sum(one.bytes for one in found.files)}  # fmt: skip
    emit({**shown, "files": files}, as_json, _view)


def look(service: Service, size: str, family: str | None = None) -> Size:
    """The size of a name, or that a budget buys, with its files.

    Raises BadRequest where several families have it, Refused or Unreachable.
    """
    query = "" if family is None else f"?{urlencode({'family': family})}"
    member = service.get(f"/models/{quote(size, safe='')}{query}", choices=True)
    if "choices" in member:
        ways = ", ".join(sorted(one["family"] for one in member["choices"]))
        raise BadRequest(
            f"Several families have {size!r}.", value=size, fix=f"Say which by --family: {ways}."
        )
    repo = str(member["hub_id"])
    about = service.get(f"/api/models/{quote(repo)}?blobs=true")
    files = tuple(_listed(one) for one in about["siblings"])
    return Size(str(member["size"]), str(member["family"]), repo, str(about["sha"]), files)


def _listed(told: Mapping[str, Any]) -> Listed:
    """One file. Raises Refused for a name that would lead out of the folder."""
    name = str(told["rfilename"])
    path = PurePosixPath(name)
    if path.is_absolute() or not path.parts or {"..", TAGS} & set(path.parts) or "\0" in name:
        raise Refused(f"The service lists a file {name!r}.", value=name, fix="Do not trust it.")
    large = told.get("lfs")
    sha256 = large["sha256"] if large else None
    return Listed(name, int(told["size"]), sha256, None if large else told.get("blobId"))


def _folder(service: Service, found: Size, to: Path, bar: Bar) -> dict[str, str]:
    part = to.with_name(f".{to.name}.part")
    (part / TAGS).mkdir(parents=True, exist_ok=True)
    counted, proven = _Counted(bar, sum(one.bytes for one in found.files)), {}
    for index, file in enumerate(found.files):
        path, tag = part / file.name, part / TAGS / str(index)
        path.parent.mkdir(parents=True, exist_ok=True)
        etag = fetch(service, _address(found, file), path, tag, counted)
        with path.open("rb") as opened:
            how = proof(file, opened, etag)
        if how is None:
            path.unlink()
            raise _another(file.name)
        proven[file.name] = how
        on_disk(path)
    shutil.rmtree(part / TAGS)
    on_disk(part)
    part.rename(to)
    return proven


def _tar(service: Service, found: Size, to: Path, bar: Bar) -> dict[str, str]:
    part = to.with_name(f".{to.name}.part")
    tag = part.with_name(f"{part.name}.etag")
    asked = urlencode({"family": found.family, "download": ""})
    counted = _Counted(bar, None)
    fetch(service, f"/models/{quote(found.size)}?{asked}", part, tag, counted)
    listed = {f"{found.name}/{one.name}": one for one in found.files}
    proven: dict[str, str] = {}
    try:
        for name, opened in _entries(part):
            file = listed.get(name)
            if file is None or (how := _proof(service, found, file, opened)) is None:
                raise _another(name)
            proven[file.name] = how
        if len(proven) != len(listed):
            raise _another(to.name)
    except (tarfile.TarError, Refused) as error:
        part.unlink()
        raise _another(to.name) from error
    finally:
        if not part.exists():
            tag.unlink(missing_ok=True)
    on_disk(part)
    part.rename(to)
    tag.unlink()
    return proven


def _proof(service: Service, found: Size, file: Listed, content: IO[bytes]) -> str | None:
    etag = service.steadily(lambda: service.head(_address(found, file))["etag"])
    return proof(file, content, etag.strip('"'))


def _address(found: Size, file: Listed) -> str:
    return f"/{quote(found.repo)}/resolve/{found.commit}/{quote(file.name)}"


def _entries(path: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """The files of a tar, by name. Raises TarError for anything else in one."""
    with tarfile.open(path, "r:") as opened:
        for entry in opened:
            content = opened.extractfile(entry) if entry.isreg() else None
            if content is None:
                raise tarfile.TarError(f"{entry.name} is no file")
            yield entry.name, content


def _another(name: str) -> Refused:
    return Refused(
        f"{name} did not arrive as the service lists it.", value=name,
        fix="Run it again: what is whole is kept.",
    )  # fmt: skip


def proof(file: Listed, content: IO[bytes], etag: str) -> str | None:
    """By what content is the file that is listed (`sha256`, `git` or `size`); None: it is not.

    `etag` is what the service called it; where that is all that stands for it, only its size is
    known.
    """
    size = content.seek(0, os.SEEK_END)
    content.seek(0)
    if size != file.bytes:
        return None
    if file.sha256 is not None:
        return "sha256" if _digest(content, hashlib.sha256()) == file.sha256 else None
    if file.oid is None or file.oid == etag:
        return "size"
    # https://git-scm.com/book/en/v2/Git-Internals-Git-Objects
    blob = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    return "git" if _digest(content, blob) == file.oid else None


def _digest(content: IO[bytes], total: Any) -> str:
    while chunk := content.read(1 << 20):
        total.update(chunk)
    return str(total.hexdigest())


def fetch(service: Service, path: str, to: Path, tag: Path, progress: Progress) -> str:
    """GET a file to disk; return its ETag.

    What is there of it is kept where it is a part of what the service has now, by the ETag in the
    file `tag`, also when the connection breaks. Raises Refused, and Unreachable where the service
    stays away.
    """
    told = 0
    until = time.monotonic() + RETRY_SECONDS
    while True:
        try:
            headers = service.head(path)
            etag, total = headers["etag"], int(headers["content-length"])
            if not tag.exists() or tag.read_text() != etag:
                to.unlink(missing_ok=True)
                tag.write_text(etag)
            have = to.stat().st_size if to.exists() else 0
            progress(have - told)
            told = have
            for count in _more(service, path, to, etag, have, total):
                told += count
                progress(count)
                until = time.monotonic() + RETRY_SECONDS
            return etag.strip('"')
        except Unreachable:
            if time.monotonic() > until:
                raise
            time.sleep(POLL_SECONDS)


def _more(service: Service, path: str, to: Path, etag: str, have: int, total: int) -> Iterator[int]:
    """Append what a file lacks; the bytes of each chunk. Raises Unreachable where it ends early."""
    if have == total and to.exists():
        return
    asked = {"Range": f"bytes={have}-", "If-Range": etag} if have else {}
    with service.streamed(path, "*/*", asked) as answer, to.open("ab") as file:
        whole = answer.status_code == 200
        if answer.headers.get("etag") != etag or (whole and have):
            raise Unreachable(f"{path} changed while it was downloaded.", value=path)
        for chunk in answer.iter_raw():
            file.write(chunk)
            yield len(chunk)
        if file.tell() != total:
            raise Unreachable(f"{file.tell()} of {total} bytes of {path} arrived.", value=path)


class _Counted:
    """Shows on a bar how much there is; where the total is None, only that."""

    def __init__(self, bar: Bar, total: int | None) -> None:
        self._bar, self._total, self._done = bar, total, 0

    def __call__(self, more: int) -> None:
        self._done += more
        self._bar.count(self._done, self._total or self._done)


def _view(done: Mapping[str, Any]) -> str:
    files = done["files"]
    known = sum(one["proven"] != "size" for one in files)
    return (
        f"{done['out']}: {done['size']} of {done['family']}, {len(files)} files, "
        f"{done['bytes']:,} bytes; {known} of them by their digest, all by their size."
    )

"""From a file's address on the Hub to the storage that serves it, and back when that expires.

The Hub answers for a large file with a redirect to its storage. Where that leads is remembered
for as long as the storage accepts it. The token goes to the Hub alone; the address of the storage
is signed, so it stands in no error and no log.
"""

from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urljoin, urlsplit

from boomerang.errors import HubFailure, SourceChanged
from boomerang.hub import library
from boomerang.hub.client import StorageRefused, hub_endpoint, hub_headers, hub_token, session
from boomerang.hub.hurry import silence

if TYPE_CHECKING:
    from httpx2 import Response

HOPS = 5
"""Redirects on the Hub itself that are followed: a renamed repository has one."""
EXPIRED = frozenset({400, 401, 403, 404, 410})
"""What storage says to an address that was signed too long ago."""
GONE = frozenset({404, 410})


@dataclass(frozen=True, slots=True)
class HubFile:
    """One file of a repository at a commit, as it was listed. `sha256` is known of large ones."""

    repo_id: str
    commit: str
    path: str
    size: int
    endpoint: str | None = None
    sha256: str | None = None

    @property
    def url(self) -> str:
        """Where the Hub serves it."""
        root = hub_endpoint(self.endpoint)
        return f"{root}/{self.repo_id}/resolve/{self.commit}/{quote(self.path)}"

    def changed(self, how: str) -> SourceChanged:
        """The error for a file that is not what was listed."""
        return SourceChanged(
            f"{self.path!r} of {self.repo_id!r} is not what was listed at {self.commit[:12]}: "
            f"{how}.",
            value=self.path,
            fix="Ask for the model again, so that it is listed anew.",
        )

    def failure(self, how: str) -> HubFailure:
        """The error for answers that cannot be used."""
        return HubFailure(
            f"{how} for {self.path!r} of {self.repo_id!r}.",
            value=self.path,
            fix="Use another endpoint, or fetch the model into a folder.",
        )


@dataclass(slots=True)
class Location:
    """Where one file is served, once it is known. Safe to use from many threads."""

    _address: str | None = field(default=None, repr=False)
    _etag: str | None = None
    _lock: Lock = field(default_factory=Lock, repr=False)

    def open(self, file: HubFile, first: int, stop: int) -> "Response":
        """An answer whose body begins with byte `first` of [first, stop); to be closed.

        Raises SourceChanged, HubFailure, StorageRefused, and what the Hub's client raises.
        """
        while True:
            fresh = None
            with self._lock:
                # One thread asks the Hub, the others wait for what it learns.
                address = self._address
                if address is None:
                    fresh = _ask_hub(file, first, stop)
                    address = self._address = _storage_of(file, fresh)
                    self._etag = None
            if address == file.url:
                response = fresh or _ask_hub(file, first, stop)
            else:
                response = _send(address, _range(file, first, stop), follow_redirects=True)
                if response.status_code in EXPIRED and fresh is None:
                    response.close()
                    self._forget(address)
                    continue
            try:
                self._check(file, response, first, stop)
            except BaseException:
                response.close()
                raise
            return response

    def _forget(self, address: str) -> None:
        with self._lock:
            if self._address == address:
                self._address = None

    def _check(self, file: HubFile, response: "Response", first: int, stop: int) -> None:
        status, headers = response.status_code, response.headers
        if status in GONE or status == 416:
            raise file.changed(f"the storage answers {status}")
        if response.is_error:
            raise StorageRefused(status, headers.get("Retry-After", ""))
        told = headers.get("Content-Range", "")
        if status == 206:
            if told.rpartition("/")[2].isdigit() and not told.endswith(f"/{file.size}"):
                raise file.changed(f"it has {told.rpartition('/')[2]} bytes, not {file.size}")
            if not told.startswith(f"bytes {first}-") or _last(told) >= stop:
                raise file.failure(f"Other bytes than were asked for ({told[:60]!r}) came")
        elif status != 200 or (first, stop) != (0, file.size):
            # Believing it would mean taking other bytes, or the whole of a huge file.
            raise file.failure("The Hub does not serve ranges")
        etag = headers.get("ETag")
        with self._lock:
            known, self._etag = self._etag, self._etag or etag
        if etag and known and etag != known:
            raise file.changed("its ETag is another one now")


def _last(content_range: str) -> int:
    """The last byte that `bytes A-B/N` names; beyond every file where it names none."""
    last = content_range.partition("/")[0].rpartition("-")[2]
    return int(last) if last.isdigit() and len(last) < 20 else 1 << 63


def _range(file: HubFile, first: int, stop: int) -> dict[str, str]:
    # Compressed bytes would be others than those at these offsets.
    plain = {"Accept-Encoding": "identity"}
    whole = (first, stop) == (0, file.size)
    return plain if whole else plain | {"Range": f"bytes={first}-{stop - 1}"}


def _ask_hub(file: HubFile, first: int, stop: int) -> "Response":
    """The Hub's own answer: a redirect off the Hub, or the bytes themselves."""
    told = hub_headers(hub_token())
    url = file.url
    for _ in range(HOPS):
        response = _send(url, told | _range(file, first, stop), follow_redirects=False)
        try:
            if response.status_code in (410, 416):
                raise file.changed(f"the Hub answers {response.status_code}")
            if response.is_error:
                response.read()
                library.http.hf_raise_for_status(response)
            target = _target(url, response)
            if target is not None and _origin(target) == _origin(file.url):
                url = target
                response.close()
                continue
            _check_listed(file, response)
        except BaseException:
            response.close()
            raise
        return response
    raise file.failure("The Hub redirects in a circle")


def _storage_of(file: HubFile, response: "Response") -> str:
    target = _target(file.url, response)
    if target is None:
        return file.url
    response.close()
    scheme = urlsplit(target).scheme
    if scheme != "https" and scheme != urlsplit(file.url).scheme:
        raise file.failure(f"The Hub leads to an address of scheme {scheme[:10]!r}")
    return target


def _check_listed(file: HubFile, response: "Response") -> None:
    """Raise SourceChanged where the Hub now serves another commit, content or length."""
    headers = response.headers
    commit, size = headers.get("X-Repo-Commit"), headers.get("X-Linked-Size")
    if commit is not None and commit != file.commit:
        raise file.changed(f"the Hub serves commit {commit[:12]}")
    if size is not None and size != str(file.size):
        raise file.changed(f"it has {size[:20]} bytes, not {file.size}")
    etag = headers.get("X-Linked-Etag", "").removeprefix("W/").strip('"')
    if etag and file.sha256 and etag != file.sha256:
        raise file.changed("its sha256 is another one")


def _target(url: str, response: "Response") -> str | None:
    return urljoin(url, response.headers["Location"]) if response.has_redirect_location else None


def _origin(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, (parts.hostname or ""), parts.port


def _send(url: str, headers: dict[str, Any], *, follow_redirects: bool) -> "Response":
    client = session()
    request = client.build_request("GET", url, headers=headers, timeout=silence())
    return client.send(request, stream=True, follow_redirects=follow_redirects)

"""One file of a repository at a pinned commit, read by byte range over HTTP."""

from dataclasses import dataclass
from urllib.parse import quote

from boomerang.errors import HubFailure
from boomerang.hub_client import TIMEOUT, hub_endpoint, hub_errors, hub_token, patiently


@dataclass(frozen=True, slots=True)
class HubSource:
    """A `Source` (checkpoint.py) on the Hub: `size` bytes at `path`, as of `commit`."""

    repo_id: str
    commit: str
    path: str
    size: int
    endpoint: str | None = None

    @property
    def name(self) -> str:
        """The file's path in its repository."""
        return self.path

    @property
    def url(self) -> str:
        """Where the Hub serves it."""
        root = hub_endpoint(self.endpoint)
        return f"{root}/{self.repo_id}/resolve/{self.commit}/{quote(self.path)}"

    def read(self, start: int, stop: int) -> bytes:
        """Return exactly the bytes [start, stop). A connection that breaks is taken up again.

        Raises TeacherNotFound or FileNotInModel (gone since), GatedTeacher or HubFailure.
        """
        if not 0 <= start <= stop <= self.size:
            raise ValueError(f"[{start}, {stop}) is no range of {self.path}: {self.size} bytes")
        got = bytearray()
        with hub_errors(self.repo_id, self.path):
            while len(got) < stop - start:
                patiently(lambda: self._fill(got, start, stop))
        return bytes(got)

    def _fill(self, got: bytearray, start: int, stop: int) -> None:
        """Append to `got` what is missing of [start, stop); what arrived before a break stays."""
        from huggingface_hub import get_session
        from huggingface_hub.utils._headers import build_hf_headers
        from huggingface_hub.utils._http import hf_raise_for_status

        headers = build_hf_headers(token=hub_token(), library_name="boomerang")
        headers |= {"Accept-Encoding": "identity"}
        first = start + len(got)
        part = (first, stop) != (0, self.size)
        if part:
            headers["Range"] = f"bytes={first}-{stop - 1}"
        with get_session().stream(
            "GET", self.url, headers=headers, follow_redirects=True, timeout=TIMEOUT
        ) as response:
            if response.is_error:
                response.read()
            hf_raise_for_status(response)
            told = response.headers.get("Content-Range", "")
            if part and not told.startswith(f"bytes {first}-{stop - 1}/"):
                # Believing it would mean taking other bytes, or the whole of a huge file.
                raise HubFailure(
                    f"The Hub does not serve ranges of {self.path!r}.",
                    value=self.path,
                    fix="Use an endpoint that does, or fetch the model into a folder.",
                )
            before = len(got)
            for chunk in response.iter_raw():
                got += chunk
                if len(got) > stop - start:
                    raise self._wrong_size()
            if len(got) == before:
                raise self._wrong_size()

    def _wrong_size(self) -> HubFailure:
        return HubFailure(
            f"{self.path!r} of {self.repo_id!r} has not the {self.size} bytes that were listed.",
            value=self.path,
            fix="Ask for the model again, so that it is listed anew.",
        )

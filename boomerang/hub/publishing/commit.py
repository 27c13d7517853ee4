"""One commit that makes a repository complete, whatever became of the answer to it.

Large files stand in it by their digests, so that one commit does for any number of them: a reader
never sees a part of a model, and an upload that ends before has changed nothing.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from boomerang.assembly.bytefile import ByteFile
from boomerang.hub import library
from boomerang.hub.client import Patience, hub_headers, patiently
from boomerang.hub.publishing.changes import Changes, Digests, changes
from boomerang.hub.publishing.copies import Elsewhere, copies
from boomerang.hub.publishing.lanes import addition, lane
from boomerang.retries import CONFLICTS, STATUSES

if TYPE_CHECKING:
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.hf_api import ModelInfo

Progress = Callable[[int, int], object]


class Tally:
    """Bytes that the Hub has of those that are to be published, told to `progress`."""

    def __init__(
        self, files: Mapping[str, ByteFile], lacking: Mapping[str, ByteFile],
        progress: Progress | None,
    ) -> None:  # fmt: skip
        self._total = sum(content.size for content in files.values())
        self._there = self._total - sum(content.size for content in lacking.values())
        self._progress = progress or (lambda done, total: None)
        self._progress(self._there, self._total)

    def within(self, done: int) -> None:
        """So much of a file is there."""
        self._progress(self._there + done, self._total)

    def whole(self, size: int) -> None:
        """A file of this size is there."""
        self._there += size
        self.within(0)

    def end(self) -> None:
        """All of them are, those of the commit itself among them."""
        self._progress(self._total, self._total)


class Committer:
    """Brings a repository from the state `info` to one that has `files`, in one step."""

    def __init__(
        self, client: "HfApi", info: "ModelInfo", files: Mapping[str, ByteFile], digests: Digests
    ) -> None:
        self._client, self._info, self._files, self._digests = client, info, files, digests
        self._lane = lane(client, info.id, digests)

    def commit(
        self, message: str, elsewhere: Sequence[Elsewhere], progress: Progress | None
    ) -> str:
        """Copy and send what is lacking, then commit it; the commit, or the one that is there.

        Raises what `hub_errors` translates.
        """
        todo = changes(self._files, self._info, self._digests)
        tally = Tally(self._files, todo.send, progress)
        if not todo:
            return str(self._info.sha)
        small, large = self._kinds(todo)
        sizes = {name: content.size for name, content in large.items()}
        there = copies(self._client, self._info, sizes, self._digests, elsewhere)
        sent = self._send({n: one for n, one in large.items() if n not in there}, tally)
        gone = [library.huggingface_hub.CommitOperationDelete(name) for name in todo.remove]
        try:
            commit = self._once(message, [*gone, *small, *sent, *there.values()], todo)
        except Exception as error:
            if not there or not _cannot_copy(error):
                raise
            # What was to be copied is not to be had there any more.
            sent += self._send({name: large[name] for name in there}, tally)
            commit = self._once(message, [*gone, *small, *sent], todo)
        tally.end()
        return commit

    def _kinds(self, todo: Changes) -> tuple[list["CommitOperationAdd"], Mapping[str, ByteFile]]:
        """What goes with the commit itself, and what is stored before it: the Hub decides."""
        asked = [addition(name, content) for name, content in todo.send.items()]
        patiently(
            lambda: library.commits._fetch_upload_modes(
                additions=asked,
                repo_type="model",
                repo_id=self._info.id,
                headers=hub_headers(self._client.token),
                revision="main",
                endpoint=self._client.endpoint,
            )
        )
        small, large = [], {}
        for one in asked:
            name = one.path_in_repo
            if one._upload_mode == "lfs":
                large[name] = todo.send[name]
                continue
            made = library.huggingface_hub.CommitOperationAdd(name, todo.send[name].read())
            made._upload_mode, made._should_ignore = one._upload_mode, one._should_ignore
            small.append(made)
        return small, large

    def _send(self, large: Mapping[str, ByteFile], tally: Tally) -> list["CommitOperationAdd"]:
        made = []
        for name, content in large.items():
            made.append(self._lane.send(name, content, tally.within))
            tally.whole(content.size)
        return made

    def _once(self, message: str, operations: list[Any], todo: Changes) -> str:
        """Commit, and after an error look whether it was done before it is tried again."""
        patience = Patience()
        while True:
            with patience:
                try:
                    done = self._client.create_commit(
                        self._info.id, operations, commit_message=message,
                        parent_commit=self._info.sha,
                    )  # fmt: skip
                    return str(done.oid)
                except Exception as error:
                    head = self._done(todo)
                    if head is not None:
                        return head
                    if isinstance(error, json.JSONDecodeError):
                        # The client reads what a card's check says before it looks at the status.
                        raise library.httpx2.RemoteProtocolError("no JSON") from error
                    raise

    def _done(self, todo: Changes) -> str | None:
        """The head of the repository where it is what was to be committed."""
        ask = self._client.model_info
        head = patiently(lambda: ask(self._info.id, files_metadata=True))
        if head.sha == self._info.sha or changes(self._files, head, self._digests):
            return None
        return str(head.sha)


def _cannot_copy(error: Exception) -> bool:
    """Whether the files may do without being copied: not where the Hub is away, or was faster."""
    errors = library.errors
    if isinstance(error, errors.HfHubHTTPError):
        return error.response.status_code not in STATUSES | CONFLICTS
    return isinstance(error, errors.FileDuplicationError | errors.EntryNotFoundError | ValueError)

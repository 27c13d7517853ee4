"""The tokens of a split in a file that grows, and beside it how far that has come.

What is written is whole up to what the second file says, whenever the writer is killed; the next
one goes on from there.
"""

import fcntl
import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from boomerang.errors import BoomerangError, as_json, from_json
from boomerang.recipes.recipe import TRAINER_VERSION, LossOn
from boomerang.texts.conversations import DataKind
from boomerang.texts.texts import Split, Texts
from boomerang.tokens.packing import Tokeniser

_SAID_EVERY = 0.5
"""Seconds after which a writer says again how far it is."""


class TokenSpec(BaseModel):
    """What a file of tokens is of. `most` is where it ends, if not at the end of the text.

    `begins` is what the tokenizer puts before a text, `trainer` the version that wrote the tokens:
    a file from before either changed is of something else, and written anew.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    teacher: Path
    vocabulary: int
    text: str
    digest: str
    split: Split = "train"
    kind: DataKind | None = None
    loss_on: LossOn = "all"
    most: int | None = None
    begins: tuple[int, ...] = ()
    trainer: str = TRAINER_VERSION

    @property
    def name(self) -> str:
        """What it is called in messages and on disk."""
        return self.split if self.kind is None else f"{self.split}-{self.kind}"


@dataclass(frozen=True)
class State:
    """How far a file is: documents read, tokens written, whether that is all; or why it never is.

    `of` is what was wanted.
    """

    of: dict[str, Any]
    documents: int = 0
    tokens: int = 0
    whole: bool = False
    error: dict[str, Any] | None = None

    def refuse(self) -> None:
        """Raise what the writer met, if anything."""
        if self.error is not None:
            raise from_json(self.error)


@dataclass(frozen=True)
class TokenFile:
    """The tokens that are wanted, in the folder of a run, as int32 one after the other."""

    run: Path
    spec: TokenSpec

    @property
    def path(self) -> Path:
        """The tokens."""
        return self.run / f"{self.spec.name}.tokens"

    @property
    def _said(self) -> Path:
        return self.run / f"{self.spec.name}.json"

    def state(self) -> State:
        """How far it is; nowhere where it is of something else."""
        of = self.spec.model_dump(mode="json")
        try:
            found = State(**json.loads(self._said.read_bytes()))
        except (OSError, ValueError, TypeError):
            return State(of)
        return found if found.of == of else State(of)

    def tokens(self, state: State) -> NDArray[np.int32]:
        """Those that were written by then, mapped."""
        if state.tokens == 0:
            return np.empty(0, np.int32)
        return np.memmap(self.path, np.int32, mode="r", shape=(state.tokens,))

    def write(
        self, tokeniser: Tokeniser, texts: Texts, tick: Callable[[], None] = lambda: None
    ) -> None:
        """Write what is not there yet. One process at a time does; `tick` is called now and then.

        Raises OSError, or whatever is wrong with the text.
        """
        self.run.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as out:
            _lock(out, tick)
            state = self.state()
            if state.whole:
                return
            # What is behind it was written and not said.
            out.truncate(state.tokens * np.dtype(np.int32).itemsize)
            self._go_on(out, replace(state, error=None), tokeniser, texts, tick)

    def _go_on(
        self, out: IO[bytes], state: State, tokeniser: Tokeniser, texts: Texts,
        tick: Callable[[], None],
    ) -> None:  # fmt: skip
        spec, said = self.spec, time.monotonic()
        self._say(out, state)
        documents = islice(texts.documents(spec.split, spec.kind), state.documents, None)
        for count, tokens in tokeniser.batches(documents, spec.loss_on):
            tick()
            room = None if spec.most is None else spec.most - state.tokens
            out.write(tokens[:room].tobytes())
            tokens_now = state.tokens + len(tokens[:room])
            state = replace(state, documents=state.documents + count, tokens=tokens_now)
            if tokens_now == spec.most:
                break
            if time.monotonic() - said >= _SAID_EVERY:
                self._say(out, state)
                said = time.monotonic()
        self._say(out, replace(state, whole=True))

    def forget_error(self) -> None:
        """Whoever writes next may fare better, as with a Hub that did not answer."""
        if (state := self.state()).error is not None:
            self._replace(replace(state, error=None))

    def fail(self, error: BoomerangError) -> None:
        """Say why the rest will not come."""
        self._replace(replace(self.state(), error=as_json(error)))

    def _say(self, out: IO[bytes], state: State) -> None:
        out.flush()
        # Or a crash of the machine could leave zeros where tokens were said to be.
        os.fdatasync(out.fileno())
        self._replace(state)

    def _replace(self, state: State) -> None:
        partial = self.run / f".{self.spec.name}.partial.json"
        partial.write_text(json.dumps(asdict(state)))
        os.replace(partial, self._said)


def _lock(out: IO[bytes], tick: Callable[[], None]) -> None:
    """Wait until no other process writes; one whose trainer was killed leaves soon."""
    while True:
        try:
            fcntl.flock(out, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            tick()
            time.sleep(0.05)

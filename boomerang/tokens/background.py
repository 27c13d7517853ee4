"""Text that is tokenised by a process of its own, ahead of the steps that are trained on it.

The process is `python -m boomerang.tokens.background RUN SPEC`; it ends with its trainer.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen

import numpy as np
from numpy.typing import NDArray

from boomerang.errors import BoomerangError, Interrupted, TrainingFailed
from boomerang.processes.child import start
from boomerang.texts.texts import Texts
from boomerang.tokens.packing import Tokeniser
from boomerang.tokens.token_file import TokenFile, TokenSpec
from boomerang.tokens.windows import Numbered, Stream, tokens_for

_PATIENCE = 60.0
"""Seconds until what the first process has seen must be seen by the others."""


class GrowingStream(Numbered):
    """A split of which the tokens still come; where this process started it, the `writer` is known.

    Gives the sequences that a Stream of all tokens would. Raises what ended the writer.
    """

    def __init__(
        self, file: TokenFile, length: int, end: int, begins: tuple[int, ...] = (),
        writer: "Popen[bytes] | None" = None,
    ) -> None:  # fmt: skip
        self.length, self.end, self.begins = length, end, begins
        self._file, self.writer = file, writer
        self._whole, self._tokens = False, np.empty(0, np.int32)

    def has(self, number: int) -> bool:
        """As that of Numbered."""
        wanted = tokens_for(number + 1, self.length)
        if self._whole or len(self._tokens) >= wanted:
            return True
        # In this order: a writer that has ended has said all that it will.
        ended = self.writer is not None and self.writer.poll() is not None
        state = self._file.state()
        state.refuse()
        if state.whole or state.tokens >= wanted:
            self._whole, self._tokens = state.whole, self._file.tokens(state)
            return True
        if ended:
            raise Interrupted(
                f"The process that tokenises the {self._file.spec.name} split ended with "
                f"status {self.writer.returncode if self.writer else None}.",
                value=state.tokens,
                fix="See the trainer's log, then run the job again: it goes on from there.",
            )
        return False

    def rows(self, seed: int, first: int, count: int) -> list[NDArray[np.int32]]:
        """As those of Numbered; waits a while for them."""
        until = time.monotonic() + _PATIENCE
        while not self.has(first + count - 1):
            if time.monotonic() > until:
                raise TrainingFailed(
                    f"Sequence {first + count - 1} of the {self._file.spec.name} split does not "
                    "come.",
                    value=str(self._file.path),
                    fix="The run folder must be one that all machines share.",
                )
            time.sleep(0.02)
        return self._there().rows(seed, first, count)

    def settled(self) -> Numbered:
        """A Stream once all tokens are there; itself until then.

        Raises BadRecipe for fewer than one sequence.
        """
        if not self._whole:
            return self
        self.close()
        return self._there()

    def _there(self) -> Stream:
        return Stream(self._tokens, self.length, self._file.spec.name, self.end, self.begins)

    def close(self) -> None:
        """End the writer: nobody needs what is behind the last step."""
        if self.writer is not None:
            self.writer.terminate()
            self.writer.wait()


SMALL_TEXT = 1 << 24
"""Bytes of text that the trainer tokenises itself: they are done before a process has started."""


def stream(
    tokeniser: Tokeniser, texts: Texts, spec: TokenSpec, length: int, run: Path,
    tick: Callable[[], None] = lambda: None, *, write: bool = True,
) -> Numbered:  # fmt: skip
    """The sequences of a split, as soon as there are some; tokenised once for each run folder.

    A large text's tokens go on coming while the caller trains; it closes what it gets. `write`
    is false where another process has begun to. `tick` is called now and then. Raises BadRecipe,
    and what is wrong with the text.
    """
    file, writer = TokenFile(run, spec.model_copy(update={"begins": tokeniser.begins})), None
    if write and texts.size(spec.split) <= SMALL_TEXT:
        file.write(tokeniser, texts, tick)
    elif write and not file.state().whole:
        writer = _started(file)
    found = GrowingStream(file, length, tokeniser.first, tokeniser.begins, writer)
    try:
        while not found.has(0):
            tick()
            time.sleep(0.02)
    except BaseException:
        found.close()
        raise
    return found.settled()


def _started(file: TokenFile) -> "Popen[bytes]":
    file.forget_error()
    return start([sys.executable, "-m", __name__, str(file.run), file.spec.model_dump_json()])


def main(arguments: list[str]) -> int:
    """Write the file that the arguments name, and return the exit status."""
    # Where the trainer has no device but the processor, it comes first.
    os.nice(5)
    file = TokenFile(Path(arguments[0]), TokenSpec.model_validate_json(arguments[1]))
    spec = file.spec
    try:
        file.write(Tokeniser(spec.teacher, spec.vocabulary), Texts.open(spec.text))
    except BoomerangError as error:
        file.fail(error)
        return 1
    except OSError as error:
        said = " ".join(str(error).split())[:300]
        file.fail(TrainingFailed(f"The text cannot be tokenised: {said}.", value=error.errno))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Text that is tokenised by a process of its own, ahead of the steps that are trained on it.

The process is `python -m boomerang.tokens.background RUN SPEC`; it ends with its trainer.
"""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen

from boomerang.errors import BoomerangError, TrainingFailed
from boomerang.processes.child import start
from boomerang.texts.texts import Texts
from boomerang.tokens.growing import GrowingStream
from boomerang.tokens.packing import Tokeniser
from boomerang.tokens.token_file import TokenFile, TokenSpec
from boomerang.tokens.windows import Numbered

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

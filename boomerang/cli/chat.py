"""Command that lets a size write or answer: chat."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from typing import Annotated, Any

import typer
from rich.console import Console

import boomerang
from boomerang.cli import options
from boomerang.cli.progress import Bar
from boomerang.cli.show import emit, terminal
from boomerang.errors import BoomerangError, Interrupted
from boomerang.face.chat import Asked, Playing

HELP = "/size 2.9B  another size   /sizes  all of them   /reset  forget what was said   /quit"
_UNSAFE = {code: None for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}
"""Characters that would have a terminal do something, which no model may."""


def chat(
    teacher: options.Teacher,
    student: options.Student,
    size: Annotated[
        str | None, typer.Option(help=f"A size's name, {options.BUDGET}. [default: the student's]")
    ] = None,
    order: options.Order = "last",
    prompt: Annotated[
        str | None, typer.Option(help="Write once after this, instead of a conversation.")
    ] = None,
    plain: Annotated[
        bool, typer.Option("--plain", help="Continue texts, also where there is a chat template.")
    ] = False,
    draft: Annotated[
        bool, typer.Option("--draft", help="Let the student propose what the size checks.")
    ] = False,
    max_tokens: Annotated[int, typer.Option(min=1, help="Tokens of an answer.")] = 256,
    temperature: Annotated[
        float, typer.Option(min=0.0, max=10.0, help="0 takes the most likely token each time.")
    ] = 0.0,
    top_p: Annotated[float, typer.Option(min=0.01, max=1.0, help="Draw from so much.")] = 1.0,
    seed: Annotated[int | None, typer.Option(min=0, help="Makes draws repeatable.")] = None,
    context: Annotated[
        int, typer.Option(min=2, help="Tokens of prompt and answer together.")
    ] = 2048,
    device: Annotated[str | None, typer.Option(help="As torch calls it: cpu, cuda.")] = None,
    dtype: Annotated[str | None, typer.Option(help="float32, bfloat16 or float16.")] = None,
    kept: options.Kept = None,
    as_json: options.Json = False,
) -> None:
    """Have any size write or answer, all of them from one pair in memory.

    Without --prompt it goes on line by line: /size 2.9B is another size at once, /sizes lists
    them, /reset forgets what was said, /quit ends.
    """
    if as_json and prompt is None:
        raise typer.BadParameter("--json belongs to --prompt.")
    models = options.find(teacher), options.find(student)
    how: dict[str, Any] = {
        "max_tokens": max_tokens, "temperature": temperature, "top_p": top_p, "draft": draft,
    }  # fmt: skip
    if seed is not None:
        how["seed"] = seed
    with _loading() as told:
        playing = boomerang.chat(
            *models, size, order=order, kept=options.layers(kept), context=context, device=device,
            dtype=dtype, told=told,
        )  # fmt: skip
    with playing:
        talk = Talk(playing, size, how, talks=playing.talks and not plain)
        if prompt is None:
            talk.go_on()
        elif as_json:
            said = talk.answer(talk.asked(prompt), lambda _: None)
            emit({"size": talk.size, **said}, True, str)
        else:
            talk.answer(talk.asked(prompt), _write)
            _write("\n")


@contextmanager
def _loading() -> Iterator[Callable[[Mapping[str, Any]], None]]:
    with Bar("loading teacher and student") as bar:

        def told(event: Mapping[str, Any]) -> None:
            if event["event"] == "fetching":
                bar.fetched(event)

        yield told


def _write(piece: str) -> None:
    sys.stdout.write(piece.translate(_UNSAFE))
    sys.stdout.flush()


@dataclass
class Talk:
    """One conversation, or one text after another, with a size that may be changed within it."""

    playing: Playing
    size: str | None
    how: dict[str, Any]
    talks: bool
    messages: list[dict[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.size = self.playing.resolve(self.size).size

    def asked(self, text: str) -> Asked:
        """What is asked with a text: the conversation with it, or the text itself."""
        return [*self.messages, {"role": "user", "content": text}] if self.talks else text

    def answer(self, asked: Asked, write: Callable[[str], object]) -> dict[str, Any]:
        """Have the size answer; its text, and what `begun` and `done` tell beside."""
        pieces: list[str] = []
        said: dict[str, Any] = {}
        for event in self.playing.events(asked, self.size, **self.how):
            if event["event"] == "text":
                pieces.append(event["text"])
                write(event["text"])
            else:
                said |= {name: v for name, v in event.items() if name not in ("event", "id")}
        return {"text": "".join(pieces), **said}

    def go_on(self) -> None:
        """Answer line after line until there are no more, or /quit."""
        console = terminal()
        kind = "answers" if self.talks else "goes on with what you write"
        console.print(f"{self.size} {kind}. {HELP}", soft_wrap=True)
        if sys.stdin.isatty():
            with suppress(ImportError):
                import_module("readline")  # With it, input() has keys to edit and go back.
        while (line := _line(f"{self.size}> ")) is not None:
            word, _, rest = line.strip().partition(" ")
            if word == "/quit":
                return
            try:
                self._do(console, word, rest.strip(), line)
            except (KeyboardInterrupt, BoomerangError) as error:
                # The iterator is closed by then, and the answer cancelled.
                console.print(f"\n{'Left.' if isinstance(error, KeyboardInterrupt) else error}")
                if isinstance(error, Interrupted):
                    raise

    def _do(self, console: Console, word: str, rest: str, line: str) -> None:
        if word == "/sizes":
            for member in self.playing.members:
                mark = "*" if member.size == self.size else " "
                console.print(f"{mark} {member.size:>8}  {member.layers} layers", soft_wrap=True)
        elif word == "/size":
            self.size = self.playing.resolve(rest).size
        elif word == "/reset":
            self.messages = []
        elif word.startswith("/"):
            console.print(HELP, soft_wrap=True)
        elif word:
            asked = self.asked(line.strip() if self.talks else line)
            said = self.answer(asked, _write)
            if self.talks and not isinstance(asked, str):
                answered = {"role": "assistant", "content": said["text"]}
                self.messages = [*map(dict, asked), answered]
            speed, count = said["tokens_per_s"], said["completion_tokens"]
            note = f"{count} tokens, {speed:.1f} a second, {said['finish_reason']}"
            console.print(f"\n[{self.size}: {note}]", style="dim", soft_wrap=True)


def _line(prompt: str) -> str | None:
    """The next line from stdin; None where there is no more, or ^C was pressed."""
    try:
        if sys.stdin.isatty():
            return input(prompt)
        line = sys.stdin.readline()
    except (EOFError, KeyboardInterrupt):
        return None
    return line.rstrip("\n") if line else None

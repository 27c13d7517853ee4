"""Command that proves what a member is made of: verify."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from typing import Annotated, Any

import typer

import boomerang
from boomerang.cli.options import Json
from boomerang.cli.progress import Bar
from boomerang.cli.show import emit
from boomerang.face.verify import SAMPLE, Verified

MB = 1_000_000


def verify(
    repo: Annotated[
        str, typer.Argument(help="A member: a Hub repo id, or a folder.", show_default=False)
    ],
    revision: Annotated[str | None, typer.Option(help="Branch, tag or commit of it.")] = None,
    teacher: Annotated[
        str | None, typer.Option(help="Folder or repo id, where not the one it names.")
    ] = None,
    student: Annotated[
        str | None, typer.Option(help="Folder or repo id, where not the one it names.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Compare every byte.")] = False,
    sample: Annotated[
        float | None,
        typer.Option(
            min=0.000001, help=f"MB to compare, a part of every tensor. [default: {SAMPLE // MB}]"
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Chooses which; a new one each time.")] = None,
    teacher_only: Annotated[
        bool, typer.Option("--teacher-only", help="Look for no student; its layers stay unproven.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Prove that every tensor of a size is its teacher's or its student's."""
    if every and (sample is not None or seed is not None):
        raise typer.BadParameter("Give either --all or a --sample with its --seed.")
    with _comparing() as told:
        found = boomerang.verify(
            repo, revision, teacher=teacher, student=student, whole=every,
            sample=SAMPLE if sample is None else round(sample * MB),
            seed=seed, teacher_only=teacher_only, told=told,
        )  # fmt: skip
    emit(asdict(found) | {"proven": found.proven}, as_json, lambda _: verified_view(found))
    if not found.proven:
        raise typer.Exit(1)


@contextmanager
def _comparing() -> Iterator[Callable[[Mapping[str, Any]], None]]:
    with ExitStack() as stack:
        bars: list[Bar] = []

        def told(event: Mapping[str, Any]) -> None:
            # Not before there is something to compare: much is refused by its headers.
            if not bars:
                bars.append(stack.enter_context(Bar("comparing", size=True)))
            bars[0].count(event["done"], event["of"])

        yield told


def verified_view(found: Verified) -> str:
    """What was found out about a member, in lines; the last says whether it is proven."""
    at = f" at {found.commit[:12]}" if found.commit else ""
    lines = [f"{found.name}{at}: {found.composition}, of {found.teacher}"]
    lines[0] += f" and {found.student}" if found.student else ""
    if found.mismatch is None or found.mismatch.offset is not None:
        lines.append(
            f"{found.tensors} tensors by name, dtype and shape, config.json and the files beside: "
            "as the two models give them."
        )
        lines.append(_bytes(found))
    lines += found.unchecked
    wrong = found.mismatch
    if wrong is not None:
        wanted = f" Expected: {wrong.expected}." if wrong.expected else ""
        lines.append(f"Not what it says. {wrong.detail}{wanted}")
    elif found.unchecked and not found.teacher_only:
        lines.append("Not proven: what is of the student was not looked at.")
    else:
        what = "what is of the teacher" if found.unchecked else "every tensor"
        how = "every byte of it" if found.seed is None else "as far as the sample shows"
        lines.append(f"Proven: {what}, {how}.")
    return "\n".join(lines)


def _bytes(found: Verified) -> str:
    line = f"{found.compared:,} bytes compared, of {found.bytes:,}"
    line += f"; {found.known:,} known by the sha256 of their file" if found.known else ""
    return line + (
        f"; a part of each tensor, --seed {found.seed}." if found.seed is not None else "."
    )

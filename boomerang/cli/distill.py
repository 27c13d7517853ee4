"""The student that is distilled, its sizes measured, and one published: the commands for each."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

import boomerang
from boomerang.cli import options
from boomerang.cli.progress import Bar
from boomerang.cli.show import distilled_view, emit, healed_view, measures_view, transfer_view
from boomerang.errors import BadRecipe, BadTask
from boomerang.face import members
from boomerang.face.runs import Tasks, transfer
from boomerang.texts.datasets import SCHEME
from boomerang.texts.task_names import check

Texts = Annotated[
    list[Path] | None, typer.Option(help="Folder or file of text; may be given repeatedly.")
]
Datasets = Annotated[
    list[str] | None, typer.Option(help="Text of the Hub, as well: ID[@REVISION][#COLUMN].")
]


def distill(
    teacher: options.Teacher,
    out: Annotated[Path, typer.Option(help="Folder of the student.", show_default=False)],
    text: Texts = None,
    dataset: Datasets = None,
    base: Annotated[
        str | None, typer.Option(help="Instead of training: what TEACHER was fine-tuned from.")
    ] = None,
    base_student: Annotated[str | None, typer.Option(help="The student of --base.")] = None,
    reference: Annotated[
        str | None, typer.Option(help="With --base: a distilled student, to compare with.")
    ] = None,
    recipe: Annotated[str, typer.Option(help="Name of a recipe, or a TOML file.")] = "default",
    steps: Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Instead of the recipe's.")] = None,
    map_: options.Map = None,
    kept: Annotated[str | None, typer.Option(help="Layers kept, one by one: 0,1,3,5.")] = None,
    as_json: options.Json = False,
) -> None:
    """Distil a student. The same command goes on where it was interrupted."""
    if steps is not None and minutes is not None:
        raise typer.BadParameter("Give --steps or --minutes, not both.")
    if kept is not None and map_ is not None:
        raise typer.BadParameter("Give --kept or --map, not both.")
    if (base is None) != (base_student is None):
        raise typer.BadParameter("--base and --base-student belong together.")
    if base is not None and base_student is not None:
        models = options.find(teacher), options.find(base), options.find(base_student)
        own = options.find(reference) if reference else None
        with _shown("transferring") as told:
            made = transfer(*models, out, reference=own, told=told)
        emit(made, as_json, transfer_view)
        return
    where, model = text_of(text or [], dataset or []), options.find(teacher)
    with _shown("distilling") as told:
        record = boomerang.distil(
            model, out, where, recipe=recipe, steps=steps, minutes=minutes, layer_map=map_,
            kept=options.layers(kept), told=told,
        )  # fmt: skip
    emit(record, as_json, distilled_view)


def heal(
    teacher: options.Teacher,
    student: options.Student,
    size: Annotated[
        str, typer.Option(help=f"A size's name, {options.BUDGET}.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="Folder of the healed size.", show_default=False)],
    order: options.Order = "last",
    text: Texts = None,
    dataset: Datasets = None,
    recipe: Annotated[
        str | None, typer.Option(help="Instead of heal, made to fit the student's recipe.")
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Instead of the recipe's.")] = None,
    kept: options.Kept = None,
    as_json: options.Json = False,
) -> None:
    """Train one size for some steps, by itself. The same command goes on after an interruption."""
    where = text_of(text or [], dataset or [])
    models = options.find(teacher), options.find(student)
    with _shown("healing") as told:
        record = boomerang.heal(
            *models, size, out, where, order=order, recipe=recipe, steps=steps,
            kept=options.layers(kept), told=told,
        )  # fmt: skip
    emit(record, as_json, healed_view)


def text_of(texts: Sequence[Path], datasets: Sequence[str]) -> str:
    """Where text lies: folders or files, and datasets of the Hub as ID[@REVISION][#COLUMN].

    Raises BadRecipe where there is neither.
    """
    found = [str(text.absolute()) for text in texts]
    found += [one if one.startswith(SCHEME) else SCHEME + one for one in datasets]
    if not found:
        raise BadRecipe(
            "Give the text to distil on: --text or --dataset, or several of them.",
            fix="A folder, a file, or a dataset such as owner/name.",
        )
    return found[0] if len(found) == 1 else json.dumps(found)


def measure(
    teacher: options.Teacher,
    student: options.Student,
    text: options.Text,
    order: options.MeasuredOrder = "auto",
    kept: options.Kept = None,
    tasks: options.TaskNames = None,
    limit: options.Limit = None,
    member: Annotated[
        list[str] | None, typer.Option(help="Run the tasks for this size alone; may be repeated.")
    ] = None,
    tasks_folder: Annotated[
        Path | None, typer.Option(help="Folder with tasks of your own, as YAML files.")
    ] = None,
    tokens: Annotated[
        int, typer.Option(min=1, help="Held-out tokens: fewer are faster, and less sure.")
    ] = 65536,
    as_json: options.Json = False,
) -> None:
    """Measure every size on held-out text, beside naive pruning to the same depth."""
    if tasks is None and (limit or member or tasks_folder):
        raise typer.BadParameter("--limit, --member and --tasks-folder belong to --tasks.")
    wanted = tasks_of(tasks, limit, member, tasks_folder)
    models = options.find(teacher), options.find(student)
    with _shown("measuring") as told:
        found = boomerang.measure(*models, text, order=order, kept=options.layers(kept),
                                  tasks=wanted, tokens=tokens, told=told)  # fmt: skip
    emit({**found, "teacher": teacher, "student": student}, as_json, measures_view)


def tasks_of(
    names: str | None, limit: int | None, members: list[str] | None, folder: Path | None
) -> Tasks:
    """The tasks that are named. Raises BadTask for a name that is none."""
    if names is None:
        return Tasks()
    parts = tuple(dict.fromkeys(part for name in names.split(",") if (part := name.strip())))
    if not parts:
        raise BadTask("No task is named.", value=names, fix="Write them as arc_easy,piqa.")
    check(parts, folder)
    return Tasks(parts, limit, tuple(members or ()), folder)


def publish(
    teacher: options.Teacher,
    student: options.Student,
    size: Annotated[
        str, typer.Option(help=f"A size's name, {options.BUDGET}.", show_default=False)
    ],
    order: Annotated[str, typer.Option(help="last, first, or 5,3,1.", show_default=False)],
    to: Annotated[str, typer.Option(help="NAMESPACE/NAME on the Hub.", show_default=False)],
    public: Annotated[bool, typer.Option("--public", help="Not private.")] = False,
    kept: options.Kept = None,
    as_json: options.Json = False,
) -> None:
    """Push one size to the Hub, private unless told otherwise."""
    models = options.find(teacher), options.find(student)
    with Bar(f"publishing {size}", size=True) as bar:
        done = members.publish(
            *models, size, to, order=order, public=public, kept=options.layers(kept),
            progress=bar.count,
        )  # fmt: skip
    emit(asdict(done), as_json, lambda _: f"{done.url} at {done.commit}")


@contextmanager
def _shown(title: str) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Give what is to be called with each event of the work, for a bar."""
    with Bar(title) as bar:

        def told(event: Mapping[str, Any]) -> None:
            match event["event"]:
                case "start" | "step":
                    bar.say(title)
                    bar.steps(event)
                case "mapping":
                    bar.say("choosing which layers to keep")
                    bar.count(event["done"], event["of"])
                case "fetching":
                    bar.fetched(event)
                case "choosing":
                    bar.part("choosing the order")
                    spent, of = event["spent"], event["of"]
                    note = f"{spent:.0f} of at most {of:.0f} measurements"
                    bar.left(spent, of, note, event["eta_s"])
                case "measuring":
                    bar.part(title)
                    bar.left(*_of(event, "tokens"), event["eta_s"])
                case "writing":
                    bar.part("what sizes write")
                    bar.left(*_of(event, "written", "sizes"), event["eta_s"])
                case "task":
                    bar.part(f"tasks: {event['name']}")

        yield told


def _of(event: Mapping[str, Any], what: str, unit: str | None = None) -> tuple[int, int, str]:
    """How much of how much an event tells of, and the same in words."""
    done, of = event[what], event["of"]
    return done, of, f"{done:,} of {of:,} {unit or what}"

"""The command line: `boomerang …`. Nothing heavy is imported before a command needs it."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from boomerang.errors import BoomerangError
from boomerang.service.running import parts, supervisor

app = typer.Typer(
    help="Any size between: distil a teacher once, then have every size up to the teacher.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

BUDGET = "2.9B, 6GB or 6GB:float16"

Teacher = Annotated[str, typer.Argument(help="A folder, or a Hub repo id.", show_default=False)]
Student = Annotated[str, typer.Argument(help="A folder, or a Hub repo id.", show_default=False)]
Text = Annotated[Path, typer.Option(help="Folder or file of text.", show_default=False)]
Order = Annotated[str, typer.Option(help="last, first, or long student layers: 5,3,1.")]
Kept = Annotated[
    str | None,
    typer.Option(
        help="Teacher layers that the student keeps, where nothing else says them: 0,2,4,7,9,11."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Url = Annotated[str, typer.Option(envvar="BOOMERANG_URL", help="Address of the service.")]
Key = Annotated[
    str, typer.Option(envvar="BOOMERANG_API_KEY", help="Key of the service.", show_default=False)
]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until it is done.")]

LOCAL = "http://127.0.0.1:8000"


class LayerMaps(StrEnum):
    """Which layers of the teacher a student keeps."""

    PUBLISHED = "published"
    SIMILARITY = "similarity"


def main() -> None:
    """Run the command line. An error is one line on stderr and status 1; wrong usage is 2."""
    try:
        app(prog_name="boomerang")
    except BrokenPipeError:
        # The reader of a pipe went away, which is no error; nothing more can be said to it.
        sys.stderr.close()
        raise SystemExit(1) from None
    except (BoomerangError, OSError) as error:
        line = " ".join(str(error).split()) or type(error).__name__
        sys.stderr.write(f"error: {line}\n")
        raise SystemExit(1) from None


@app.command()
def plan(
    teacher: Teacher,
    student: Annotated[str | None, typer.Option(help="A student there is.")] = None,
    budget: Annotated[str | None, typer.Option(help=f"{BUDGET}, or a size's name.")] = None,
    order: Order = "last",
    recipe: Annotated[str | None, typer.Option(help="Recipe whose student is planned.")] = None,
    kept: Kept = None,
    as_json: Json = False,
) -> None:
    """Show the ladder of sizes, from headers alone."""
    from boomerang.cli import local as cli_local
    from boomerang.cli.show import emit, plan_view

    emit(cli_local.plan(teacher, student, budget, order, recipe, kept), as_json, plan_view)


@app.command()
def distill(
    teacher: Teacher,
    out: Annotated[Path, typer.Option(help="Folder of the student.", show_default=False)],
    text: Annotated[
        list[Path] | None, typer.Option(help="Folder or file of text; may be given repeatedly.")
    ] = None,
    dataset: Annotated[
        list[str] | None, typer.Option(help="Text of the Hub, as well: ID[@REVISION][#COLUMN].")
    ] = None,
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
    map_: Annotated[
        LayerMaps, typer.Option("--map", help="Layers kept: the recipe's, or by hidden states.")
    ] = LayerMaps.PUBLISHED,
    kept: Annotated[str | None, typer.Option(help="Layers kept, one by one: 0,1,3,5.")] = None,
    as_json: Json = False,
) -> None:
    """Distil a student. The same command goes on where it was interrupted."""
    if steps is not None and minutes is not None:
        raise typer.BadParameter("Give --steps or --minutes, not both.")
    if kept is not None and map_ != LayerMaps.PUBLISHED:
        raise typer.BadParameter("Give --kept or --map, not both.")
    if (base is None) != (base_student is None):
        raise typer.BadParameter("--base and --base-student belong together.")
    from boomerang.cli import jobs as cli_jobs
    from boomerang.cli.show import duration, emit, transfer_view

    if base is not None and base_student is not None:
        made = cli_jobs.transfer(teacher, base, base_student, out, reference)
        emit(made, as_json, transfer_view)
        return

    def show(record: dict[str, Any]) -> str:
        final = ", ".join(f"{name} {value:.4g}" for name, value in record["final"].items())
        took = duration(record["seconds"])
        return f"{record['out']}: {record['steps']} steps in {took}; held out: {final}"

    where = cli_jobs.text_of(text or [], dataset or [])
    emit(cli_jobs.distill(teacher, out, where, recipe, steps, minutes, map_, kept), as_json, show)


@app.command()
def measure(
    teacher: Teacher,
    student: Student,
    text: Text,
    order: Annotated[
        str, typer.Option(help="auto, last, first, klpatch, best, or in full: 5,3,1.")
    ] = "auto",
    kept: Kept = None,
    tasks: Annotated[
        str | None, typer.Option(help="Tasks of lm-eval, run for every size: arc_easy,piqa.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Examples of each task.")] = None,
    member: Annotated[
        list[str] | None, typer.Option(help="Run the tasks for this size alone; may be repeated.")
    ] = None,
    tasks_folder: Annotated[
        Path | None, typer.Option(help="Folder with tasks of your own, as YAML files.")
    ] = None,
    tokens: Annotated[
        int, typer.Option(min=1, help="Held-out tokens: fewer are faster, and less sure.")
    ] = 65536,
    as_json: Json = False,
) -> None:
    """Measure every size on held-out text, beside naive pruning to the same depth."""
    if tasks is None and (limit or member or tasks_folder):
        raise typer.BadParameter("--limit, --member and --tasks-folder belong to --tasks.")
    from boomerang.cli import jobs as cli_jobs
    from boomerang.cli.show import emit, measures_view

    wanted = cli_jobs.Tasks.of(tasks, limit, member, tasks_folder)
    found = cli_jobs.measure(teacher, student, text, order, kept, wanted, tokens)
    emit(found, as_json, measures_view)


@app.command()
def assemble(
    teacher: Teacher,
    student: Student,
    order: Annotated[str, typer.Option(help="last, first, or 5,3,1.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder of the model.", show_default=False)],
    size: Annotated[str | None, typer.Option(help=f"A size's name, {BUDGET}.")] = None,
    patch: Annotated[int | None, typer.Option(help="Number of patched blocks.")] = None,
    kept: Kept = None,
    as_json: Json = False,
) -> None:
    """Write one size to a folder."""
    if (size is None) == (patch is None):
        raise typer.BadParameter("Give either --size or --patch.")
    from boomerang.cli import local as cli_local
    from boomerang.cli.show import emit

    emit(
        cli_local.assemble(teacher, student, order, size, patch, out, kept),
        as_json,
        lambda made: f"{made['out']}: {made['parameters']:,} parameters, {made['layers']} layers",
    )


@app.command()
def publish(
    teacher: Teacher,
    student: Student,
    size: Annotated[str, typer.Option(help=f"A size's name, {BUDGET}.", show_default=False)],
    order: Annotated[str, typer.Option(help="last, first, or 5,3,1.", show_default=False)],
    to: Annotated[str, typer.Option(help="NAMESPACE/NAME on the Hub.", show_default=False)],
    public: Annotated[bool, typer.Option("--public", help="Not private.")] = False,
    kept: Kept = None,
    as_json: Json = False,
) -> None:
    """Push one size to the Hub, private unless told otherwise."""
    from boomerang.cli import local as cli_local
    from boomerang.cli.show import emit

    done = cli_local.publish(teacher, student, order, size, to, public, kept)
    emit(done, as_json, lambda made: f"{made['url']} at {made['commit']}")


@app.command()
def request(
    teacher: Teacher,
    budget: Annotated[str, typer.Argument(help=f"{BUDGET}, or a size's name.")],
    data: Annotated[
        list[str] | None, typer.Option(help="Text, by the service's name; may be repeated.")
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="Name of a recipe.")] = None,
    student: Annotated[str | None, typer.Option(help="A student there is.")] = None,
    order: Annotated[
        str, typer.Option(help="auto, last, first, klpatch, best, or in full: 5,3,1.")
    ] = "auto",
    publish: Annotated[str | None, typer.Option(help="Hub namespace to push it to.")] = None,
    kept: Kept = None,
    tasks: Annotated[
        str | None, typer.Option(help="Tasks of lm-eval, run for every size: arc_easy,piqa.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Examples of each task.")] = None,
    wait: Wait = False,
    url: Url = LOCAL,
    api_key: Key = "",
    as_json: Json = False,
) -> None:
    """Ask a running service for a size."""
    from boomerang.cli.remote import Service, wait_made
    from boomerang.cli.show import emit, family_view

    texts = data[0] if data and len(data) == 1 else data or None
    asked = {"teacher": teacher, "budget": budget, "data": texts, "recipe": recipe,
             "student": student, "order": order, "task_limit": limit}  # fmt: skip
    body: dict[str, Any] = {key: value for key, value in asked.items() if value is not None}
    if kept is not None:
        from boomerang.cli.local import layers_of

        body["kept"] = list(layers_of(kept))
    if tasks is not None:
        body["tasks"] = [name.strip() for name in tasks.split(",")]
    if publish is not None:
        body["publish"] = {"namespace": publish}
    with Service(url, api_key) as service:
        family = service.post("/families", body)
        if wait:
            planned = {key: family[key] for key in ("budget", "cost") if key in family}
            family = planned | wait_made(service, family["id"])
        emit(family, as_json, family_view)


@app.command()
def rebuild(
    family: Annotated[str | None, typer.Argument(help="Id of a family.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every family.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Distil again, beside the old.")] = False,
    wait: Wait = False,
    url: Url = LOCAL,
    api_key: Key = "",
    as_json: Json = False,
) -> None:
    """Verify families and make what is missing. The exit status says whether it worked."""
    if (family is None) is not every:
        raise typer.BadParameter("Give either a family or --all.")
    from boomerang.cli.remote import Service, rebuild_all
    from boomerang.cli.show import emit, rebuilt_view

    with Service(url, api_key) as service:
        done = rebuild_all(service, family, force=force, wait=wait)
    emit(done, as_json, rebuilt_view)
    if any(one["error"] for one in done["families"]):
        raise typer.Exit(1)


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port to listen on.")] = None,
) -> None:
    """Run everything on this machine until ^C."""
    from boomerang.service.settings import Settings

    given = {"host": host, "port": port}
    supervisor.serve(settings(Settings, **{k: v for k, v in given.items() if v is not None}), _say)


@app.command()
def worker(
    queues: Annotated[str, typer.Option(help="Queues, separated by commas.")] = (
        "distill,measure,assemble,publish"
    ),
    concurrency: Annotated[int, typer.Option(min=1, help="Jobs at a time.")] = 1,
) -> None:
    """Run one worker, of a service that has a Redis of its own."""
    from boomerang.service.settings import Settings

    names = tuple(name.strip() for name in queues.split(",") if name.strip())
    raise typer.Exit(parts.worker(settings(Settings), names, concurrency))


@app.command()
def demo(
    home: Annotated[Path, typer.Option(help="Folder of the demo's service.")] = Path(".demo"),
    examples: Annotated[Path, typer.Option(help="Folder of the examples.")] = Path("examples"),
    recipe: Annotated[str, typer.Option(help="Name of a recipe.")] = "kjv",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: a free one.")] = 0,
) -> None:
    """Distil the small teacher of the examples and show every size of its family."""
    from boomerang.cli.demo.demo import run

    run(home, examples, recipe, port)


def settings(kind: Any, **given: Any) -> Any:
    """Read the settings; what is wrong with them is one line."""
    from pydantic import ValidationError

    from boomerang.errors import BadRequest

    try:
        return kind(**given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = "BOOMERANG_" + "_".join(str(part) for part in first["loc"]).upper()
        raise BadRequest(
            f"{name.replace('BOOMERANG_BOOMERANG_', 'BOOMERANG_')}: {first['msg']}.",
            fix="Correct the environment.",
        ) from None


def _say(text: str) -> None:
    typer.echo(text)

"""Commands on the sizes of two given models: plan, assemble."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

import boomerang
from boomerang.cli.options import BUDGET, Json, Kept, Order, Student, Teacher, find, layers
from boomerang.cli.progress import growing
from boomerang.cli.show import emit, plan_view
from boomerang.face.plan import Plan
from boomerang.family.memory import MOST_CONTEXT, RuntimeName

DEFAULT: RuntimeName = "transformers"


def plan(
    teacher: Teacher,
    student: Annotated[str | None, typer.Option(help="A student there is.")] = None,
    budget: Annotated[str | None, typer.Option(help=f"{BUDGET}, or a size's name.")] = None,
    order: Order = "last",
    recipe: Annotated[str | None, typer.Option(help="Recipe whose student is planned.")] = None,
    kept: Kept = None,
    context: Annotated[
        int | None, typer.Option(min=1, max=MOST_CONTEXT, help="Show the memory at so many tokens.")
    ] = None,
    runtime: Annotated[RuntimeName, typer.Option(help="What runs it, for the memory.")] = DEFAULT,
    as_json: Json = False,
) -> None:
    """Show the ladder of sizes, from headers alone."""
    model, given = find(teacher), find(student) if student else None
    made = boomerang.plan(model, given, budget or None, order, recipe=recipe, kept=layers(kept))
    commit = model.resolved.commit if model.resolved else None
    named = {"teacher": teacher, "commit": commit, "student": student, "order": order}
    shown = named | plan_json(made)
    if context is not None:
        needs = made.needs(context, runtime=runtime)
        shown |= {"context": context, "runtime": runtime}
        for member, need in zip(shown["members"], needs, strict=True):
            member["memory"] = need.json()
    emit(shown, as_json, plan_view)


def plan_json(plan: Plan) -> dict[str, Any]:
    """A plan as JSON."""
    members = [asdict(member) | {"code": member.composition.code} for member in plan.members]
    return {
        "kept": list(plan.pair.layermap.kept),
        "layers": plan.pair.layermap.layers,
        "ladder": "provisional" if plan.provisional else "final",
        "patch_order": list(plan.patch_order),
        "members": [{k: v for k, v in one.items() if k != "composition"} for one in members],
        "budget": plan.bought.json() if plan.bought else None,
    }


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
    made = boomerang.assemble(
        boomerang.open_pair(find(teacher), find(student), kept=layers(kept)), size, out,
        order=order, patch=patch, watch=lambda folder, total: growing("writing", folder, total),
    )  # fmt: skip
    said = f"{made.out}: {made.parameters:,} parameters, {made.layers} layers"
    emit(asdict(made), as_json, lambda _: said)

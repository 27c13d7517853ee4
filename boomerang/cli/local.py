"""What the command line does on this machine, from headers alone: plan, assemble, publish."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from boomerang.cli.progress import counted, growing
from boomerang.face.assemble import assemble as assemble_member
from boomerang.face.models import open_pair
from boomerang.face.plan import plan as plan_family
from boomerang.face.publish import publish as push
from boomerang.family.ladder import Member
from boomerang.family.layer_map import parse_layers
from boomerang.hub.find import Found
from boomerang.hub.find import find as find_model


def find(name: str) -> Found:
    """The model behind a folder's path or a Hub repo id, with a bar. Raises as `find.find`."""
    with counted(f"headers of {name}") as progress:
        return find_model(name, progress=progress)


def plan(
    teacher: str,
    student: str | None,
    budget: str | None,
    order: str,
    recipe: str | None,
    kept: str | None = None,
) -> dict[str, Any]:
    """The whole ladder as JSON, and what a budget buys. Raises whatever is wrong with them."""
    model, given = find(teacher), find(student) if student else None
    layers = None if kept is None else parse_layers(kept)
    made = plan_family(model, given, budget or None, order, recipe=recipe, kept=layers)
    layermap = made.pair.layermap
    return {
        "teacher": teacher,
        "commit": model.resolved.commit if model.resolved else None,
        "student": student,
        "kept": list(layermap.kept),
        "layers": layermap.layers,
        "order": order,
        "patch_order": list(made.patch_order),
        "members": [member_json(member) for member in made.members],
        "budget": made.bought.json() if made.bought else None,
    }


def member_json(member: Member) -> dict[str, Any]:
    """A member of a ladder as JSON."""
    fields = {key: value for key, value in asdict(member).items() if key != "composition"}
    return {**fields, "code": member.composition.code}


def assemble(
    teacher: str,
    student: str,
    order: str,
    size: str | None,
    patch: int | None,
    out: Path,
    kept: str | None = None,
) -> dict[str, Any]:
    """Write a member to the folder `out`, which appears whole or not at all."""
    layers = None if kept is None else parse_layers(kept)
    pair = open_pair(find(teacher), find(student), kept=layers)
    made = assemble_member(
        pair, size, out, order=order, patch=patch,
        watch=lambda folder, total: growing("writing", folder, total),
    )  # fmt: skip
    return asdict(made)


def publish(
    teacher: str,
    student: str,
    order: str,
    size: str,
    to: str,
    public: bool,
    kept: str | None = None,
) -> dict[str, Any]:
    """Push a member to the repository `to`. Raises as `face.publish.publish`."""
    layers = None if kept is None else parse_layers(kept)
    models = find(teacher), find(student)
    return asdict(push(*models, size, to, order=order, public=public, kept=layers))

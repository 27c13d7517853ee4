"""What the command line does on this machine, from headers alone: plan, assemble, publish."""

import os
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boomerang.architecture.anatomy import dissect
from boomerang.checkpoint.table import Checkpoint
from boomerang.cli.progress import counted, growing
from boomerang.errors import (
    BadComposition,
    BadName,
    BadRequest,
    BudgetOutOfRange,
)
from boomerang.family.budget import Budget
from boomerang.family.codes import named_order
from boomerang.family.composition import Composition
from boomerang.family.ladder import Ladder, Member
from boomerang.family.layer_map import LayerMap
from boomerang.family.pair import Pair
from boomerang.family.patch_order import PatchOrder, members_of
from boomerang.hub.find import Found
from boomerang.hub.find import find as find_model
from boomerang.hub.publish import publish as push

if TYPE_CHECKING:
    from boomerang.assembly.bytefile import ByteFile

_DTYPES = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}


def find(name: str) -> Found:
    """The model behind a folder's path or a Hub repo id, with a bar. Raises as `find.find`."""
    with counted(f"headers of {name}") as progress:
        return find_model(name, progress=progress)


def pair_of(
    teacher: Found, student: Found | None, recipe: str | None = None, kept: str | None = None
) -> Pair:
    """Teacher and student, or the pair that the recipe (the published one if None) would make.

    `kept` says which layers a student keeps that does not say so itself, or that is yet to be
    distilled. Raises StudentMismatch, BadRequest, BadRecipe or UnsupportedArchitecture.
    """
    layers = None if kept is None else layers_of(kept)
    if student is not None:
        # Comparing embeddings byte for byte would read weights; a remote student is believed.
        verify = student.folder is not None
        return Pair.of(teacher.checkpoint, student.checkpoint, kept=layers, verify=verify)
    anatomy = dissect(teacher.checkpoint)
    if recipe is None and layers is None:
        layermap = LayerMap.keeping_kinds(anatomy.depth, anatomy.kinds)
        return Pair.planned(teacher.checkpoint, layermap, frozen=anatomy.tied)
    from boomerang.recipes.recipe import Recipe

    chosen = Recipe.load(recipe or "default")
    if layers is not None:
        chosen = chosen.override(kept=layers)
    layermap = chosen.layermap(anatomy.kinds)
    return Pair.planned(teacher.checkpoint, layermap, frozen=chosen.freezes(anatomy.tied))


def layers_of(text: str) -> tuple[int, ...]:
    """Layer indices written as `0,2,4`. Raises BadRequest."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and len(part) < 7 for part in parts):
        raise BadRequest(
            f"{text!r} is no list of layers.",
            value=text,
            fix="Separate the teacher's layers by commas: 0,2,4,7,9,11.",
        )
    return tuple(int(part) for part in parts)


def order_of(pair: Pair, order: str) -> PatchOrder:
    """A patch order that needs no measuring. Raises BadComposition for one that does."""
    found = named_order(pair.layermap, order)
    if found is None:
        raise BadComposition(
            f"The order {order!r} is found by measuring.",
            value=order,
            fix="Give last, first, or the patch_order that `boomerang measure --json` prints.",
        )
    return found


def plan(
    teacher: str,
    student: str | None,
    budget: str | None,
    order: str,
    recipe: str | None,
    kept: str | None = None,
) -> dict[str, Any]:
    """The whole ladder as JSON, and what a budget buys. Raises whatever is wrong with them."""
    model = find(teacher)
    pair = pair_of(model, find(student) if student else None, recipe, kept)
    patch_order = order_of(pair, order)
    ladder = Ladder.of(pair, patch_order)
    return {
        "teacher": teacher,
        "commit": model.resolved.commit if model.resolved else None,
        "student": student,
        "kept": list(pair.layermap.kept),
        "layers": pair.layermap.layers,
        "order": order,
        "patch_order": list(patch_order),
        "members": [member_json(member) for member in ladder.members],
        "budget": _bought(ladder, budget) if budget else None,
    }


def member_json(member: Member) -> dict[str, Any]:
    """A member of a ladder as JSON."""
    found = {key: value for key, value in asdict(member).items() if key != "composition"}
    return {"size": found.pop("name"), **found, "code": member.composition.code}


def _bought(ladder: Ladder, text: str) -> dict[str, Any]:
    exact = ladder.find(text)
    asked = Budget(exact.parameters, text) if exact else Budget.parse(text)
    member = exact or ladder.within(asked)
    return {
        "asked": asked.text,
        "size": member.name,
        "parameters": member.parameters,
        "below_by": asked.parameters - member.parameters,
    }


@dataclass(frozen=True)
class Assembled:
    """One member of two given models, with what names it."""

    teacher: Found
    pair: Pair
    ladder: Ladder
    composition: Composition
    member: Member | None
    k: int


def choose(
    teacher: str,
    student: str,
    order: str,
    size: str | None,
    patch: int | None,
    kept: str | None = None,
) -> Assembled:
    """The member of that size, or the one with `patch` blocks patched.

    Raises SizeNotFound, BudgetOutOfRange, or BadComposition for more blocks than there are.
    """
    model = find(teacher)
    pair = pair_of(model, find(student), kept=kept)
    patch_order = order_of(pair, order)
    ladder = Ladder.of(pair, patch_order)
    if size is not None:
        member = ladder.resolve(size)
        return Assembled(model, pair, ladder, member.composition, member, member.k)
    compositions = members_of(pair.layermap, patch_order)
    if patch is None or not 0 <= patch < len(compositions):
        raise BadComposition(
            f"{patch} blocks cannot be patched.",
            value=patch,
            fix=f"Give a number from 0 (the student) to {len(compositions) - 1} (the teacher).",
        )
    composition = compositions[patch]
    named = next((m for m in ladder.members if m.k == patch), None)
    return Assembled(model, pair, ladder, composition, named, patch)


def files_of(
    chosen: Assembled, student: str, order: str, card: str | None = None
) -> "dict[str, ByteFile]":
    """Every file of the member by name."""
    from boomerang.assembly.stitch import member_files

    record: dict[str, Any] = {
        # A path of this machine has no place in a model that travels.
        "teacher": chosen.teacher.public_name,
        "teacher_commit": chosen.teacher.resolved.commit if chosen.teacher.resolved else None,
        "student": Path(student).name if Path(student).exists() else student,
        "order": order,
        "k": chosen.k,
        "size": chosen.member.name if chosen.member else None,
    }
    return member_files(chosen.pair, chosen.composition, record=record, card=card)


def assemble(
    teacher: str,
    student: str,
    order: str,
    size: str | None,
    patch: int | None,
    out: Path,
    kept: str | None = None,
) -> dict[str, Any]:
    """Write a member to the folder `out`, which appears whole or not at all.

    Raises BadRequest where there is something at `out` already.
    """
    if out.exists() or out.is_symlink():
        raise BadRequest(
            f"{str(out)!r} is there already.", value=str(out), fix="Name a new folder."
        )
    chosen = choose(teacher, student, order, size, patch, kept)
    write_folder(files_of(chosen, student, order), out)
    written = Checkpoint.open(out)
    return {
        "out": str(out),
        "size": chosen.member.name if chosen.member else None,
        "k": chosen.k,
        "layers": len(chosen.composition.layers),
        "parameters": written.parameters,
        "code": chosen.composition.code,
    }


def write_folder(files: "Mapping[str, ByteFile]", out: Path) -> None:
    """Write files into a folder of a temporary name, check its headers, then rename it."""
    part = out.with_name(f".{out.name}.{secrets.token_hex(4)}.part")
    part.mkdir(parents=True)
    try:
        with growing("writing", part, sum(file.size for file in files.values())):
            for name, file in files.items():
                target = part / name
                target.parent.mkdir(parents=True, exist_ok=True)
                file.write(target)
        dissect(Checkpoint.open(part, out.name))
        os.rename(part, out)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def publish(
    teacher: str,
    student: str,
    order: str,
    size: str,
    to: str,
    public: bool,
    kept: str | None = None,
) -> dict[str, Any]:
    """Push a member to the repository `to`. Raises BadName, BadRequest or as `publish`."""
    from boomerang.card.card import card
    from boomerang.card.facts import Facts, Size

    if to.count("/") != 1:
        raise BadName(f"{to!r} is no repository.", value=to, fix="Write it as NAMESPACE/NAME.")
    chosen = choose(teacher, student, order, size, None, kept)
    resolved, member = chosen.teacher.resolved, chosen.member
    if member is None:
        raise BudgetOutOfRange(f"No member has the size {size!r}.", value=size)
    _may_publish(chosen.teacher, public)
    sizes = tuple(Size(m.name, m.parameters, m.layers) for m in chosen.ladder.members)
    dtype = chosen.pair.teacher.head_tensor.dtype
    facts = Facts(
        repo_id=to,
        size=next(one for one in sizes if one.name == member.name),
        composition=member.composition,
        teacher=chosen.teacher.public_name,
        teacher_commit=chosen.teacher.commit(),
        order=order,
        dtype=_DTYPES.get(dtype, dtype),
        student=None if Path(student).exists() else student,
        license=resolved.license if resolved else None,
        license_name=resolved.license_name if resolved else None,
        license_link=resolved.license_link if resolved else None,
        language=resolved.language if resolved else (),
        sizes=sizes,
        masked=chosen.pair.teacher.architecture.masked,
    )
    files = files_of(chosen, student, order, card(facts))
    done = push(to, files, private=not public, message=f"{member.name} by Boomerang")
    return {**asdict(done), "size": member.name, "parameters": member.parameters}


def _may_publish(teacher: Found, public: bool) -> None:
    resolved = teacher.resolved
    if resolved is None:
        return
    if (resolved.license or "").startswith(("cc-by-nd", "cc-by-nc-nd")):
        raise BadRequest(
            f"The licence of {teacher.name!r} ({resolved.license}) forbids derivatives.",
            value=resolved.license,
            fix="Use a teacher whose licence allows them.",
        )
    if public and (resolved.gated or resolved.private):
        raise BadRequest(
            f"{teacher.name!r} is gated or private, so its family is never made public.",
            value=teacher.name,
            fix="Publish without --public.",
        )

"""What is known of a size beside its figures: gathered without asking the Hub or reading weights.

Teacher and student are opened by their headers, where they lie on this machine. Where they do not,
or are not there yet, the page says so and shows the rest.
"""

from dataclasses import dataclass, replace
from typing import Any

from app.context import Context
from app.pages.models.readme import Readme, readme
from app.serving.catalog_cache import Snapshot
from app.serving.digests import known_digests
from app.serving.volume import Volume
from boomerang.card.card import card
from boomerang.card.drawings import drawings
from boomerang.card.snippets import Snippet, served
from boomerang.catalog.records.families import Family, Member
from boomerang.catalog.records.students import Student
from boomerang.charts.drawing.theme import PAGE
from boomerang.charts.layers import Row, layers_chart
from boomerang.errors import BoomerangError
from boomerang.family.composition import composition_of
from boomerang.family.fits import fits
from boomerang.family.layer_map import LayerMap
from boomerang.family.memory import Need
from boomerang.hub.hurry import NeedsHub, without_hub
from boomerang.service.models.cards import member_facts
from boomerang.service.models.needs import needs_of

AT_ONCE = 1 << 20
"""Bytes of a pair that may be read for its page: more is left to workers, or to downloads."""
CONTEXTS = (2048, 8192, 32768)


@dataclass(frozen=True)
class File:
    """A file of a model; `sha256` is None where nobody has hashed it."""

    name: str
    size: int
    sha256: str | None


@dataclass(frozen=True)
class Opened:
    """What can only be said once teacher and student are there."""

    files: tuple[File, ...]
    snippets: tuple[Snippet, ...]
    readme: Readme
    revision: str


def opened(
    context: Context, snapshot: Snapshot, member: Member, base: str
) -> tuple[Opened | None, str]:
    """What there is of a member whose models are at hand; else nothing, and why."""
    try:
        with without_hub():
            volume = context.volumes.open(snapshot, member, AT_ONCE)
            family = snapshot.family(member.family)
            pair = context.pairs.open(snapshot.student(family.student), AT_ONCE)
    except NeedsHub:
        return None, "Its teacher is on the Hub: files are listed once something asks for them."
    except (BoomerangError, OSError) as error:
        return None, str(context.redact(str(error)))
    facts = member_facts(
        pair, family, snapshot.student(family.student), snapshot.members(family.id), member,
        _published_as(context, volume, member), pictures=True,
    )  # fmt: skip
    here = replace(facts, repo_id=volume.repo_id)
    digests = known_digests(volume, context.settings, context.catalog)
    files = tuple(File(name, file.size, digests[name]) for name, file in volume.files.items())
    shown = readme(card(facts), drawings(facts, PAGE))
    return Opened(files, tuple(served(here, base)), shown, volume.revision), ""


def _published_as(context: Context, volume: Volume, member: Member) -> str:
    """The repository that the card is of: where it is or would be."""
    namespace = context.settings.namespace
    name = volume.repo_id.rsplit("/", 1)[-1]
    return member.repo or (f"{namespace}/{name}" if namespace else volume.repo_id)


def layers(student: Student, member: Member) -> str:
    """The picture of which of its layers are whose; nothing where they are still to be measured."""
    try:
        composition = composition_of(LayerMap(student.kept, student.layers), member.code)
    except BoomerangError:
        return ""
    return layers_chart([Row(member.size, composition)], numbers=True)


def memory(family: Family, student: Student, member: Member) -> dict[str, Any]:
    """What running it takes at a few lengths of context, and the devices that have that."""
    known = family.shape is not None
    contexts = CONTEXTS if known else CONTEXTS[1:2]
    rows: list[tuple[int, Need]] = []
    for context in contexts:
        [need] = needs_of(family, student, [member], context)
        rows.append((context, need))
    need = dict(rows)[CONTEXTS[1]]
    least = next(
        (one.label for one in fits([(member.parameters, need.total)]) if one.member is not None),
        None,
    )
    return {"known": known, "rows": rows, "device": least, "context": CONTEXTS[1]}

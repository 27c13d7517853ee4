"""What is shown of families and members, read from the catalog: the JSON, and what pages are of."""

from collections.abc import Iterable
from typing import Any

from app.context import Context
from app.schemas.families import family_json, provisional_json
from app.schemas.members import member_json
from app.serving.catalog_cache import Snapshot
from boomerang.catalog.records.families import Member


def family_view(context: Context, id_: str, **more: Any) -> dict[str, Any]:
    """A family with its student and its ladder, also by an id that it has had.

    Raises FamilyNotFound.
    """
    catalog = context.catalog
    waiting = catalog.waiting(id_)
    if waiting is not None:
        return provisional_json(waiting, context.redact, **more)
    family = catalog.family(catalog.family_id(id_))
    student, name = catalog.student(family.student), context.cache.now().names()[family.id]
    members, requests = catalog.members(family.id), catalog.requests(family.id)
    return family_json(family, student, members, requests, name, context.redact, **more)


def family_views(context: Context, snapshot: Snapshot) -> list[dict[str, Any]]:
    """Every family, newest first; before them those whose files are being hashed.

    They are asked for at once, however many there are.
    """
    catalog = context.catalog
    names, ladders = snapshot.names(), snapshot.ladders()
    students = {student.key: student for student in catalog.students()}
    requests = catalog.all_requests()
    return [provisional_json(one, context.redact) for one in catalog.all_waiting()] + [
        family_json(
            family,
            students[family.student],
            ladders[family.id],
            requests.get(family.id, ()),
            names[family.id],
            context.redact,
        )
        for family in snapshot.families()
        if family.id in names and family.student in students
    ]


def member_views(
    context: Context, snapshot: Snapshot, members: Iterable[Member]
) -> list[dict[str, Any]]:
    """Members with the addresses under which they are had."""
    names = snapshot.names()
    return [member_json(member, names[member.family], context.redact) for member in members]

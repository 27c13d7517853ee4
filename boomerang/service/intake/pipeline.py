"""The way of a request: read, found, planned, and recorded once."""

from dataclasses import replace

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.credentials import Credential
from boomerang.catalog.records.families import Created
from boomerang.catalog.records.states import StudentState
from boomerang.catalog.records.students import Origin
from boomerang.catalog.stores.families import LayersPinned
from boomerang.service.intake import asked, found, planned
from boomerang.service.intake.asked import FamilyRequest
from boomerang.service.intake.planned import Plan
from boomerang.service.jobs import KeyFamily, Producer, Rehash
from boomerang.service.models.digests import AT_ONCE, Unhashed
from boomerang.service.settings import Settings
from boomerang.texts import task_names


def ask(
    settings: Settings, catalog: Catalog, producer: Producer, body: FamilyRequest,
    credential: Credential | None = None, owner: str | None = None, most: int = 0,
) -> tuple[str, Plan]:  # fmt: skip
    """Make the family of a request, or find it, and send what has to be done.

    The requester's `credential`, which the body names, is kept as long as it is needed; the key
    that asks is an `owner` of the family, None where the service itself asks, and may ask for at
    `most` so many new ones in a day (0 is any number). Returns its id, which is provisional where
    files have to be hashed or compared first. Raises whatever is wrong with the request, and
    QuotaSpent.
    """
    if body.tasks:
        # Names alone: a folder of tasks is code, which no request may bring.
        task_names.check(body.tasks, None)
    try:
        plan = take(settings, catalog, body)
    except Unhashed as error:
        if error.student is not None:
            producer.send(Rehash(key=error.student))
        raise
    if plan.behind:
        records = replace(plan.records, owner=owner, most=most)
        waiting, send = catalog.expect(records, plan.behind, credential)
        if send:
            producer.send(KeyFamily(family=waiting.id))
        return waiting.id, plan
    try:
        created = _recorded(catalog, plan, credential, owner, most)
    except LayersPinned:
        # Its layers are known by now, once and for all.
        plan = take(settings, catalog, body)
        created = _recorded(catalog, plan, credential, owner, most)
    begin(created, settings, catalog, producer)
    return created.family.id, plan


def _recorded(
    catalog: Catalog, plan: Plan, credential: Credential | None, owner: str | None, most: int
) -> Created:
    records = plan.records
    return catalog.create_family(
        records.family,
        records.student,
        records.members,
        records.requests,
        notify=records.notify,
        credential=credential,
        owner=owner,
        most=most,
    )


def take(
    settings: Settings,
    catalog: Catalog,
    body: FamilyRequest,
    at_once: int = AT_ONCE,
    *,
    compare: bool = False,
) -> Plan:
    """Turn a request into records; at most `at_once` bytes are hashed, as by `found.look_up`.

    Files that would take longer are hashed by a worker, which then takes the request once more.
    Raises whatever is wrong with the request.
    """
    request = asked.read(body, settings)
    materials = found.look_up(request, settings, catalog, at_once, compare=compare)
    return planned.plan(request, materials)


def begin(created: Created, settings: Settings, catalog: Catalog, producer: Producer) -> None:
    """Send the work of a family that was asked for; a ready student that is gone is made again."""
    student, folder = created.student, settings.student_folder(created.student.key)
    ours = student.state is StudentState.READY and student.origin is Origin.DISTILLED
    # Neither merely unmounted, nor on another machine.
    apart = bool(student.hub_commit or settings.students)
    gone = ours and not apart and folder.parent.is_dir() and not folder.is_dir()
    producer.start(catalog.rebuild(created.family.id) if gone else created)

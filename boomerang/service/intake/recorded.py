"""A plan recorded, once: the family in the catalog, and the message that has its work begun."""

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.families import Created
from boomerang.service.intake.planned import Plan
from boomerang.service.messages import KeyFamily
from boomerang.service.models.checkpoints import is_gone
from boomerang.service.producer import Producer
from boomerang.service.settings import Settings


def record(plan: Plan, settings: Settings, catalog: Catalog, producer: Producer) -> str:
    """Make the family of a plan, or find it, and send what has to be done. Return its id.

    It is provisional where files have to be hashed or compared first.
    """
    records = plan.records
    if plan.behind:
        waiting, send = catalog.expect(records, plan.behind)
        if send:
            producer.send(KeyFamily(family=waiting.id))
        return waiting.id
    created = catalog.create_family(
        records.family, records.student, records.members, records.requests
    )
    begin(created, settings, catalog, producer)
    return created.family.id


def begin(created: Created, settings: Settings, catalog: Catalog, producer: Producer) -> None:
    """Send the work of a family that was asked for; a ready student that is gone is made again."""
    gone = is_gone(settings, created.student)
    producer.start(catalog.rebuild(created.family.id) if gone else created)

"""A size that is tried: which member a request means, whether its key may, and the question put."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import anyio
from fastapi import Request, Response

from app.context import Context
from app.security.allowances.allowed import allowance_of
from app.security.keys import check_may_have, who
from app.serving.catalog_cache import Snapshot, by_family, by_repo, by_size
from boomerang.catalog.records.families import Family, Member
from boomerang.catalog.records.states import StudentState
from boomerang.errors import BadRequest, FamilyNotFound, NotReady, SizeNotFound
from boomerang.service.playing.asked import Question
from boomerang.service.playing.asking import Asking

T = TypeVar("T")
_NOBODY = 499
"""The client has closed the connection."""


async def ask(
    request: Request, context: Context, member: Member, question: Question
) -> Asking:  # fmt: skip
    """Put a question about a member; its answer has to be read, or left.

    Raises GatedTeacher, NotReady, and as Asker.ask.
    """
    context.playing.check_on()

    def check() -> None:
        snapshot = context.cache.now()
        family = snapshot.family(member.family)
        check_may_have(request, family)
        check_ready(snapshot, family)

    await anyio.to_thread.run_sync(check)
    most = allowance_of(request).plays_at_once
    return await context.playing.ask(member.family, member.k, question, who(request).id, most)


async def while_there(request: Request, work: Callable[[], Awaitable[T]]) -> T | Response:
    """Read an answer as long as the client is there; for who has gone, the answer to nobody.

    `work` raises nothing of its own: it would come in a group.
    """
    found: list[T] = []
    async with anyio.create_task_group() as group:

        async def watch() -> None:
            while (await request.receive())["type"] != "http.disconnect":
                pass
            group.cancel_scope.cancel()

        group.start_soon(watch)
        found.append(await work())
        group.cancel_scope.cancel()
    return found[0] if found else nobody()


def nobody() -> Response:
    """An answer that nobody reads."""
    return Response(status_code=_NOBODY)


def check_ready(snapshot: Snapshot, family: Family) -> None:
    """Raise NotReady where a family's student is not there yet."""
    state = snapshot.student(family.student).state
    if state is not StudentState.READY:
        raise NotReady(
            f"The student of family {family.id} is {state}.",
            value=family.id,
            fix="Wait for it: GET /families/{id}/events tells how far it is.",
        )


def _ready(snapshot: Snapshot, family: str) -> bool:
    return snapshot.student(snapshot.family(family).student).state is StudentState.READY


async def member_of(context: Context, family: str, size: str) -> Member:
    """The member of a family that a size means, also as a budget.

    Raises FamilyNotFound, NotReady while its files are hashed, SizeNotFound, BudgetOutOfRange.
    """

    def found() -> Member:
        snapshot = context.cache.now()
        # Waits until its ladder is there.
        by_family(snapshot, family)
        return by_size(snapshot, size, family)[0]

    return await anyio.to_thread.run_sync(found)


async def named(context: Context, model: str) -> tuple[Member, str]:
    """The member that a model's name means, and the name of its repository here.

    A name is a repository's, `FAMILY:SIZE` with a family's id or name, or a size that one family
    has, of those that are ready. Raises as `member_of`, and BadRequest where several have it.
    """

    def found() -> tuple[Member, str]:
        snapshot = context.cache.now()
        names = snapshot.names()
        member = _named(snapshot, model, names)
        return member, names[member.family]

    return await anyio.to_thread.run_sync(found)


def _named(snapshot: Snapshot, model: str, names: dict[str, str]) -> Member:
    if "/" in model:
        member = by_repo(snapshot, model)
        if member is None:
            raise SizeNotFound(
                f"There is no model {model!r}.", value=model, fix="GET /v1/models lists them."
            )
        return member
    before, colon, size = model.partition(":")
    if colon:
        called = {name: id_ for id_, name in names.items()}
        try:
            family = snapshot.named(called.get(before, before))
        except FamilyNotFound:
            # A size may have a colon of its own.
            size, family = model, ""
        if family:
            return by_size(snapshot, size, family)[0]
    every = by_size(snapshot, model, None)
    several = [one for one in every if _ready(snapshot, one.family)] or every
    if len(several) > 1:
        ways = ", ".join(sorted(f"{member.family}:{member.size}" for member in several))
        raise BadRequest(
            f"{len(several)} families have {model!r}.", value=model, fix=f"Say which: {ways}."
        )
    return several[0]

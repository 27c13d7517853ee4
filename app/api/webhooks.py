"""What the Hub tells: a teacher has a new commit, so that its families are outdated.

The Hub waits for the answer, so nothing is asked of it here: what is to be made anew is made by a
worker (docs/decisions/service/webhooks.md).
"""

from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

from app.context import ContextDep
from app.openapi import problems
from app.schemas.answer import HookAnswer
from boomerang.catalog.hooks.following import Move

router = APIRouter(prefix="/webhooks", tags=["webhooks"])

Sha = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]


class Repo(BaseModel):
    """The repository that changed."""

    type: str = Field(max_length=100)
    name: str = Field(max_length=300)


class UpdatedRef(BaseModel):
    """A branch or tag that names another commit now, or is new, or (without `newSha`) is gone."""

    ref: str = Field(max_length=300)
    oldSha: Sha | None = None  # noqa: N815
    newSha: Sha | None = None  # noqa: N815


class Payload(BaseModel):
    """What of a Hub webhook (version 3) is read."""

    repo: Repo
    updatedRefs: list[UpdatedRef] | None = Field(default=None, max_length=1000)  # noqa: N815


@router.post("/hub", status_code=202, response_model=HookAnswer, responses=problems(401, 422))
def hub_changed(payload: Payload, context: ContextDep) -> Response:
    """Mark the families of a teacher as outdated by its new commit, and have them made anew.

    They are made anew where BOOMERANG_FOLLOW says so; those there are stay as they are. What
    changes nothing (other repositories and branches, what is known already) is answered with why.
    """
    outdated: dict[str, None] = {}
    rebuilt: dict[str, None] = {}
    ignored: list[str] = []
    refs = payload.updatedRefs or []
    if payload.repo.type != "model":
        refs = []
        ignored.append(f"No teacher is a {payload.repo.type}.")
    elif not refs:
        ignored.append("No branch moved.")
    for ref in refs:
        if ref.newSha is None:
            ignored.append(f"{ref.ref} was deleted.")
            continue
        move = Move(repo=payload.repo.name, ref=ref.ref, old=ref.oldSha or "", new=ref.newSha)
        moved = context.catalog.teacher_moved(move, rebuild=context.settings.follow == "rebuild")
        outdated |= dict.fromkeys(moved.outdated)
        rebuilt |= dict.fromkeys(moved.rebuilt)
        ignored += [moved.ignored] if moved.ignored else []
    answer = {"outdated": list(outdated), "rebuilt": list(rebuilt), "ignored": ignored}
    return JSONResponse(answer, 202)

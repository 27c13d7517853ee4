"""What the Hub's client downloads: one file of a repository at a revision."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from app.context import ContextDep
from app.hub.opening import REFUSED, opened, refused
from app.hub.paths import parts_after, reads, split_revision
from app.openapi import download_of
from app.security import check_may_have
from app.serving.responses import FOR_EVER, FRESH, serve
from boomerang.errors import GatedTeacher

router = APIRouter(tags=["hub"])

_FILE = download_of(
    "application/octet-stream",
    X_Repo_Commit="the revision that it is of",
    X_Linked_Size="its bytes",
    X_Linked_ETag="its ETag",
)


@reads(
    router,
    "/{ns}/{name}/resolve/{revision}/{file:path}",
    response_class=Response,
    responses=_FILE | REFUSED,
)
async def resolve(
    ns: str, name: str, revision: str, file: str, request: Request, context: ContextDep
) -> Response:
    """One file at a revision."""
    revision, file = split_revision(parts_after(request, 2)[1:])
    volume = await context.lanes.answered(lambda: opened(context, f"{ns}/{name}", revision))
    if isinstance(volume, Response):
        return volume
    try:
        check_may_have(request, volume.family)
    except GatedTeacher as error:
        return refused(403, "GatedRepo", f"{volume.repo_id}: {error}")
    if file not in volume.files:
        what = f"{volume.repo_id} has no file {file}."
        return refused(404, "EntryNotFound", what, volume.revision)
    etag = volume.etag(file)
    headers = {
        "X-Repo-Commit": volume.revision,
        "X-Linked-Size": str(volume.files[file].size),
        "X-Linked-ETag": f'"{etag}"',
        "Cache-Control": FOR_EVER if revision == volume.revision else FRESH,
    }
    return await serve(request, volume.files[file], etag=etag, headers=headers)

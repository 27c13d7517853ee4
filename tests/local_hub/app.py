"""The test Hub as an ASGI application: what huggingface_hub 2 calls."""

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from tests.local_hub.accounts import ACCOUNTS, writes
from tests.local_hub.control import control
from tests.local_hub.faults import Layer
from tests.local_hub.repos import HubError, Repo
from tests.local_hub.routes.account import account_routes
from tests.local_hub.routes.lfs import lfs_routes
from tests.local_hub.routes.reading import file_routes, reading_routes
from tests.local_hub.routes.writing import writing_routes
from tests.local_hub.routes.xet import XetStore, xet_routes
from tests.local_hub.store import Store


def bearer(request: Request) -> str | None:
    """The token of a request."""
    value = request.headers.get("authorization", "")
    token = value.removeprefix("Bearer ") if value else None
    if token is not None and token not in ACCOUNTS:
        message = "Invalid credentials in Authorization header"
        raise HubError(401, "", message, headers={"X-Error-Message": message})
    return token


def build(store: Store) -> Layer:
    """The whole Hub."""
    app = FastAPI()
    xet = XetStore(store)

    def find(request: Request, owner: str, name: str, write: bool = False) -> Repo:
        token = bearer(request)
        repo = store.find(f"{owner}/{name}", token)
        if write and not writes(token, owner):
            raise HubError(403, "", "You don't have the rights to write")
        return repo

    @app.exception_handler(HubError)
    async def refused(request: Request, error: HubError) -> Response:
        headers = {"X-Error-Code": error.code, "X-Error-Message": error.message, **error.headers}
        content = {"error": error.message, **error.extra}
        return JSONResponse(content, error.status, {k: v for k, v in headers.items() if v})

    # Collections are among the account's: their addresses look like those of repositories.
    for routes in (
        account_routes(store, bearer),
        reading_routes(store, find, bearer),
        writing_routes(store, xet, find),
        lfs_routes(store, find),
        xet_routes(store, xet, find),
        file_routes(store, find, bearer),
    ):
        app.include_router(routes)
    layer = Layer(app)
    layer.control = control(store, layer)
    return layer

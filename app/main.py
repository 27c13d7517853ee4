"""The front end: `uvicorn app.main:app`. Importing it loads no torch and opens nothing."""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from app import errors
from app.api import (
    families,
    further,
    history,
    jobs,
    models,
    plan,
    rebuilds,
    service,
    usage,
    webhooks,
)
from app.api.managing import keys
from app.context import Context
from app.hub import repositories
from app.openapi import ANY, DescribedAPI
from app.pages import assets, pages, problems
from app.play import openai, streams
from app.security.audit import Auditor
from app.security.guard import Guard
from app.security.sessions import Sessions
from app.watching.figures import Figures
from app.watching.requests import Watched
from app.watching.things import Things
from boomerang import __version__
from boomerang.processes.logs import begin_logs
from boomerang.service.redaction import Redactor
from boomerang.service.settings import Settings, get_settings
from boomerang.service.watching.collectors import Machine
from boomerang.service.watching.traces import begin_traces, trace_requests


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    begin_logs(app.state.settings.log_format, app.state.settings.log_level)
    context = app.state.context = Context(app.state.settings)
    app.state.sessions.keys.follow(context.catalog)
    app.state.auditor.follow(context.catalog)
    app.state.served = context.served
    machine = Machine(context.settings.home, __version__)
    looked_up = (machine, Things(context.catalog, context.settings.redis_url))
    for figures in looked_up:
        app.state.figures.registry.register(figures)
    # What was imported stays. Looked through for garbage again and again, it would now and then
    # hold a first byte up by tens of milliseconds.
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        await app.state.sessions.keys.stop()
        await app.state.auditor.stop()
        for figures in looked_up:
            app.state.figures.registry.unregister(figures)
        await context.stop()
        await run_in_threadpool(app.state.end_traces)


class _App(DescribedAPI):
    """The application, whose every answer is told of: those to its own faults, too."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await Watched(super().__call__, self.state.figures)(scope, receive, send)


def create_app(settings: Settings | None = None) -> FastAPI:
    """A front end with these settings, or those of the environment."""
    app = _App(
        title="Boomerang",
        version=__version__,
        summary="Any model size between a student and its teacher.",
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.state.settings = settings or get_settings()
    app.state.sessions, app.state.figures = Sessions(app.state.settings), Figures()
    errors.install(app, Redactor(app.state.settings), problems.shown)
    app.state.auditor = Auditor()
    app.add_middleware(
        Guard, settings=app.state.settings, sessions=app.state.sessions,
        auditor=app.state.auditor, shown=problems.shown,
    )  # fmt: skip
    app.mount(
        "/static/swagger", StaticFiles(packages=[("fastapi_offline", "static")]), name="swagger"
    )
    app.mount(assets.versioned(), assets.Assets(assets.FOR_GOOD), name="versioned")
    app.mount(assets.PATH, assets.Assets(assets.ASK_AGAIN), name="static")
    # A page goes before what programs get at its address: app/views.py.
    for router in (
        pages.router, service.health, families.router, further.router, plan.router, rebuilds.router,
        history.router, jobs.router, usage.router, keys.router, service.events, models.router,
        streams.router, openai.router, webhooks.router, repositories.router,
    ):  # fmt: skip
        app.include_router(router, responses=ANY)
    told = app.state.settings
    app.state.end_traces = begin_traces(told.otlp_endpoint, "boomerang-front-end", __version__)
    if told.otlp_endpoint:
        trace_requests(app)
    return app


app = create_app()

"""Every page of the dashboard, one module each: their routes together."""

from fastapi import APIRouter

from app.pages import family, home, jobs, model, reference

router = APIRouter()
for one in (home, family, model, jobs, reference):
    router.include_router(one.router)

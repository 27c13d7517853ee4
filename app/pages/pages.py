"""Every page of the dashboard, one module each: their routes together."""

from fastapi import APIRouter

from app.pages import family, forms, home, jobs, login, model, new, reference
from app.pages.play import play

router = APIRouter()
for one in (home, login, forms, new, family, model, play, jobs, reference):
    router.include_router(one.router)

"""What the forms of the dashboard send: each does what a request of the API does, and goes on."""

from fastapi import APIRouter

from app.pages.forms import deleting, making, routes

router = APIRouter()
for one in (making, routes, deleting):
    router.include_router(one.router)

"""Who asks, new repositories, what a card may say, and collections."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from tests.local_hub.accounts import ACCOUNTS, writes
from tests.local_hub.repos import HubError
from tests.local_hub.routes.cards import faults_of_card
from tests.local_hub.store import Store

Bearer = Callable[[Request], str | None]


def account_routes(store: Store, bearer: Bearer) -> APIRouter:
    routes = APIRouter()

    @routes.get("/api/whoami-v2")
    def whoami(request: Request) -> dict[str, Any]:
        token = bearer(request)
        if token is None:
            raise HubError(401, "", "Invalid username or password.")
        return ACCOUNTS[token].whoami()

    @routes.post("/api/validate-yaml")
    async def validate(request: Request) -> Response:
        text = (await request.json())["content"]
        errors, warnings = faults_of_card(text)
        told = {
            "errors": [{"message": message} for message in errors],
            "warnings": [{"message": message} for message in warnings],
        }
        return JSONResponse(told, 400 if errors else 200)

    async def named(request: Request) -> tuple[str, dict[str, Any]]:
        """Which repository a body is about, and the body."""
        token = bearer(request)
        if token is None:
            raise HubError(401, "", "You need to be authenticated")
        asked = await request.json()
        owner = asked.get("organization") or ACCOUNTS[token].name
        if not writes(token, owner):
            raise HubError(403, "", f"You don't have the rights to create a model under {owner}")
        return f"{owner}/{asked['name']}", asked

    @routes.post("/api/repos/create")
    async def create(request: Request) -> dict[str, Any]:
        id, asked = await named(request)
        url = f"{str(request.base_url).rstrip('/')}/{id}"
        if id in store.repos:
            raise HubError(409, "", "You already created this model repo", url=url)
        private = asked.get("visibility") == "private" or bool(asked.get("private"))
        store.create(id, private)
        return {"url": url, "name": id, "id": id}

    @routes.delete("/api/repos/delete")
    async def delete(request: Request) -> dict[str, Any]:
        id, _ = await named(request)
        store.remove(store.find(id, bearer(request)))
        return {}

    _collections(routes, store)
    return routes


def _collections(routes: APIRouter, store: Store) -> None:
    @routes.post("/api/collections")
    async def create(request: Request) -> dict[str, Any]:
        asked = await request.json()
        slug = f"{asked['namespace']}/{asked['title'].lower().replace(' ', '-')}-{'0' * 24}"
        if slug in store.collections:
            raise HubError(409, "", "the collection exists", slug=slug)
        store.collections[slug] = made = {
            "slug": slug, "title": asked["title"], "owner": {"name": asked["namespace"]},
            "items": [], "lastUpdated": "2026-01-01T00:00:00.000Z", "position": 0,
            "private": asked.get("private", False), "theme": "green", "upvotes": 0,
        }  # fmt: skip
        store.save_collections()
        return made

    def at(owner: str, slug: str) -> dict[str, Any]:
        if f"{owner}/{slug}" not in store.collections:
            raise HubError(404, "", "no such collection")
        return store.collections[f"{owner}/{slug}"]

    @routes.get("/api/collections/{owner}/{slug}")
    def get(owner: str, slug: str) -> dict[str, Any]:
        return at(owner, slug)

    @routes.patch("/api/collections/{owner}/{slug}")
    async def change(owner: str, slug: str, request: Request) -> dict[str, Any]:
        collection = at(owner, slug)
        collection.update(await request.json())
        store.save_collections()
        return {"success": True, "data": collection}

    @routes.post("/api/collections/{owner}/{slug}/items")
    async def add(owner: str, slug: str, request: Request) -> dict[str, Any]:
        collection = at(owner, slug)
        asked = await request.json()
        item = asked["item"]
        if any(old["id"] == item["id"] for old in collection["items"]):
            raise HubError(409, "", "already in the collection")
        count = len(collection["items"])
        note = {"note": {"text": asked["note"]}} if asked.get("note") else {}
        collection["items"].append({"_id": f"{count:024}", "position": count, **item, **note})
        store.save_collections()
        return collection

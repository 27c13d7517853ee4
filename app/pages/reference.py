"""The page of the interface: what it takes and gives, from /openapi.json."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from app.pages.rendering import BOUND, templates

router = APIRouter(include_in_schema=False)


@router.get("/docs", response_class=HTMLResponse)
def docs(request: Request) -> Response:
    """What the interface takes and gives, from /openapi.json; nothing comes from elsewhere."""
    response = templates.TemplateResponse(request, "docs.html")
    # Swagger writes styles into its elements, and has its pictures in its style sheet.
    ours = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"
    response.headers["Content-Security-Policy"] = f"{ours}; {BOUND}"
    response.headers["Referrer-Policy"] = "same-origin"
    return response

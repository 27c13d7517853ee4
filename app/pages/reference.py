"""The page of the interface: what it takes and gives, from /openapi.json."""

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response

from app.pages.rendering import BOUND, templates
from app.views import VARY, Representation, preferred

router = APIRouter(include_in_schema=False)


@router.get("/docs", response_class=HTMLResponse)
def docs(request: Request) -> Response:
    """What the interface takes and gives, from /openapi.json; nothing comes from elsewhere."""
    if preferred(request.headers) is Representation.JSON:
        return JSONResponse(request.app.openapi(), headers=VARY)
    response = templates.TemplateResponse(request, "docs.html", headers=VARY)
    # Swagger writes styles into its elements, and has its pictures in its style sheet.
    ours = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"
    response.headers["Content-Security-Policy"] = f"{ours}; {BOUND}"
    response.headers["Referrer-Policy"] = "same-origin"
    return response

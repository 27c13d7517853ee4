"""How pages are made: templates, what they may say, and the policy that browsers hold them to."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from fastapi.templating import Jinja2Templates
from markupsafe import Markup

from app.context import Context
from app.errors import problem
from app.pages.assets import Addressed
from app.security.forms import csrf, give_cookie
from app.security.keys import may
from app.views import VARY
from boomerang.catalog.records.keys import KeyScope
from boomerang.family.composition import bar, legend
from boomerang.family.order_forms import order_in_words

BOUND = "frame-ancestors 'none'; form-action 'self'; base-uri 'none'"
POLICY = f"default-src 'self'; {BOUND}"
"""Nothing from other hosts, and no script or style but ours."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "same-origin",
    # A page is what one key may see: kept by nobody on the way, and asked for anew.
    "Cache-Control": "private, no-cache",
}
NOTICES = {
    "asked": "It is asked for: this page follows it.",
    "cancelled": "It is cancelled. Tried again, it goes on where it was.",
    "let-go": "You let go of it. Others asked for it, too: for them it stays.",
    "deleted": "The family is forgotten. Its student stays, for whoever asks for it again.",
    "rebuild": "What there is of it is looked at and mended; the report appears here.",
    "anew": "This is the new generation, made beside the one before.",
    "retry": "What failed begins anew.",
    "measure": "It is measured as soon as a worker is free.",
    "publish": "It is pushed to the Hub as soon as it is there.",
    "out": "You are logged out.",
}
"""What a page says once after a form, by the name in its address; never text of the address."""


def _figure(value: float | str | None, digits: int = 2) -> str:
    """A measured number; one that JSON has no number for comes as its name."""
    if value is None:
        return "–"
    return value if isinstance(value, str) else f"{value:.{digits}f}"


def _share(value: float | None) -> str:
    """A part of one, in hundredths; of what was measured before it was, there is none."""
    return "not measured" if value is None else f"{100 * value:.1f} %"


def _minute(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(seconds))


def _left(seconds: float) -> str:
    """A time that is left, as static/js/live.js says it too."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def mb(value: float) -> str:
    """Bytes as people read them, in the units of files."""
    return f"{value / 1e9:.2f} GB" if value >= 1e9 else f"{value / 1e6:.2f} MB"


def _doubt(said: str) -> Markup:
    """A figure, the error that stands behind it less loud."""
    value, sign, error = said.partition("\N{NO-BREAK SPACE}±")
    loud = Markup.escape(value)
    return Markup("{}<small>{}{}</small>").format(loud, sign, error) if sign else loud


def _rights(request: Request) -> dict[str, Any]:
    """What every template may ask: what this key may do, and the token that its forms carry.

    `signed_in` is whether there is a session to end; `notice` what the form before had done.
    """

    def allowed(scope: KeyScope) -> bool:
        return may(request, scope)

    return {
        "may": allowed,
        "csrf": partial(csrf, request),
        "signed_in": getattr(request.state, "session", None) is not None,
        "notice": NOTICES.get(request.query_params.get("done", "")),
    }


templates = Jinja2Templates(
    directory=Path(__file__).parent / "templates", context_processors=[_rights]
)
templates.env.add_extension(Addressed)
templates.env.trim_blocks = templates.env.lstrip_blocks = True
templates.env.filters |= {
    "bar": bar, "legend": legend, "order_in_words": order_in_words, "figure": _figure,
    "share": _share, "minute": _minute, "count": "{:,}".format, "mb": mb, "left": _left,
    "doubt": _doubt,
}  # fmt: skip


def page(
    request: Request,
    context: Context,
    template: str,
    event: int,
    facts: Mapping[str, Any],
    status: int = 200,
    parts: Mapping[str, Callable[[], Mapping[str, Any]]] | tuple[str, ...] = (),
) -> Response:
    """A page, or the part of it that `?part=` names: `PAGE/_PART.html` beside `PAGE/PAGE.html`.

    `event` is the newest from before its facts were read, so that none is missed. Of `parts` a
    page may say more than their names: what each needs that the others do not, read when it is
    shown. Without `?part=` all of it is read.
    """
    wanted = request.query_params.get("part")
    if wanted is not None and wanted not in parts:
        return problem(404, "part", "No such part", f"This page has no part {wanted!r}.",
                       value=wanted, fix=f"Its parts: {', '.join(parts) or 'none'}.")  # fmt: skip
    shown = dict(facts)
    if not isinstance(parts, tuple):
        for name, read in parts.items():
            if wanted in (None, name):
                shown |= read()
    shown["event"] = event
    shown["base"] = (context.settings.public_url or str(request.base_url)).rstrip("/")
    if wanted is not None:
        template = f"{template.rpartition('/')[0]}/_{wanted}.html"
    answer = templates.TemplateResponse(
        request, template, shown, status_code=status, headers=VARY | HEADERS
    )
    give_cookie(request, answer)
    if getattr(request.state, "session", None) is not None:
        # Or who goes back after somebody has logged out sees what that one saw.
        answer.headers["Cache-Control"] = "no-store"
    return answer

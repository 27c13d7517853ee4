"""Settings: what they forbid, what is weak, what is written wrongly."""

import os
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from boomerang.errors import BoomerangError
from boomerang.service.settings import Settings
from boomerang.service.upkeep.doctor.catalog import has_keys
from boomerang.service.upkeep.doctor.finding import Finding, fail, ok, warn

SHORT_KEY = 20
"""Characters below which a key may be found by trying."""
_PREFIX = "BOOMERANG_"
_OTHERS = frozenset({"URL", "API_KEY", "TRACE", "TEST_EXAMPLES"})
"""What is read under that prefix besides settings: by the command line, by children, by tests."""


def settings_of(settings: Settings) -> Iterator[Finding]:
    """Whether a service with these settings may be served, and is what its operator means."""
    try:
        settings.check(keys=has_keys(settings.database_url))
        yield ok("settings", "They may be served.")
    except BoomerangError as error:
        yield fail("settings", error.detail, error.fix)
    yield from _keys(settings)
    yield from _public(settings)
    yield from _folders(settings)
    if unknown := unknown_names(os.environ):
        yield warn("environment", f"Nothing reads {', '.join(unknown)}.",
                   "Look for a mistake in the name: docs/operations.md lists the settings.",
                   unknown)  # fmt: skip


def unknown_names(environment: Mapping[str, str]) -> list[str]:
    """Variables that are called like settings and are none."""
    known = {name.upper() for name in Settings.model_fields} | _OTHERS
    found = (name for name in environment if name.startswith(_PREFIX))
    return sorted(name for name in found if name.removeprefix(_PREFIX) not in known)


def _keys(settings: Settings) -> Iterator[Finding]:
    given = [key.get_secret_value().rpartition(":")[2] for key in settings.api_keys]
    short = [key for key in given if not key.startswith("sha256$") and len(key) < SHORT_KEY]
    if short:
        yield warn("keys", f"{len(short)} of {len(given)} have less than {SHORT_KEY} characters.",
                   "Make keys by `openssl rand -hex 32`.", len(short))  # fmt: skip
    if not settings.secret.get_secret_value() and not settings.loopback:
        yield warn("secret", "There is no BOOMERANG_SECRET: Hub tokens of requesters are refused, "
                   "and browsers log in again after each restart.",
                   "Set it, for front ends and workers alike: openssl rand -hex 32.")  # fmt: skip
    hook = settings.webhook_secret.get_secret_value()
    if hook and len(hook) < SHORT_KEY:
        yield warn("webhooks", f"The secret of webhooks has less than {SHORT_KEY} characters.",
                   "Make one by `openssl rand -hex 32`, and give it to the Hub.")  # fmt: skip


def _public(settings: Settings) -> Iterator[Finding]:
    if not settings.public_url:
        if not settings.loopback:
            yield warn("public address", "There is none: notices and cards name no address, and "
                       "links are those that a request came by.",
                       "Set BOOMERANG_PUBLIC_URL to what clients use.")  # fmt: skip
        return
    parts = urlsplit(settings.public_url)
    shown = f"{parts.scheme}://{parts.hostname}"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        yield fail("public address", "BOOMERANG_PUBLIC_URL is no address.",
                   "Write it as https://boomerang.example.org.", shown)  # fmt: skip
    elif parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        yield warn("public address", "It is not encrypted: keys are read on their way.",
                   "Put a proxy with a certificate in front, and name its https address.",
                   shown)  # fmt: skip
    else:
        yield ok("public address", "It is an address.", shown)


def _folders(settings: Settings) -> Iterator[Finding]:
    for name, folder in (("models", settings.models), ("data", settings.data)):
        if folder is None:
            continue
        if not os.access(folder, os.R_OK):
            yield fail(name, f"BOOMERANG_{name.upper()} is not there, or cannot be read.",
                       "Mount it, or let this user read it.", str(folder))  # fmt: skip
        else:
            yield ok(name, f"BOOMERANG_{name.upper()} can be read.", str(folder))

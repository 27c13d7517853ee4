"""Telling addresses what became of a family: which may be told, and how it is signed and sent.

An address comes from a request, so this machine must not be made to speak to whatever it can reach:
only hosts that the operator listed are told, over TLS; what a name resolves to is looked at before
it is spoken to, no redirect is followed, and nothing of the answer but its status is read. Notices
are signed as Standard Webhooks are (https://www.standardwebhooks.com).
"""

import ipaddress
import json
import logging
import socket
import ssl
import time
from dataclasses import dataclass
from datetime import UTC, datetime

import anyio
import httpx
from standardwebhooks.webhooks import Webhook

from boomerang.catalog.hooks.outbox import Notice
from boomerang.errors import BadRequest, BoomerangError
from boomerang.service.redaction import Redactor
from boomerang.service.settings import Settings

SECONDS = 10.0
"""How long an address may take to take a notice."""
_PORTS = {"https": 443, "http": 80}
_BUSY = (429, 502, 503, 504)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

# An address may have a key in it, which httpx would write into the log.
logging.getLogger("httpx").setLevel(logging.WARNING)


class NotTaken(BoomerangError):
    """A notice was not taken, and may be later."""

    slug, title, transient = "not-taken", "A notice was not taken", True


class NobodyThere(NotTaken):
    """Nor will the host take others now."""

    slug, title = "nobody-there", "Nobody took a notice"


@dataclass(frozen=True, slots=True)
class Target:
    """An address that may be told; `listed` says that its host was listed by name."""

    url: httpx.URL
    host: str
    port: int
    listed: bool


def target(settings: Settings, url: str) -> Target:
    """Read an address. Raises BadRequest where it is none, or none that may be told."""
    try:
        read = httpx.URL(url)
    except (httpx.InvalidURL, ValueError):
        raise _refused(url, "That is no address", "Write it as https://HOST/PATH.") from None
    host, usual = read.raw_host.decode().lower(), _PORTS.get(read.scheme)
    if not host or usual is None or read.userinfo or (read.port or 0) >= 1 << 16:
        raise _refused(url, "That is no address to tell", "Write it as https://HOST/PATH.")
    if not settings.notify_hosts:
        raise _refused(url, "This service tells nobody", "Set BOOMERANG_NOTIFY_HOSTS.")
    port, shown = read.port or usual, f"[{host}]" if ":" in host else host
    names = {f"{shown}:{port}"} | ({shown} if port == usual else set())
    listed = not names.isdisjoint(settings.notify_hosts)
    ends = [one[1:] for one in settings.notify_hosts if one.startswith("*")]
    if not listed and not any(name.endswith(end) for name in names for end in ends):
        fix = "Name a host of BOOMERANG_NOTIFY_HOSTS, with its port where that is not usual."
        raise _refused(url, f"The host {shown!r} is not listed", fix)
    if read.scheme != "https" and not (listed and _loopback(host)):
        raise _refused(url, "A notice is not sent in the clear", "Write it as https://HOST/PATH.")
    return Target(read, host, port, listed)


def send(settings: Settings, url: str, id_: str, body: str) -> None:
    """Tell an address, signed with the time of this attempt. Raises NotTaken.

    `id_` is the same at each attempt, and so is `body`, which is JSON.
    """
    try:
        found = target(settings, url)
    except BadRequest as error:
        raise NotTaken(error.detail) from error
    now, secret = datetime.now(UTC), settings.notify_secret.get_secret_value()
    if not settings.signs:
        raise NotTaken("There is no BOOMERANG_NOTIFY_SECRET where it is to be signed.")
    headers = {
        "content-type": "application/json",
        "user-agent": "boomerang",
        "webhook-id": id_,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(id_, now, body),
    }
    verify = httpx.create_ssl_context() if found.url.scheme == "https" else False
    until = time.monotonic() + SECONDS
    for address in _resolved(found):
        try:
            status = anyio.run(_post, found, address, headers, body.encode(), verify, until)
            break
        except (httpx.HTTPError, OSError) as error:
            # No text of it: that may name the address.
            why = f"It did not answer ({type(error).__name__})."
    else:
        raise NobodyThere(why)
    if not 200 <= status < 300:
        kind = NobodyThere if status in _BUSY else NotTaken
        raise kind(f"It answered {status}.")


def body_of(settings: Settings, notice: Notice) -> str:
    """What is told, as JSON: the same at each attempt, and without any folder of this machine."""
    data = Redactor(settings)(notice.data)
    address = settings.public_url.rstrip("/") or f"http://{settings.host}:{settings.port}"
    data["url"] = f"{address}/families/{notice.family}"
    when = datetime.fromtimestamp(notice.created, UTC).isoformat(timespec="seconds")
    return json.dumps({"type": notice.kind, "timestamp": when.replace("+00:00", "Z"), "data": data})


async def _post(
    found: Target,
    address: str,
    headers: dict[str, str],
    body: bytes,
    verify: ssl.SSLContext | bool,
    until: float,
) -> int:
    """The status of an answer from one address of a host."""
    # To the address that was looked at: a name may resolve to another the next time.
    url = found.url.copy_with(host=address)
    headers = {"host": found.url.netloc.decode(), **headers}
    async with httpx.AsyncClient(
        verify=verify, trust_env=False, follow_redirects=False, timeout=SECONDS
    ) as client:
        request = client.build_request(
            "POST", url, headers=headers, content=body, extensions={"sni_hostname": found.host}
        )
        with anyio.fail_after(until - time.monotonic()):
            answer = await client.send(request, stream=True)
            await answer.aclose()
            return answer.status_code


def _resolved(found: Target) -> list[str]:
    """The addresses of a host. Raises NotTaken where one of them may not be spoken to."""
    try:
        every = socket.getaddrinfo(found.host, found.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NobodyThere("Its name is not found.") from error
    addresses = list(dict.fromkeys(str(one[4][0]) for one in every))
    if not found.listed and not all(map(_public, addresses)):
        raise NotTaken("It is in a private network, and not listed by name.")
    return addresses


def _public(text: str) -> bool:
    """Whether an address is one of the internet's, also where it stands for one of IPv4."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        inside = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            inside = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inside is not None:
            return inside.is_global and not inside.is_multicast
    return address.is_global and not address.is_multicast


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _refused(url: str, why: str, fix: str) -> BadRequest:
    return BadRequest(f"notify: {why}.", value=url, fix=fix)

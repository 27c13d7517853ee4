"""Where a request publishes to and as whom, settled and checked before anything is done for it."""

from contextlib import suppress
from typing import Any

from boomerang.catalog.records.credentials import Credential
from boomerang.errors import BadRequest, HubUnreachable, NamespaceRefused
from boomerang.hub.client import acting_as
from boomerang.hub.rights import HEADER, check_namespace, rights
from boomerang.service.credentials import seal
from boomerang.service.intake.asked import FamilyRequest, KeptRequest
from boomerang.service.intake.publish_to import KeptPublishTo, PublishTo
from boomerang.service.settings import Settings


def settle_publishing(
    settings: Settings, body: FamilyRequest, token: str | None
) -> tuple[FamilyRequest, Credential | None]:
    """Name the namespace of a request, and check that it may be published to.

    `token` is the requester's own; it is sealed for the jobs of this request. A Hub that does not
    answer is asked again before something is published (`check_publishing`), and keeps nobody from
    a family. Raises BadRequest, NamespaceRefused; HubFailure where only the Hub can name the
    namespace.
    """
    if body.publish is None:
        if token is not None:
            raise BadRequest(
                f"{HEADER} came with a request that publishes nothing.",
                fix='Say where to publish: {"publish": {}}, or send no token.',
            )
        return body, None
    publish, credential = settle(settings, body.publish, token)
    return KeptRequest(**{**dict(body), "publish": publish}), credential


def settle(
    settings: Settings, publish: PublishTo, token: str | None
) -> tuple[KeptPublishTo, Credential | None]:
    """Where to publish, with a namespace that may be published to. Raises as the above."""
    credential = None if token is None else seal(settings, token)
    with acting_as(token):
        namespace = publish.namespace or _default(settings, own=token is not None)
        with suppress(HubUnreachable):
            check_publishing(settings, namespace)
    values = publish.model_dump(exclude={"credential"}) | {"namespace": namespace}
    kept = KeptPublishTo(**values, credential=None if credential is None else credential.id)
    return kept, credential


def options_of(publish: PublishTo, whose: str, *, gated: bool, private: bool) -> dict[str, Any]:
    """A request's options to publish the family of `whose`, which may be gated or private.

    Raises BadRequest where that is never shown to those who are to see it.
    """
    options = publish.model_dump()
    # Requests that say nothing of these are the same that they were before there were any.
    for later in ("gated", "credential"):
        if options.get(later) is None:
            options.pop(later, None)
    open_to_all = not options["private"] and (private or not options.get("gated"))
    if (gated or private) and open_to_all:
        gate = "" if private else ' or behind a gate of its own: gated: "auto" or "manual"'
        raise BadRequest(
            f"{whose} is gated or private, so its family is never made public.",
            value=False,
            fix=f"Publish with private: true{gate}.",
        )
    return options


def check_publishing(settings: Settings, namespace: str) -> None:
    """Refuse a namespace that is not allowed, or where the token in use may not write.

    Raises NamespaceRefused, HubFailure (HubUnreachable).
    """
    _check_listed(settings, namespace)
    check_namespace(namespace, settings.hub_endpoint)


def _check_listed(settings: Settings, namespace: str) -> None:
    allowed = settings.allowed_namespaces
    if allowed and namespace not in allowed:
        raise NamespaceRefused(
            f"This service publishes nothing to {namespace!r}.",
            value=namespace,
            fix=f"Publish to one of {', '.join(allowed)}, or have BOOMERANG_NAMESPACES changed.",
        )


def _default(settings: Settings, *, own: bool) -> str:
    whose = rights(settings.hub_endpoint) if own else None
    namespace = settings.namespace if whose is None else whose.user
    if not namespace:
        raise BadRequest(
            "No namespace to publish to was named, and the service has none of its own.",
            fix='Name it: {"publish": {"namespace": "…"}}, or set BOOMERANG_NAMESPACE.',
        )
    return namespace

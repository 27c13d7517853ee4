"""One member of two models that there are, pushed to the Hub with its card."""

from dataclasses import dataclass

from boomerang.card.card import card
from boomerang.card.facts import Facts, Size
from boomerang.checkpoint.content import refuse_without_derivatives
from boomerang.checkpoint.header import FLOAT_NAMES
from boomerang.errors import BadName, BadRequest
from boomerang.face.assemble import choose
from boomerang.face.models import Named, found, open_pair
from boomerang.hub import publish as hub
from boomerang.hub.find import Found


@dataclass(frozen=True, slots=True)
class Published(hub.Published):
    """A member on the Hub. `parameters` are stored ones."""

    size: str
    parameters: int


def publish(
    teacher: Named, student: Named, size: str, to: str, *, order: str, public: bool = False,
    kept: tuple[int, ...] | None = None,
) -> Published:  # fmt: skip
    """Push a member to the repository `to`, private unless `public`.

    Raises BadName, BadRequest for a teacher that must not be published, Unusable where its licence
    forbids derived works, or as `choose` and `hub.publish.publish`.
    """
    if to.count("/") != 1:
        raise BadName(f"{to!r} is no repository.", value=to, fix="Write it as NAMESPACE/NAME.")
    of_teacher = found(teacher)
    chosen = choose(open_pair(of_teacher, student, kept=kept), order, size)
    member, resolved = chosen.ladder.resolve(size), of_teacher.resolved
    _may_publish(of_teacher, public)
    sizes = tuple(Size(m.size, m.parameters, m.layers) for m in chosen.ladder.members)
    pair = chosen.pair
    dtype = pair.teacher.head_tensor.dtype
    facts = Facts(
        repo_id=to,
        size=next(one for one in sizes if one.name == member.size),
        composition=member.composition,
        teacher=of_teacher.public_name,
        teacher_commit=of_teacher.commit(),
        order=order,
        dtype=FLOAT_NAMES.get(dtype, dtype),
        student=pair.student.checkpoint.name if pair.student.checkpoint.commit else None,
        license=of_teacher.license,
        license_name=resolved.license_name if resolved else None,
        license_link=resolved.license_link if resolved else None,
        language=resolved.language if resolved else (),
        sizes=sizes,
        masked=pair.teacher.architecture.masked,
    )
    message = f"{member.size} by Boomerang"
    done = hub.publish(to, chosen.files(card(facts)), private=not public, message=message)
    return Published(
        done.repo_id, done.commit, done.url, done.changed, member.size, member.parameters
    )


def _may_publish(teacher: Found, public: bool) -> None:
    refuse_without_derivatives(teacher.name, teacher.license)
    if public and (teacher.gated or teacher.private):
        raise BadRequest(
            f"{teacher.name!r} is gated or private, so its family is never made public.",
            value=teacher.name,
            fix="Publish without --public.",
        )

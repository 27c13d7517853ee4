"""One member of two models that there are: as files in a folder, or on the Hub with its card."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from boomerang.architecture.runtimes import runtimes
from boomerang.assembly.bytefile import ByteFile, Watch, write_folder
from boomerang.assembly.record import Origin, made_of
from boomerang.assembly.stitch import member_files
from boomerang.card.card import card
from boomerang.card.facts import Facts, Size, inherited
from boomerang.checkpoint.files import RECORD
from boomerang.checkpoint.folders import refuse_without_derivatives
from boomerang.checkpoint.header import FLOAT_NAMES
from boomerang.checkpoint.table import Checkpoint
from boomerang.errors import BadComposition, BadName, BadRequest
from boomerang.face.plan import Named, found, open_pair
from boomerang.family.composition import Composition
from boomerang.family.ladder import Ladder, Member
from boomerang.family.order_forms import members_of, order_of
from boomerang.family.pair import Pair
from boomerang.hub import publish as hub


@dataclass(frozen=True)
class Chosen:
    """One member of a pair with `k` blocks patched; `member` is None where no size is called so."""

    pair: Pair
    order: str
    ladder: Ladder
    composition: Composition
    member: Member | None
    k: int

    def files(self, card: str | None = None) -> dict[str, ByteFile]:
        """Every file of it by name. Raises as `member_files`."""
        teacher, student = (side.checkpoint for side in (self.pair.teacher, self.pair.student))
        key = (student.json(RECORD) or {}).get("key")
        size = self.member.size if self.member else None
        record = made_of(
            _origin(teacher),
            replace(_origin(student), key=key if isinstance(key, str) else None),
            size=size, order=self.order, k=self.k,
        )  # fmt: skip
        return member_files(self.pair, self.composition, record=record, card=card)


def _origin(checkpoint: Checkpoint) -> Origin:
    """A checkpoint as a record names it; hashing a folder would cost more than all the rest."""
    repo = checkpoint.name if checkpoint.commit else None
    return Origin(checkpoint.name, repo, checkpoint.commit)


def choose(pair: Pair, order: str, size: str | None = None, patch: int | None = None) -> Chosen:
    """The member of that size, or the one with `patch` blocks patched.

    Raises SizeNotFound, BudgetOutOfRange, or BadComposition for more blocks than there are.
    """
    patch_order = order_of(pair.layermap, order)
    ladder = Ladder.of(pair, patch_order)
    if size is not None:
        member = ladder.resolve(size)
        return Chosen(pair, order, ladder, member.composition, member, member.k)
    compositions = members_of(pair.layermap, patch_order)
    if patch is None or not 0 <= patch < len(compositions):
        raise BadComposition(
            f"{patch} blocks cannot be patched.",
            value=patch,
            fix=f"Give a number from 0 (the student) to {len(compositions) - 1} (the teacher).",
        )
    named = next((m for m in ladder.members if m.k == patch), None)
    return Chosen(pair, order, ladder, compositions[patch], named, patch)


@dataclass(frozen=True, slots=True)
class Assembled:
    """A member that lies in the folder `out`. `parameters` are stored ones."""

    out: str
    size: str | None
    k: int
    layers: int
    parameters: int
    code: str


def assemble(
    pair: Pair | tuple[Named, Named], size: str | None, out: str | Path, *, order: str = "last",
    patch: int | None = None, watch: Watch | None = None,
) -> Assembled:  # fmt: skip
    """Write a member of a pair, or of a teacher and a student, to a folder: whole or not at all.

    `size` is a size's name or a budget; None where `patch`, the number of patched blocks, says
    which member it is. Raises BadRequest where there is something at `out` already, and as
    `open_pair` and `choose`.
    """
    out = Path(out)
    if out.exists() or out.is_symlink():
        raise BadRequest(
            f"{str(out)!r} is there already.", value=str(out), fix="Name a new folder."
        )
    chosen = choose(pair if isinstance(pair, Pair) else open_pair(*pair), order, size, patch)
    write_folder(chosen.files(), out, watch)
    return Assembled(
        out=str(out),
        size=chosen.member.size if chosen.member else None,
        k=chosen.k,
        layers=len(chosen.composition.layers),
        parameters=Checkpoint.open(out).parameters,
        code=chosen.composition.code,
    )


@dataclass(frozen=True, slots=True)
class Published(hub.Published):
    """A member on the Hub. `parameters` are stored ones."""

    size: str
    parameters: int


def publish(
    teacher: Named, student: Named, size: str, to: str, *, order: str, public: bool = False,
    kept: tuple[int, ...] | None = None, progress: Callable[[int, int], object] | None = None,
) -> Published:  # fmt: skip
    """Push a member to the repository `to`, private unless `public`.

    `progress` is called with the bytes that the Hub has, and those in all. Raises BadName,
    BadRequest for a teacher that must not be published, Unusable where its licence forbids derived
    works, or as `choose` and `hub.publish.publish`.
    """
    from boomerang.card.pictures import pictures  # noqa: PLC0415 - loads what draws

    if to.count("/") != 1:
        raise BadName(f"{to!r} is no repository.", value=to, fix="Write it as NAMESPACE/NAME.")
    of_teacher = found(teacher)
    chosen = choose(open_pair(of_teacher, student, kept=kept), order, size)
    member, pair = chosen.ladder.resolve(size), chosen.pair
    refuse_without_derivatives(of_teacher.name, of_teacher.license)
    if public and (of_teacher.gated or of_teacher.private):
        raise BadRequest(
            f"{of_teacher.name!r} is gated or private, so its family is never made public.",
            value=of_teacher.name,
            fix="Publish without --public.",
        )
    sizes = tuple(Size(m.size, m.parameters, m.layers) for m in chosen.ladder.members)
    dtype, beside = pair.teacher.head_tensor.dtype, pair.teacher.checkpoint.files
    name, commit, config = of_teacher.public_name, of_teacher.commit(), pair.teacher.config
    kinds = [pair.teacher.kinds[layer.teacher_index] for layer in member.composition.layers]
    facts = Facts(
        repo_id=to,
        size=next(one for one in sizes if one.name == member.size),
        composition=member.composition,
        teacher=name,
        teacher_commit=commit,
        order=order,
        dtype=FLOAT_NAMES.get(dtype, dtype),
        student=pair.student.checkpoint.name if pair.student.checkpoint.commit else None,
        student_commit=pair.student.checkpoint.commit,
        inherited=inherited(of_teacher.about, name, commit, beside),
        sizes=sizes,
        masked=pair.teacher.architecture.masked,
        chat=of_teacher.about.chat,
        context=config.get("max_position_embeddings") or config.get("n_positions"),
        runtimes=runtimes(config["model_type"], kinds, tied=member.tied),
        pictures=True,
    )
    message = f"{member.size} by Boomerang"
    files = chosen.files(card(facts))
    files |= {name: ByteFile.literal(data) for name, data in pictures(facts).items()}
    done = hub.publish(to, files, private=not public, message=message, progress=progress)
    return Published(
        *(done.repo_id, done.commit, done.url, done.changed),
        *(member.size, member.parameters),
        files=done.files,
    )

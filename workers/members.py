"""The files of a member as the workers build and publish them, verified before either."""

from boomerang.bytefile import ByteFile
from boomerang.composition import Composition
from boomerang.pair import Pair
from boomerang.service import shelf
from boomerang.service.orders import composition_of
from boomerang.service.records import Family, Member
from boomerang.stitch import is_tied, place
from boomerang.target_config import target_config
from workers.context import Context


def member_files(context: Context, family: Family, member: Member) -> dict[str, ByteFile]:
    """Every file of a member, by name, once its plan is known to be right.

    Raises NotReady, CorruptCheckpoint and whatever the sources raise.
    """
    student = context.catalog.student(family.student)
    pair = shelf.open_pair(context.settings, student)
    composition = composition_of(pair.layermap, member.code)
    _verify(pair, composition)
    return shelf.member_files(context.settings, pair, family, member)


def _verify(pair: Pair, composition: Composition) -> None:
    """Check names and shapes against the model built from the config, without weights."""
    from boomerang.quality.verify import verify

    config = target_config(pair, composition, tied=is_tied(pair, composition))
    placed = place(pair, composition)
    verify(config, {item.name: (item.dtype, item.tensor.shape) for item in placed})

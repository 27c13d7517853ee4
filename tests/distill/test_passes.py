"""Which sequences go together in a step, and to which device they fall."""

from collections import Counter
from functools import partial

import torch
from hypothesis import given
from hypothesis import strategies as st

from boomerang.distill.job import Placement
from boomerang.distill.memory.estimate import MemoryEstimate
from boomerang.distill.parallel.devices import Devices
from boomerang.distill.parallel.sharding import placement
from boomerang.distill.passes import Pass, member_for, passes
from boomerang.family.composition import Composition
from boomerang.family.layer_map import LayerMap
from boomerang.recipes.recipe import Recipe

MAP = LayerMap.from_kept([0, 2, 4, 6, 7], 8)


def dealt(
    sequences: int, micro_batch: int, per_pass: int, world: int, step: int, sharded: bool = False
) -> list[list[Pass]]:
    """The passes of each device over a batch whose sequences are known by their first token."""
    recipe = Recipe(
        steps=8, batch_tokens=4 * sequences, sequence_length=4, micro_batch=micro_batch,
        learning_rate=1e-3, patch_probability=0.7, patch_after=0.0,
    )  # fmt: skip
    member = partial(member_for, recipe, MAP, step, 8)
    batch = torch.arange(sequences)[:, None].repeat(1, 5)
    batch[::3, 2:] = ~batch[::3, 2:]
    return [
        list(passes(batch, micro_batch, member, per_pass, Devices(rank, world), sharded))
        for rank in range(world)
    ]


def through(found: list[list[Pass]]) -> Counter[tuple[int, Composition]]:
    """How often each sequence goes through each member, where that counts."""
    return Counter(
        (int(row[0]), one.composition)
        for mine in found for one in mine if one.share for row in one.rows
    )  # fmt: skip


@given(
    sequences=st.integers(1, 40), micro_batch=st.integers(1, 9), per_pass=st.integers(1, 9),
    world=st.integers(1, 12), step=st.integers(0, 7), sharded=st.booleans(),
)  # fmt: skip
def test_any_devices_take_every_sequence_through_the_member_that_one_process_draws_for_it(
    sequences: int, micro_batch: int, per_pass: int, world: int, step: int, sharded: bool
) -> None:
    one = dealt(sequences, micro_batch, micro_batch, 1, step)
    found = dealt(sequences, micro_batch, per_pass, world, step, sharded)
    assert through(found) == through(one)
    assert set(through(one).values()) == {1}
    everything = [one for mine in found for one in mine]
    assert abs(sum(one.share for one in everything) - 1) < 1e-9
    assert max(len(one.rows) for one in everything) <= per_pass


@given(
    sequences=st.integers(1, 40), micro_batch=st.integers(1, 9), world=st.integers(1, 12),
    step=st.integers(0, 7),
)  # fmt: skip
def test_replicas_have_as_many_sequences_each_and_draw_their_own_members(
    sequences: int, micro_batch: int, world: int, step: int
) -> None:
    found = dealt(sequences, micro_batch, micro_batch, world, step)
    counts = [sum(len(one.rows) for one in mine) for mine in found]
    assert max(counts) - min(counts) <= 1
    # Cut at the ends alone: no pass more than it takes, but for the micro-batches that are divided.
    assert all(
        len(mine) <= count // micro_batch + 2 for mine, count in zip(found, counts, strict=True)
    )


@given(sequences=st.integers(1, 40), world=st.integers(2, 12), step=st.integers(0, 7))
def test_devices_with_shards_go_through_the_same_layers_together(
    sequences: int, world: int, step: int
) -> None:
    first, *others = dealt(sequences, 4, 4, world, step, sharded=True)
    members = [one.composition for one in first]
    assert all([one.composition for one in mine] == members for mine in others)


def test_only_what_does_not_fit_on_each_device_is_sharded() -> None:
    gib = 1 << 30
    two, replica = Devices(0, 2), MemoryEstimate(state=45 * gib, sequence=4 * gib)
    assert placement(replica, 79 * gib, two) is Placement.REPLICAS
    assert placement(replica, 55 * gib, two) is Placement.REPLICAS
    # It would leave too little for what an estimate does not know.
    assert placement(replica, 50 * gib, two) is Placement.SHARDS
    assert placement(replica, 40 * gib, two) is Placement.SHARDS
    assert placement(replica, 40 * gib, two, Placement.REPLICAS) is Placement.REPLICAS
    assert placement(replica, 79 * gib, two, Placement.SHARDS) is Placement.SHARDS
    assert placement(replica, 40 * gib, Devices(), Placement.SHARDS) is Placement.REPLICAS

"""What members of a couple write after beginnings, greedily."""

from collections.abc import Callable, Sequence

import torch

from boomerang.family.composition import Composition
from boomerang.modules.accelerator import Accelerator
from boomerang.modules.couple import Couple
from boomerang.quality.tasks.scoring import Tokens, padded


@torch.no_grad()
def write(
    couple: Couple,
    member: Composition,
    prompts: Sequence[Tokens],
    count: int,
    ended: Callable[[list[int]], bool],
    tick: Callable[[], None] = lambda: None,
) -> list[list[int]]:
    """The most likely tokens after each prompt, at most `count`, until `ended` of those written.

    Every token is one pass over its whole row: nothing is kept between passes.
    """
    where, room = couple.teacher.device, Accelerator.of(couple.teacher.device).tokens
    written: list[list[int]] = [[] for _ in prompts]
    order = sorted(range(len(prompts)), key=lambda i: -len(prompts[i]))
    while order:
        longest = len(prompts[order[0]]) + count
        fitting = max(1, room // longest)
        taken, order = order[:fitting], order[fitting:]
        for _ in range(count):
            tick()
            rows = [(*prompts[i], *written[i]) for i in taken]
            last = couple.last(member, padded(rows, where))
            ends = torch.tensor([len(row) - 1 for row in rows], device=where)
            final = couple.side(member.norm).norm(last[torch.arange(len(rows)), ends][:, None])
            likely = couple.side(member.head).head(final[:, 0]).argmax(-1).tolist()
            for i, token in zip(taken, likely, strict=True):
                written[i].append(token)
            taken = [i for i in taken if not ended(written[i])]
            if not taken:
                break
    return written

"""How likely members of a couple find continuations, and what they write after beginnings.

Rows are padded on the right, where a causal model cannot see, so that no tokenizer needs a token
for it. A batch is walked once for all members: what they have in common is computed once.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import torch
from torch import Tensor

from boomerang.errors import BadTask
from boomerang.family.composition import Composition
from boomerang.modules.accelerator import Accelerator
from boomerang.modules.couple import Couple
from boomerang.quality.walk import SharedWalk
from boomerang.tokens.packing import check_tokens

Tokens = tuple[int, ...]
Request = tuple[Tokens, Tokens]
"""Token ids of a context, and of the continuation whose likelihood is asked for."""
Score = tuple[float, bool]
"""Log-likelihood of a continuation in nats, and whether greedy decoding would write it."""


@dataclass(frozen=True)
class Row:
    """One row of a batch, and the requests that it answers: each asks for the last of its places.

    `spans` has, for each request, how many places that is.
    """

    ids: Tokens
    asked: list[Request] = field(default_factory=list)

    @property
    def span(self) -> int:
        """Places at the end whose logits are needed."""
        return max(len(continuation) for _, continuation in self.asked)


class Scorer:
    """Scores of continuations under `members`, remembered for those members that ask later.

    `length` is how many tokens the models can see, `vocabulary` how many they know.
    """

    def __init__(
        self, couple: Couple, members: Sequence[Composition], length: int,
        tick: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self.couple, self.members, self.length, self.tick = couple, list(members), length, tick
        self.on = Accelerator.of(couple.teacher.device)
        self.vocabulary = int(couple.teacher.model.lm_head.weight.shape[0])
        self._known: dict[tuple[str, Request], Score] = {}

    @torch.no_grad()
    def score(self, member: Composition, requests: Sequence[Request]) -> list[Score]:
        """The scores of requests in their order; a context that is too long loses its beginning.

        Raises BadTask for a continuation of no tokens, or of more than the model can see,
        CorruptCheckpoint for tokens outside its vocabulary.
        """
        unknown = [r for r in dict.fromkeys(requests) if (member.code, r) not in self._known]
        for rows in self._batches(self._rows(unknown)):
            for code, request, score in self._batch_scores(rows):
                self._known[code, request] = score
                self.tick()
        return [self._known[member.code, request] for request in requests]

    def _rows(self, requests: Sequence[Request]) -> list[Row]:
        """Requests by what the model reads for them, the longest first."""
        rows: dict[Tokens, Row] = {}
        for context, continuation in requests:
            if not context or not 0 < len(continuation) <= self.length:
                raise BadTask(
                    f"A continuation has {len(continuation)} tokens after {len(context)}; the "
                    f"model can see {self.length}.",
                    value=len(continuation),
                    fix="Choose a task whose answers have at least one token and fit the model.",
                )
            # The last token is predicted and never read, so one more than the length fits.
            ids = (*context, *continuation)[-(self.length + 1) :][:-1]
            rows.setdefault(ids, Row(ids)).asked.append((context, continuation))
            check_tokens((*context, *continuation), self.vocabulary)
        return sorted(rows.values(), key=lambda row: -len(row.ids))

    def _batches(self, rows: Sequence[Row]) -> Iterator[list[Row]]:
        at = 0
        while at < len(rows):
            count = max(1, self.on.tokens // len(rows[at].ids))
            yield list(rows[at : at + count])
            at += count

    def _batch_scores(self, rows: Sequence[Row]) -> Iterator[tuple[str, Request, Score]]:
        ids = padded([row.ids for row in rows], self.couple.teacher.device)
        groups = list(self._groups(rows))
        for member, last in self._walked(ids):
            side = self.couple.side(member.norm)
            head = self.couple.side(member.head).head
            for group in groups:
                ends = [(at, len(rows[at].ids), rows[at].span) for at in group]
                states = torch.cat([last[at, end - span : end] for at, end, span in ends])
                hidden = side.norm(states[None])[0]
                for request, score in self._scores([rows[at] for at in group], hidden, head):
                    yield member.code, request, score

    def _groups(self, rows: Sequence[Row]) -> Iterator[list[int]]:
        """Places of rows whose logits are made together: one at least."""
        most = self.on.gathered // self.vocabulary
        group: list[int] = []
        spans = 0
        for at, row in enumerate(rows):
            if group and spans + row.span > most:
                yield group
                group, spans = [], 0
            group.append(at)
            spans += row.span
        yield group

    def _walked(self, ids: Tensor) -> Iterator[tuple[Composition, Tensor]]:
        """Each member and its states (B, T, width) after its last layer."""
        if len(self.members) == 1:
            yield self.members[0], self.couple.last(self.members[0], ids)
            return
        walk = SharedWalk(self.couple, ids)
        for member in walk.arranged(self.members):
            yield member, walk.last(member)

    def _scores(
        self, rows: Sequence[Row], hidden: Tensor, head: Callable[[Tensor], Tensor]
    ) -> Iterator[tuple[Request, Score]]:
        """From the normed states at the ends of rows, one after another: (spans, width)."""
        asked = [request for row in rows for request in row.asked]
        ends = accumulate(row.span for row in rows)
        places: list[int] = []
        wanted: list[int] = []
        for row, end in zip(rows, ends, strict=True):
            for _, continuation in row.asked:
                places += range(end - len(continuation), end)
                wanted += continuation
        at, tokens = torch.tensor([places, wanted], device=hidden.device)
        size = max(1, self.on.compared // self.vocabulary)
        logs = [head(part).float().log_softmax(-1) for part in torch.split(hidden, size)]
        whole = logs[0] if len(logs) == 1 else torch.cat(logs)
        # The device is waited for twice, however many requests there are.
        found = whole[at, tokens].double().cpu()
        likely = (whole.argmax(-1)[at] == tokens).cpu()
        sizes = [len(continuation) for _, continuation in asked]
        parts = zip(asked, torch.split(found, sizes), torch.split(likely, sizes), strict=True)
        for request, total, exactly in parts:
            yield request, (float(total.sum()), bool(exactly.all()))


@torch.no_grad()
def write(
    couple: Couple, member: Composition, prompts: Sequence[Tokens], count: int,
    ended: Callable[[list[int]], bool], tick: Callable[[], None] = lambda: None,
) -> list[list[int]]:  # fmt: skip
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


def padded(rows: Sequence[Tokens], where: torch.device) -> Tensor:
    """Rows of token ids as one tensor (B, longest), zeros on the right."""
    ids = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
    for at, row in enumerate(rows):
        ids[at, : len(row)] = torch.tensor(row)
    return ids.to(where)

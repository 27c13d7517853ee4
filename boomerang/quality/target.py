"""What members are compared with: the teacher's distribution over a batch, and the student's."""

from collections.abc import Callable

import torch
from torch import Tensor

from boomerang.modules.accelerator import Accelerator

PARTS = 8
"""Parts of a window, at most, of which each has its own perplexity."""
LOSSES = 2
"""Columns of what is found of every member: its cross-entropy and its KL."""
ALIKE = 3
"""Columns after those, where a member is looked at closer: agreement, acceptance, drafted."""

Head = Callable[[Tensor], Tensor]


class Target:
    """The teacher's distribution over a batch; the logits given are (B, T, vocabulary).

    With z the member's logits and p the teacher's distribution, cross-entropy is
    lse(z) − z[label] and KL is lse(z) − Σ p·z − H(p). Looked at closer, a member's distribution m
    is also compared with p and with the student's s: whether both have their maximum at the same
    token, Σ min(m, p), and Σ min(s, m). Of two distributions the latter is the chance that a token
    drawn from one is accepted for the other (arXiv 2211.17192, section 3.2).
    """

    def __init__(self, logits: Tensor, labels: Tensor) -> None:
        self.shape, self.labels = labels.shape, labels.flatten()
        logs = logits.flatten(0, 1).float().log_softmax(-1)
        self._ce = -logs.gather(-1, self.labels[:, None])[:, 0].double()
        self.top = logs.argmax(-1)
        self.p = logs.exp()
        self.entropy = -(self.p * logs).sum(-1).double()
        self.student: Tensor | None = None

    def of_teacher(self) -> Tensor:
        """The teacher's own sums over each window, as those of `compare`."""
        columns = [self._ce, torch.zeros_like(self._ce)]
        if self.student is None:
            return self._by_window(columns)
        one = torch.ones_like(self._ce)
        both = (torch.split(one, self._rows) for one in (self.student, self.p))
        drafted = torch.cat([_overlap(s, p) for s, p in zip(*both, strict=True)])
        return self._by_window([*columns, one, one, drafted])

    def of_student(self, hidden: Tensor, head: Head) -> Tensor:
        """As `compare`, of the student, whose distribution is kept: others are looked at closer."""
        self.student = torch.empty_like(self.p)
        return self.compare(hidden, head, closer=True, keep=True)

    def compare(
        self, hidden: Tensor, head: Head, *, closer: bool = False, keep: bool = False
    ) -> Tensor:
        """Sums over each window for normed hidden states (B, T, width) under a head: (B, columns).

        `closer` needs the student's distribution; `keep` says that this is the student.
        """
        flat, parts = hidden.flatten(0, 1), []
        size = max(1, Accelerator.of(hidden.device).compared // self.p.shape[-1])
        for at in range(0, len(flat), size):
            z = head(flat[at : at + size]).float()
            for piece in torch.split(z, self._rows):
                rows = slice(at, at := at + len(piece))
                parts.append(self._piece(piece, rows, closer, keep))
        return self._by_window([torch.cat(columns) for columns in zip(*parts, strict=True)])

    def _piece(self, z: Tensor, rows: slice, closer: bool, keep: bool) -> list[Tensor]:
        """The columns of some of the places, (rows,) each. The logits are overwritten."""
        p, label = self.p[rows], self.labels[rows, None]
        most, top = z.max(-1, keepdim=True)
        # p sums to one, so a shift of z changes nothing, and keeps the product small.
        z -= most
        m = z.exp()
        total = m.sum(-1, keepdim=True)
        lse = total.double().log()[:, 0]
        ce = lse - z.gather(-1, label)[:, 0]
        kl = lse - torch.einsum("nv,nv->n", p, z).double() - self.entropy[rows]
        if not closer or self.student is None:
            return [ce, kl]
        m /= total
        student = self.student[rows].copy_(m) if keep else self.student[rows]
        alike = (top[:, 0] == self.top[rows]).double()
        return [ce, kl, alike, _overlap(m, p), _overlap(student, m)]

    @property
    def _rows(self) -> int:
        """Places whose logits stay in a processor's cache."""
        on = Accelerator.of(self.p.device)
        return max(1, (on.rows if on.kind == "cpu" else on.compared) // self.p.shape[-1])

    def _by_window(self, columns: list[Tensor]) -> Tensor:
        """Each column's sums over the windows; looked at closer, cross-entropy by parts as well."""
        each = [column.view(self.shape) for column in columns]
        if len(each) > LOSSES:
            each += each[0].tensor_split(parts_of(self.shape[1]), dim=-1)
        return torch.stack([part.sum(-1) for part in each], dim=-1)


def parts_of(length: int) -> int:
    """How many parts a window of so many tokens has, of equal length but for one token."""
    return min(PARTS, length)


def _overlap(a: Tensor, b: Tensor) -> Tensor:
    """Σ min over the vocabulary: (rows, vocabulary) of each to (rows,)."""
    return torch.minimum(a, b).sum(-1).double()

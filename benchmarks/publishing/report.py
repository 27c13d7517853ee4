"""docs/benchmarks/publishing.md: a part for each thing measured; a run writes its parts anew."""

from pathlib import Path

_INTRODUCTION = """# What publishing sends, and what a kill costs it

Written by `make bench-publishing` (`python -m benchmarks.publishing`; with `--travel`, `--memory`
or `--kills` one part is written anew). Everything goes by the real client, huggingface_hub with
hf_xet or without it, to the [Hub of the tests](../hub.md#a-hub-to-try-publishing-on) in a process
of its own, which counts what arrives. The weights are random bytes, each drawn once, so that
nothing is made less by compression or found twice by chance.
"""

PARTS = {
    "What travels": """
A Llama of 14 layers and its student of 7, in bfloat16, published as the eight sizes between them,
the smallest first, by one process that knows of no upload before. Of each size: bytes of its
weights, and of tensors that no size before it had. *Sent again* is what travelled beyond these, as
a share of the bytes that had been sent before.

Who promises what:

- We: every size has its tensors in long runs and in one order, and their bytes never change.
- hf_xet, by its cache of shards (`HF_XET_CACHE`): chunks that this machine has sent to this address
  are not sent again, but for those where runs end. The cache has to be kept.
- huggingface_hub and the Hub: whole files that a repository has are not sent to it again; what came
  by xet is copied from another repository.
- Nobody: anything about bytes that others have sent. The local Hub finds none of them.
""",
    "Memory": """
Eight sizes of a wider pair, by one process. Memory is counted from when everything is imported and
the pair is open; the disk is all that lay below the process's home (temporary files, staging,
caches) at one time.
""",
    "Kills": """
`boomerang serve` publishes one family of eight sizes after the other. SIGKILL strikes the
worker when the Hub has received one to 25 requests more, and up to 0.3 s later: four times a
family, as a member whose worker was lost five times is given up. In the end every
commit that ever was on `main` is looked at: it must be whole, every tensor must be byte for byte
that of its size, and no weights may have travelled to a repository that was whole already. Cards
change while their sisters are published, which makes commits of a card alone. What some commit held
before counts all repositories.
""",
}


def update(path: Path, tables: dict[str, str]) -> None:
    """Write the tables into their parts; the others stay as they are."""
    kept = _parts(path.read_text("utf-8")) if path.is_file() else {}
    text = _INTRODUCTION
    for title, words in PARTS.items():
        table = tables.get(title, kept.get(title, "Not measured yet.\n"))
        text += f"\n## {title}\n{words}\n{MARK}\n{table}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


MARK = "<!-- measured -->"


def _parts(text: str) -> dict[str, str]:
    """Title → what was measured."""
    found = {}
    for part in text.split("\n## ")[1:]:
        title, _, rest = part.partition("\n")
        found[title] = rest.partition(MARK)[2].strip("\n") + "\n"
    return found

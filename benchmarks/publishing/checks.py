"""Whether what lies on the Hub is whole and right, always was, and travelled once."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.publishing.family import open_pair
from benchmarks.publishing.local_hub import Hub
from boomerang.assembly.stitch import place
from boomerang.checkpoint.files import CARD, CONFIG, INDEX, RECORD, SINGLE
from boomerang.checkpoint.header import parse_header
from boomerang.checkpoint.sources import FileSource
from boomerang.family.composition import composition_of
from boomerang.family.pair import Pair

UPLOADS = ("lfs", "xet")


@dataclass
class Checked:
    """What was found in all repositories; bytes. `wrong` is the first thing that is not so.

    `after` was uploaded to a repository that was whole already; `again` is content that a commit of
    some repository had, which by xet is of chunks (hf_xet sends some again, rather than have a file
    consist of too many pieces).
    """

    repositories: int = 0
    commits: int = 0
    tensors: int = 0
    travelled: int = 0
    after: int = 0
    again: int = 0
    wrong: str | None = None


def check(hub: Hub, models: Path, blobs: Path) -> Checked:
    """Look at every repository of a Hub, whose contents lie in `blobs`; pairs have numbers."""
    found, traffic = Checked(), hub.traffic()
    found.travelled = sum(one["size"] for one in traffic["arrivals"] if one["lane"] in UPLOADS)
    found.again = sum(one["again"] for one in traffic["arrivals"])
    for repo in sorted(traffic["totals"]):
        pair = open_pair(models, int(repo.split("/teacher-")[1].split("-")[0]))
        history = hub.history(repo)
        commits = history["branches"]["main"][::-1]
        whole = [commit for commit in commits if set(commit["files"]) - {".gitattributes"}]
        found.repositories += 1
        found.commits += len(whole)
        if not all(private for _, private, _ in history["access"]):
            found.wrong = found.wrong or f"{repo} was open for a moment"
        for commit in whole:
            tensors = _tensors(commit["files"], blobs, pair)
            found.tensors += tensors
            if not tensors:
                found.wrong = found.wrong or f"{repo} was not whole at {commit['date']}"
        if not whole:
            found.wrong = found.wrong or f"{repo} holds nothing"
            continue
        found.after += sum(
            one["size"] for one in traffic["arrivals"]
            if one["repo"] == repo and one["lane"] in UPLOADS and one["at"] > whole[0]["date"]
        )  # fmt: skip
    if found.after:
        found.wrong = found.wrong or f"{found.after} bytes were sent to what was whole already"
    return found


def _tensors(files: dict[str, Any], blobs: Path, pair: Pair) -> int:
    """How many tensors a commit has, each byte for byte that of its size; 0 if it is not whole."""

    def content(name: str) -> FileSource:
        return FileSource.of(blobs / files[name]["sha256"])

    weights = [name for name in files if name.endswith(".safetensors")]
    if {CARD, CONFIG, RECORD} - files.keys() or (weights != [SINGLE] and INDEX not in files):
        return 0
    if INDEX in files:
        named = json.loads(content(INDEX).path.read_bytes())["weight_map"].values()
        if set(named) != set(weights):
            return 0
    there = {name: one for file in weights for name, one in parse_header(content(file)).items()}
    record = json.loads(content(RECORD).path.read_bytes())
    wanted = place(pair, composition_of(pair.layermap, record["composition"]))
    if there.keys() != {item.name for item in wanted}:
        return 0
    for item in wanted:
        mine, theirs = item.tensor, there[item.name]
        if mine.source.read(mine.start, mine.stop) != theirs.source.read(theirs.start, theirs.stop):
            return 0
    return len(wanted)

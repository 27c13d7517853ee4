"""Who makes the member: `cp`, ours to disk and over HTTP, and the others."""

import argparse
import hashlib
import json
import subprocess
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.assembly import peers
from benchmarks.assembly.runs import (
    Arguments,
    Contender,
    Failed,
    Sample,
    clean,
    command,
    download,
    downloads,
    evict,
    python,
)

WEIGHTS = "model.safetensors"
CLIENTS = 8
UNSYNCED = (
    "from functools import partialmethod as p; "
    "from boomerang.assembly.bytefile import ByteFile as B; "
    "B.write = p(B.write, sync=False); from boomerang.cli.main import main; main()"
)


@dataclass(frozen=True)
class Bench:
    """The checkpoints of one run, the member that is made of them, and how often."""

    folder: Path
    models: Path
    toy: Path
    patch: int
    rounds: int
    slow_rounds: int

    @classmethod
    def make(cls, folder: Path, options: argparse.Namespace) -> "Bench":
        """Write the checkpoints, and the member once."""
        size = "toy" if options.toy else "full"
        for kind in sorted({"toy", size}):
            command(python("-m", "benchmarks.assembly.models", folder / kind, kind))
        patch = 3 if options.toy else 8
        bench = cls(
            folder, folder / size, folder / "toy", patch, options.rounds, options.slow_rounds
        )
        command([*bench.assemble("student"), "--out", bench.member])
        return bench

    @property
    def member(self) -> Path:
        """The built member."""
        return self.folder / "member"

    @property
    def built(self) -> Path:
        """Its weights."""
        return self.member / WEIGHTS

    @property
    def layers(self) -> list[str]:
        """Its layers, `t3` for the teacher's and `s3` for the student's."""
        record = json.loads((self.member / "boomerang.json").read_text())
        return [layer[0] + layer.split(":")[1] for layer in record["layers"]]

    @property
    def cast(self) -> int:
        """Bytes of float32 that are cast where the student is stored in it."""
        whole = (self.models / "student-f32" / WEIGHTS).stat().st_size
        blocks = (self.models / "student" / "student_config.json").read_text()
        kept = len(json.loads(blocks)["copied_teacher_layers"])
        taken = sum(layer.startswith("s") for layer in self.layers)
        return whole * taken // kept

    def assemble(self, student: str, *, toy: bool = False, synced: bool = True) -> Arguments:
        """Our command for the member, without its `--out`."""
        models = self.toy if toy else self.models
        program = python("-m", "boomerang") if synced else python("-c", UNSYNCED)
        patch = "3" if toy else str(self.patch)
        return [
            *program, "assemble", models / "teacher", models / student,
            "--order", "last", "--patch", patch,
        ]  # fmt: skip


def copies(bench: Bench) -> dict[str, Contender]:
    """Copying and assembling on this machine."""
    out, fast, slow = bench.folder / "out", bench.rounds, bench.slow_rounds
    copy: Arguments = ["cp", bench.built, out]
    synced = ["sh", "-c", f"cp '{bench.built}' '{out}' && sync '{out}'"]
    sources = [bench.models / "teacher", bench.models / "student"]

    def ours(student: str, *, toy: bool = False, synced: bool = True) -> Arguments:
        return [*bench.assemble(student, toy=toy, synced=synced), "--out", out]

    def contender(
        title: str, arguments: Arguments, start: str = "", like: str = "cp",
        cold: Sequence[Path] = (),
    ) -> Contender:  # fmt: skip
        run = partial(_fresh, bench.built, out, arguments, cold)
        against = "cp-cold" if cold else "cp"
        return Contender(title, run, slow if cold else fast, against, start, like)

    def toy(title: str, student: str) -> Contender:
        return Contender(title, partial(_fresh, bench.built, out, ours(student, toy=True)), fast)

    return {
        "cp": contender("`cp`", copy),
        "cp-sync": contender("`cp`, then `sync` of the file", synced),
        "start": toy("the start of `boomerang assemble` (a toy)", "student"),
        "ours": contender("`boomerang assemble` (synced)", ours("student"), "start", "cp-sync"),
        "ours-unsynced": contender(
            "`boomerang assemble` without its sync", ours("student", synced=False), "start"
        ),
        "start-f32": toy("the start, casting (a toy)", "student-f32"),
        "ours-f32": contender(
            "`boomerang assemble` (synced), float32 student",
            ours("student-f32"), "start-f32", "cp-sync",
        ),
        "cp-cold": contender(
            "`cp`, then `sync` of the file, cold cache", synced, cold=[bench.member]
        ),
        "ours-cold": contender(
            "`boomerang assemble` (synced), cold cache",
            ours("student"), "start", "cp-cold", sources,
        ),
    }  # fmt: skip


def served(bench: Bench, stack: ExitStack) -> dict[str, Contender]:
    """The member over HTTP: never built by us, the built file by nginx."""
    found: dict[str, Contender] = {}
    ours = Contender("boomerang over HTTP, never built", _nothing, bench.rounds, "cp")
    theirs = Contender("nginx over HTTP, the built file", _nothing, bench.rounds, "cp")
    first = Contender("boomerang, first byte of a size never asked for", _nothing, 0)
    crowd = f"{CLIENTS} clients at once, time ÷ {CLIENTS}"
    ours_all = Contender(f"boomerang, {crowd}", _nothing, bench.rounds, "cp")
    theirs_all = Contender(f"nginx, {crowd}", _nothing, bench.rounds, "cp")
    found = {
        "http": ours, "nginx": theirs, "http-all": ours_all, "nginx-all": theirs_all,
        "first": first,
    }  # fmt: skip
    try:
        front = stack.enter_context(peers.boomerang(bench.folder / "home", bench.models))
    except Failed as error:
        ours.why_not = ours_all.why_not = first.why_not = str(error)
    else:
        sizes: dict[str, str] = front.told["sizes"]
        family = front.told["family"]
        urls = {
            int(k): f"{front.base}/models/{size}/{WEIGHTS}?family={family}"
            for k, size in sizes.items()
        }
        url = urls.pop(bench.patch)
        _same(bench.built, url)
        ours.run = partial(download, url, front.pid)
        ours_all.run = partial(downloads, url, front.pid, CLIENTS)
        others = iter(list(urls.values()))
        first.rounds = min(len(urls), bench.rounds)
        first.run = lambda: download(next(others), front.pid, part="0-65535")
    try:
        nginx = stack.enter_context(peers.nginx(bench.folder / "nginx", bench.member))
    except Failed as error:
        theirs.why_not = theirs_all.why_not = str(error)
    else:
        url = f"{nginx.base}/{WEIGHTS}"
        theirs.run = partial(download, url, nginx.pid)
        theirs_all.run = partial(downloads, url, nginx.pid, CLIENTS)
    return found


def others(bench: Bench, mergekit: Path) -> dict[str, Contender]:
    """What others do: mergekit's passthrough, and transformers in memory."""
    merging = "mergekit passthrough", "mergekit", "its start (a toy)"
    in_memory = "transformers: load, patch, save", "transformers", "its start (a toy)"
    try:
        program = peers.mergekit(mergekit)
    except Failed as error:
        found = {"mergekit": Contender(merging[0], _nothing, 0, why_not=str(error))}
    else:
        found = _slow(bench, merging, partial(_merge, bench.folder, program))
    return found | _slow(bench, in_memory, _usual)


def _slow(
    bench: Bench, names: tuple[str, str, str], arguments: Callable[..., Arguments]
) -> dict[str, Contender]:
    title, name, start = names
    out = bench.folder / "out"

    def run(models: Path, layers: Sequence[str]) -> Callable[[], Sample]:
        made = arguments(models / "teacher", models / "student", out, layers)
        return partial(_fresh, bench.built, out, made)

    # A toy's layers are fewer; its start is in loading libraries, whichever layers it takes.
    toy = run(bench.toy, ["s0", "t2", "t3"])
    return {
        f"start-{name}": Contender(f"{title}, {start}", toy, 1),
        name: Contender(title, run(bench.models, bench.layers), bench.slow_rounds, "cp",
                        f"start-{name}"),
    }  # fmt: skip


def _merge(
    folder: Path, program: Path, teacher: Path, student: Path, out: Path, layers: Sequence[str]
) -> Arguments:
    config = folder / f"mergekit-{len(layers)}.yml"
    config.write_text(peers.passthrough(teacher, student, layers))
    return [program, config, out, "--no-copy-tokenizer", "--quiet"]


def _usual(teacher: Path, student: Path, out: Path, layers: Sequence[str]) -> Arguments:
    return python("-m", "benchmarks.assembly.in_memory", teacher, student, out, *layers)


def _fresh(built: Path, out: Path, arguments: Arguments, cold: Sequence[Path] = ()) -> Sample:
    # A copy that is made and removed at once leaves memory and blocks that were in use just now
    # to whoever comes next: what a virtual machine gave back costs several times as much.
    clean(out)
    command(["cp", built, out])
    clean(out)
    evict(cold)
    return command(arguments)


def _same(built: Path, url: str) -> None:
    """Raise Failed unless what is served is what was built, byte for byte."""
    digest = hashlib.sha256()
    with subprocess.Popen(["curl", "--silent", url], stdout=subprocess.PIPE) as curl:
        while curl.stdout and (block := curl.stdout.read(1 << 20)):
            digest.update(block)
    with built.open("rb") as file:
        if hashlib.file_digest(file, "sha256").digest() != digest.digest():
            raise Failed("what is served is not what was built")


def _nothing() -> Sample:
    raise Failed("not set up")

"""Building a member as a folder: written beside its place, checked, then put there."""

import hashlib
import logging
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from boomerang.assembly.bytefile import ByteFile
from boomerang.catalog.leases import work_of
from boomerang.catalog.records.states import Fact, LostLease
from boomerang.catalog.setbacks import Setback
from boomerang.checkpoint.files import CARD, RECORD
from boomerang.checkpoint.folders import sha256_of
from boomerang.checkpoint.sources import FileSource
from boomerang.checkpoint.table import Checkpoint
from boomerang.service.models.digests import take_hash
from workers.context import Context
from workers.leases import Holding, holding
from workers.models.members import made_of, member_files
from workers.outages import failed, said, setback
from workers.settle import close_request

log = logging.getLogger("boomerang.workers")

WEIGHTS = ".safetensors"
SAID = frozenset({CARD, RECORD})
"""What is said of a member and changes with what is known: figures, where its student is kept."""


def assemble(context: Context, family_id: str, k: int, want: int | None = None) -> str:
    """Build a member in its folder; return what was done, in a word."""
    family = context.catalog.family(family_id)
    member = context.catalog.member(family_id, k)
    with holding(context, work_of("built", member.digest)) as held:
        if held is None:
            return "already running"
        say = context.catalog.set_fact
        try:
            # A job may arrive twice, and what was said to be built must not look unfinished.
            member = context.catalog.member(family_id, k)
            there = member.built is Fact.YES
            if not there:
                say(family_id, k, "built", Fact.RUNNING, lease=held.lease)
            files = member_files(context, family, member)
            folder = context.settings.member_folder(member.digest)
            source = made_of(context, family)
            same = source == member.made_of
            if same and damage_of(context, folder, files) is None:
                result = _keep(folder, files)
            else:
                if there:
                    say(family_id, k, "built", Fact.RUNNING, lease=held.lease)
                result = _build(context, held, folder, files)
            _remember(context, folder)
            say(family_id, k, "built", Fact.YES, lease=held.lease, made_of=source)
        except LostLease:
            return "lost"
        except Exception as error:
            result = failed(context, member, "built", error, held)
    close_request(context, family_id, want)
    return result


def damage_of(
    context: Context,
    folder: Path,
    files: Mapping[str, ByteFile],
    *,
    look: Callable[[], object] | None = None,
) -> str | None:
    """What keeps a folder that was built from the same models from being these files, if anything.

    Weights are what was hashed while they were written, and what is `SAID` may have changed. With
    `look`, which is called before each file, every byte is read, also of files that seem untouched,
    and what is said must be what was written.
    """
    if not folder.is_dir():
        return "its folder is gone"
    found = {str(p.relative_to(folder)): p for p in folder.rglob("*") if p.is_file()}
    for name in sorted({*files, *found}):
        if name in SAID and look is None:
            continue
        if name not in found:
            return f"{name} is missing"
        if name not in files:
            return f"{name} is none of its files"
        if look is not None:
            look()
        if not _same(context, found[name], files[name], look is not None):
            return f"{name} is not what was written"
    return None


def _same(context: Context, path: Path, file: ByteFile, look: bool) -> bool:
    known = context.catalog.hash_of(path)
    if path.name in SAID:
        return known is None or sha256_of(FileSource.of(path)) == known
    if path.stat().st_size != file.size:
        return False
    if not path.name.endswith(WEIGHTS):
        return path.read_bytes() == file.read()
    if look:
        return sha256_of(FileSource.of(path)) == (known or file.sha256())
    return known == (context.catalog.known_hash(path) or sha256_of(FileSource.of(path)))


def _keep(folder: Path, files: Mapping[str, ByteFile]) -> str:
    """Keep a folder, but for what says something else now."""
    for name in SAID & files.keys():
        path = folder / name
        if not path.exists() or path.read_bytes() != files[name].read():
            files[name].write(path)
    return "already built"


def _build(context: Context, held: Holding, folder: Path, files: Mapping[str, ByteFile]) -> str:
    # Whoever holds the lease is the only builder, so what lies here is from one that died.
    making = folder.with_name(f".{folder.name}.making")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    digests = {name: hashlib.sha256() for name in files if name.endswith(WEIGHTS)}
    try:
        for name, file in files.items():
            path = making / name
            path.parent.mkdir(parents=True, exist_ok=True)
            file.write(path, digest=digests.get(name))
        Checkpoint.open(making)
        # Whoever was given up for dead must not replace what another has built since.
        held.keep()
        if folder.exists():
            shutil.rmtree(folder)
        making.rename(folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)
    for name, digest in digests.items():
        context.catalog.remember_hash(folder / name, digest.hexdigest())
    return "built"


def _remember(context: Context, folder: Path) -> None:
    """Hash what was not hashed while it was written (the Hub's interface tells it)."""
    for path in folder.rglob("*"):
        if path.is_file() and context.catalog.known_hash(path) is None:
            take_hash(context.catalog, FileSource.of(path))


def sweep(context: Context) -> str:
    """Remove the folders of members that no family has; return how many."""
    removed = 0
    for digest in context.catalog.sweeps():
        with holding(context, work_of("built", digest)) as held:
            if held is None:
                continue
            try:
                removed += _swept(context, digest)
            except Exception as error:
                # One that cannot be removed must not keep the others.
                if setback(error, f"the folder of {digest}") is Setback.OUTSIDE:
                    log.warning("the folder of %s is not removed yet: %s", digest, said(error))
                    continue
                log.error("the folder of %s stays where it is: %s", digest, said(error))
            context.catalog.swept(digest)
    return f"{removed} removed"


def _swept(context: Context, digest: str) -> bool:
    """Remove a member's folder, if it has one and belongs to nobody. Raises what keeps it there."""
    folder = context.settings.member_folder(digest)
    nobody = not context.catalog.referenced([digest])
    if not nobody or not re.fullmatch("[0-9a-f]{40}", digest) or not folder.is_dir():
        return False
    shutil.rmtree(folder)
    return True

"""Rebuilding a family: its members, folders and repositories are looked at, and mended.

Its student was looked at before, by whoever distils. What was found is kept thing by thing, so that
whoever goes on after a worker that died looks at nothing twice, and forgets nothing.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

from boomerang.assembly.bytefile import ByteFile
from boomerang.catalog.leases import work_of
from boomerang.catalog.records.families import Family, Member
from boomerang.catalog.records.rebuilds import Item, Rebuild
from boomerang.catalog.records.states import Fact, LostLease, StudentState
from boomerang.catalog.setbacks import Setback
from boomerang.errors import BoomerangError, Interrupted
from boomerang.retries import passes
from boomerang.service.jobs import Settle
from workers import assemble
from workers.context import Context
from workers.leases import End, Holding, Over, holding
from workers.models import published
from workers.models.folders import bytes_below
from workers.models.members import member_files
from workers.models.published import NotNow
from workers.outages import patiently, said, setback

log = logging.getLogger("boomerang.workers")

Files = dict[str, ByteFile]


def rebuild(context: Context, family_id: str) -> str:
    """Go on with the rebuild of a family, if one was asked for; return what was done, in a word."""
    catalog = context.catalog
    if context.stopping.is_set():
        return "stopping"
    over = lambda: catalog.open_rebuild(family_id) is None  # noqa: E731
    with holding(context, f"rebuild:{family_id}", over) as held:
        asked = None if held is None else catalog.open_rebuild(family_id)
        if held is None or asked is None:
            return "already running" if held is None else "nothing to rebuild"
        try:
            if catalog.rebuild_waits(asked.id, lease=held.lease):
                return "waiting"
            return _Rebuilding(context, held, asked, catalog.family(family_id)).go_on()
        except LostLease:
            # Perhaps only that of something of it, which somebody else works on now.
            return _ended(context, held, asked, End.LOST)
        except Exception as error:
            if held.end is not None:
                return _ended(context, held, asked, held.end)
            kind = setback(error, f"the rebuild of {family_id}")
            if kind is not None and _later(context, held, asked, said(error), kind):
                return "again"
            say = patiently(held)
            say(catalog.rebuild_over, asked.id, Fact.FAILED, said(error), lease=held.lease)
            return "failed"


def _ended(context: Context, held: Holding, asked: Rebuild, end: End) -> str:
    with suppress(LostLease):
        context.catalog.rebuild_later(asked.id, None, context.settings.limits, lease=held.lease)
    return end.name.lower()


def _later(
    context: Context, held: Holding, asked: Rebuild, reason: str, kind: Setback = Setback.OUTSIDE
) -> bool:
    later, limits = context.catalog.rebuild_later, context.settings.limits
    return bool(patiently(held)(later, asked.id, reason, limits, kind=kind, lease=held.lease))


@dataclass
class _Rebuilding:
    """A rebuild that goes on; `away` is what kept something from being looked at, for now."""

    context: Context
    held: Holding
    asked: Rebuild
    family: Family
    items: dict[str, Item] = field(init=False)
    away: dict[str, str] = field(default_factory=dict)
    busy: bool = False

    def __post_init__(self) -> None:
        self.items = self.asked.items

    def go_on(self) -> str:
        """Look at all that was not looked at yet; return what was done, in a word."""
        whole = self._student()
        for member in self.context.catalog.members(self.family.id):
            self._member(member, whole)
        if self.away and _later(self.context, self.held, self.asked, min(self.away.values())):
            return "again"
        for key, reason in self.away.items():
            self._unseen(key, reason)
        catalog, lease = self.context.catalog, self.held.lease
        if self.busy:
            catalog.rebuild_later(self.asked.id, None, self.context.settings.limits, lease=lease)
            return "waiting"
        if catalog.rebuild_waits(self.asked.id, lease=lease):
            # What was found broken is asked for again.
            self.context.producer.send(Settle(family=self.family.id))
            return "waiting"
        return self._end()

    def _student(self) -> bool:
        """Whether the student is whole, as far as whoever looked at it said."""
        student = self.context.catalog.student(self.family.student)
        key = f"student:{student.key}"
        item = self.items.get(key, Item(kind="student", name=student.key, state="unseen"))
        if student.state is not StudentState.READY:
            found = item.found or f"it is {student.state}"
            item = replace(item, state="broken", found=found, reason=student.reason)
        elif item.state == "unseen":
            item = replace(item, reason=item.reason or "nobody has looked at it")
        if self.items.get(key) != item:
            self._keep(item)
        return item.state in ("whole", "mended")

    def _member(self, member: Member, whole: bool) -> None:
        """A member, its folder and its repository; of what it is made, all is `whole`."""
        files: Files = {}
        repo = member.repo if member.published is Fact.YES else None

        def composed() -> Item:
            files.update(member_files(self.context, self.family, member, repo))
            return Item(kind="member", name=member.size, state="whole")

        self.held.check()
        composing = f"member:{member.size}"
        folder, repository = f"folder:{member.size}", f"repository:{member.repo}"
        if whole:
            self._look(composing, composed, always=True)
        there = [folder] if member.built is Fact.YES or folder in self.items else []
        if member.repo and (member.published is Fact.YES or repository in self.items):
            there.append(repository)
        if composing in self.away:
            self.away |= dict.fromkeys(there, self.away[composing])
            return
        if folder in there and files:
            self._look(folder, lambda: self._folder(member))
        elif folder in there:
            self._unseen(folder, "what it is made of is not whole")
        if repository in there:
            self._look(repository, lambda: self._repository(member, files))

    def _repository(self, member: Member, files: Files) -> Item | None:
        before = self.items.get(f"repository:{member.repo}")
        return published.repository(
            self.context, self.held, self.family, member, files, before, self._keep
        )

    def _look(self, key: str, look: Callable[[], Item | None], *, always: bool = False) -> None:
        """Look at something that is not looked at yet, or still to be mended, and keep it."""
        before = self.items.get(key)
        if before is not None and not _pending(before) and not always:
            return
        try:
            item = look()
        except (LostLease, Over):
            raise
        except NotNow as error:
            self.busy |= error.reason is None
            if error.reason is not None:
                self.away[key] = error.reason
            return
        except Exception as error:
            if passes(error):
                self.away[key] = said(error)
                return
            if not isinstance(error, BoomerangError | OSError):
                log.exception("%s of %s", key, self.family.id)
            if before is not None and _pending(before):
                item = replace(before, reason=said(error))
            else:
                item = _named(key, state="unseen", reason=said(error))
        if item is not None and item != before:
            self._keep(item)

    def _unseen(self, key: str, reason: str) -> None:
        before = self.items.get(key)
        if before is None:
            self._keep(_named(key, state="unseen", reason=reason))
        elif _pending(before):
            self._keep(replace(before, reason=reason))

    def _keep(self, item: Item) -> None:
        keep = self.context.catalog.rebuild_found
        patiently(self.held)(keep, self.asked.id, [item], lease=self.held.lease)
        self.items[item.key] = item

    def _folder(self, member: Member) -> Item | None:
        """A built folder: one that is damaged is said to be gone, and built again."""
        context, before = self.context, self.items.get(f"folder:{member.size}")
        if not context.settings.members.is_dir():
            raise Interrupted(
                "The folder of built members is not there.",
                value=context.settings.members.name,
                fix="Mount it.",
            )
        folder = context.settings.member_folder(member.digest)
        with holding(context, work_of("built", member.digest)) as own:
            if own is None:
                raise NotNow
            member = context.catalog.member(self.family.id, member.k)
            if member.built is Fact.YES:
                files = member_files(context, self.family, member)
                damage = assemble.damage_of(context, folder, files, look=self.held.check)
                if damage is None:
                    return self._whole_folder(member, before)
                log.warning("member %s of %s: %s", member.size, member.family, damage)
                before = Item(kind="folder", name=member.size, state="broken", found=damage)
                self._keep(before)
                for path in folder.rglob("*"):
                    # Nothing of it is believed any more: it seemed untouched.
                    path.touch()
                gone = context.catalog.member_gone
                gone(self.family.id, member.k, "built", damage, lease=own.lease)
        if before is None:
            return None
        result = assemble.assemble(context, self.family.id, member.k)
        member = context.catalog.member(self.family.id, member.k)
        if member.built is Fact.YES:
            return self._whole_folder(member, before)
        if result == "failed":
            return replace(before, reason=str(member.built_reason))
        raise NotNow(member.built_reason if result == "again" else None)

    def _whole_folder(self, member: Member, before: Item | None) -> Item:
        read = bytes_below(self.context.settings.member_folder(member.digest))
        if before is None:
            return Item(kind="folder", name=member.size, state="whole", bytes=read)
        return replace(before, state="mended", reason="built again", bytes=read)

    def _end(self) -> str:
        catalog = self.context.catalog
        family, found = catalog.family(self.family.id), []
        if family.measuring is Fact.FAILED:
            found.append(_broken("measuring", family.id, family.measuring_reason))
        for one in catalog.requests(family.id):
            if one.state is Fact.FAILED:
                found.append(_broken("request", f"{one.kind} {one.what}", one.reason))
        for item in found:
            self._keep(item)
        left = [item for item in self.items.values() if item.state in ("broken", "unseen")]
        state, reason = Fact.YES, None
        if left:
            named = ", ".join(f"{item.kind} {item.name}" for item in left[:3])
            more = f" and {len(left) - 3} more" if len(left) > 3 else ""
            state, reason = Fact.FAILED, f"not whole: {named}{more}"
        over = catalog.rebuild_over
        patiently(self.held)(over, self.asked.id, state, reason, lease=self.held.lease)
        return "whole" if state is Fact.YES else "not whole"


def _pending(item: Item) -> bool:
    """Whether something that is broken is still to be mended."""
    return item.state == "broken" and item.reason is None


def _named(key: str, **values: str) -> Item:
    kind, _, name = key.partition(":")
    return Item(kind=kind, name=name, **values)  # type: ignore[arg-type]


def _broken(kind: str, name: str, reason: str | None) -> Item:
    return _named(f"{kind}:{name}", state="broken", found="it failed", reason=reason or "no reason")

"""Everything that Boomerang raises on purpose.

BoomerangError
├── BadRequest               what was asked for cannot be understood
│   ├── BadName              a repo id, folder, revision or file name that is not one
│   ├── BadBudget            a budget that is no number of parameters or bytes
│   ├── BadComposition       choices that do not fit the layer map
│   ├── BadRecipe            a recipe or a text that cannot be trained on
│   └── BadTask              a task that does not exist, or that cannot be run here
├── NotFound                 the thing does not exist
│   ├── TeacherNotFound
│   ├── FamilyNotFound
│   ├── SizeNotFound
│   ├── FileNotInModel
│   └── PlayOff              sizes cannot be tried in this service
├── Unusable                 it exists, but no family can be made of it
│   ├── GatedTeacher         access has not been granted
│   ├── NoSafetensors        weights in another format only
│   ├── RemoteCode           needs code from its repository
│   ├── UnsupportedArchitecture
│   ├── CorruptCheckpoint    a header that lies, or tensors that do not match the config
│   ├── StudentMismatch      the student is not one of this teacher's
│   └── NotAMember           a model that does not say, or not truly, what it was composed of
├── NamespaceRefused         where nothing may be published
├── BudgetOutOfRange         below the student
├── NotReady                 the student is not distilled yet
├── SourceChanged            a file is not what it was when it was read first
├── TrainingFailed           a distillation stopped: its cause
│   └── Interrupted          for a reason that is none of its own: run again, it goes on
├── NoPlayer                 nobody is there who could try a size
├── PlayBusy                 too many wait for that
└── HubFailure               the Hub refused
    └── HubUnreachable       it did not answer, or said that it is busy or broken
        └── HubBusy          and nobody may wait for it here: ask again later

An error names the thing, the value and the fix: `str(error)` is one line for the command line,
and the front end turns the same three parts into a problem detail.
"""

import errno
import os
from collections.abc import Mapping
from typing import Any, ClassVar


class BoomerangError(Exception):
    """The root: `detail` says what is wrong, `value` is the offender, `fix` what to do."""

    slug: ClassVar[str] = "error"
    title: ClassVar[str] = "Boomerang failed"
    transient: ClassVar[bool] = False
    """Whether the same may succeed later, though nobody changes what was asked for."""

    def __init__(self, detail: str, *, value: object = None, fix: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.value = value
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.detail} {self.fix}".strip()

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword arguments are lost by the default, and errors cross process boundaries.
        return _revive, (type(self), self.detail, self.value, self.fix)


def _revive(kind: type[BoomerangError], detail: str, value: object, fix: str) -> BoomerangError:
    return kind(detail, value=value, fix=fix)


class BadRequest(BoomerangError):
    """What was asked for cannot be understood."""

    slug, title = "bad-request", "The request cannot be understood"


class BadName(BadRequest):
    """A repo id, folder, revision or file name that is not one."""

    slug, title = "bad-name", "Not a name"


class BadBudget(BadRequest):
    """A budget that is no number of parameters or bytes."""

    slug, title = "bad-budget", "Not a budget"


class BadComposition(BadRequest):
    """Choices that do not fit the layer map."""

    slug, title = "bad-composition", "Not a member of this family"


class BadRecipe(BadRequest):
    """A recipe or a text that cannot be trained on."""

    slug, title = "bad-recipe", "Not a usable recipe"


class BadTask(BadRequest):
    """A task of the evaluation harness that does not exist, or that cannot be run here."""

    slug, title = "bad-task", "Not a usable task"


class NotFound(BoomerangError):
    """The thing does not exist."""

    slug, title = "not-found", "Not found"


class TeacherNotFound(NotFound):
    """No such repository, revision or folder."""

    slug, title = "teacher-not-found", "Teacher not found"


class FamilyNotFound(NotFound):
    """No such family."""

    slug, title = "family-not-found", "Family not found"


class SizeNotFound(NotFound):
    """No family has a member of that size."""

    slug, title = "size-not-found", "Size not found"


class FileNotInModel(NotFound):
    """The member has no such file."""

    slug, title = "file-not-found", "File not found"


class PlayOff(NotFound):
    """Sizes cannot be tried in this service."""

    slug, title = "play-off", "Trying sizes is switched off"


class NoPlayer(BoomerangError):
    """No worker is there that could try a size, or the queue is away."""

    slug, title = "no-player", "Nobody to try it"
    transient = True


class PlayBusy(BoomerangError):
    """Too many wait for a size to be tried."""

    slug, title = "play-busy", "Too many wait"
    transient = True


class Unusable(BoomerangError):
    """It exists, but no family can be made of it."""

    slug, title = "unusable", "Not usable"


class GatedTeacher(Unusable):
    """Access to the repository has not been granted."""

    slug, title = "gated-teacher", "The teacher is gated"


class NoSafetensors(Unusable):
    """The weights are in another format only."""

    slug, title = "no-safetensors", "No safetensors"


class RemoteCode(Unusable):
    """The model needs code from its repository."""

    slug, title = "remote-code", "Remote code is never run"


class UnsupportedArchitecture(Unusable):
    """The architecture is not known, or cannot be right once layers move."""

    slug, title = "unsupported-architecture", "Unsupported architecture"


class CorruptCheckpoint(Unusable):
    """A header that lies, or tensors that do not match the config."""

    slug, title = "corrupt-checkpoint", "The checkpoint is damaged"


class StudentMismatch(Unusable):
    """The student is not one of this teacher's."""

    slug, title = "student-mismatch", "The student does not fit the teacher"


class NotAMember(Unusable):
    """A model that does not say, or says in contradictions, what it was composed of."""

    slug, title = "not-a-member", "Not a member of a family"


class NamespaceRefused(BoomerangError):
    """Nothing may be published there: with this token, or by this service."""

    slug, title = "namespace", "Nothing may be published there"


class BudgetOutOfRange(BoomerangError):
    """The budget is below the student."""

    slug, title = "budget-out-of-range", "No member within the budget"


class NotReady(BoomerangError):
    """The student is not distilled yet."""

    slug, title = "not-ready", "The student is not ready"


class SourceChanged(BoomerangError):
    """A file is not what it was when it was read first."""

    slug, title = "source-changed", "A source file changed"


class TrainingFailed(BoomerangError):
    """A distillation stopped; the detail says why."""

    slug, title = "training-failed", "The distillation failed"


class Interrupted(TrainingFailed):
    """A distillation stopped for a reason that is none of its own: run again, it goes on."""

    transient = True


class HubFailure(BoomerangError):
    """The Hub refused or did not answer."""

    slug, title = "hub-failure", "The Hub failed"


class HubUnreachable(HubFailure):
    """The Hub did not answer, or said that it is busy or broken."""

    transient = True


class HubBusy(HubUnreachable):
    """The Hub answers too late for somebody who waits; `retry_after` is in seconds."""

    slug, title = "hub-busy", "The Hub is busy"

    def __init__(
        self, detail: str, *, value: object = None, fix: str = "", retry_after: float = 5.0
    ) -> None:
        super().__init__(detail, value=value, fix=fix)
        self.retry_after = retry_after


MAKE_ROOM = (
    "Free space on the disk of the service's home: students/set-aside, and runs, teachers and "
    "members that nobody needs."
)
"""What to do where a disk is full."""
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)


def no_room(error: BaseException) -> bool:
    """Whether something could not be written as the disk, or somebody's share of it, is full."""
    if isinstance(error, OSError):
        return error.errno in _NO_ROOM
    # Libraries that write by themselves say it in the system's words.
    return any(os.strerror(number) in str(error) for number in _NO_ROOM)


def as_json(error: BoomerangError) -> dict[str, object]:
    """An error as another process reads it with `from_json`."""
    value = error.value if isinstance(error.value, int | float | None) else str(error.value)[:300]
    return {"kind": type(error).__name__, "detail": error.detail[:1000], "value": value,
            "fix": error.fix[:500]}  # fmt: skip


def from_json(said: Mapping[str, Any]) -> BoomerangError:
    """The error that `as_json` wrote; TrainingFailed where it has no such class."""
    kinds: list[type[BoomerangError]] = [BoomerangError]
    while kinds and kinds[-1].__name__ != said["kind"]:
        kinds += kinds.pop().__subclasses__()
    kind = kinds[-1] if kinds else TrainingFailed
    return kind(said["detail"], value=said["value"], fix=said["fix"])

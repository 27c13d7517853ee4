"""The tables of the catalog. Times are Unix seconds (UTC), the same on every database."""

from boomerang.catalog.tables.families import (
    FamilyRow,
    MemberRow,
    ProvisionalRow,
    RequestRow,
    SweepRow,
)
from boomerang.catalog.tables.hooks import FollowRow, ListenerRow, MoveRow, NoticeRow
from boomerang.catalog.tables.publications import (
    CredentialRow,
    NameRow,
    RepoRow,
    RevisionRow,
    StaleRow,
)
from boomerang.catalog.tables.students import (
    ComparisonRow,
    FilesRow,
    HashRow,
    KeepingRow,
    StudentRow,
)
from boomerang.catalog.tables.work import EventRow, LeaseRow, RebuildRow, TryRow

__all__ = [
    "ComparisonRow",
    "CredentialRow",
    "EventRow",
    "FamilyRow",
    "FilesRow",
    "FollowRow",
    "HashRow",
    "KeepingRow",
    "LeaseRow",
    "ListenerRow",
    "MemberRow",
    "MoveRow",
    "NameRow",
    "NoticeRow",
    "ProvisionalRow",
    "RebuildRow",
    "RepoRow",
    "RequestRow",
    "RevisionRow",
    "StaleRow",
    "StudentRow",
    "SweepRow",
    "TryRow",
]

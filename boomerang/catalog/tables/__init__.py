"""The tables of the catalog. Times are Unix seconds (UTC), the same on every database."""

from boomerang.catalog.tables.families import (
    FamilyRow,
    MemberRow,
    ProvisionalRow,
    RequestRow,
    SweepRow,
)
from boomerang.catalog.tables.hooks import FollowRow, ListenerRow, MoveRow, NoticeRow
from boomerang.catalog.tables.keys import AuditRow, EndedRow, KeyRow, OwnerRow, UsageRow
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
from boomerang.catalog.tables.work import EventRow, LeaseRow, PlanRow, RebuildRow, TryRow, UnreadRow

__all__ = [
    "AuditRow",
    "ComparisonRow",
    "CredentialRow",
    "EndedRow",
    "EventRow",
    "FamilyRow",
    "FilesRow",
    "FollowRow",
    "HashRow",
    "KeepingRow",
    "KeyRow",
    "LeaseRow",
    "ListenerRow",
    "MemberRow",
    "MoveRow",
    "NameRow",
    "NoticeRow",
    "OwnerRow",
    "PlanRow",
    "ProvisionalRow",
    "RebuildRow",
    "RepoRow",
    "RequestRow",
    "RevisionRow",
    "StaleRow",
    "StudentRow",
    "SweepRow",
    "TryRow",
    "UnreadRow",
    "UsageRow",
]

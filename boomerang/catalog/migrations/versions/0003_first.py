"""Families, students, members, requests, leases, events and hashes of files.

Catalogs of schema 1 and 2 lack the last columns only.
"""

import sqlalchemy as sa

from boomerang.catalog.migrations.steps import REAL, SERIAL, add, index, key, may, must, table

revision, down_revision = "0003", None


def upgrade() -> None:
    """Make the tables, as schema 3 had them."""
    _students()
    _families()
    _members()
    _work()
    add("members", may("generation", sa.JSON), may("flags", sa.JSON), may("tasks", sa.JSON))
    add("families", may("tasks", sa.JSON))


def _students() -> None:
    table(
        "students",
        key("key", sa.String(64)),
        must("root", sa.String(64)),
        must("teacher", sa.String),
        must("teacher_commit", sa.String),
        may("teacher_source", sa.String),
        must("kept", sa.JSON),
        must("layers", sa.BigInteger),
        must("recipe", sa.JSON),
        must("recipe_name", sa.String),
        may("data", sa.String),
        may("data_digest", sa.String),
        must("seed", sa.BigInteger),
        must("origin", sa.String),
        may("location", sa.String),
        may("revision_commit", sa.String),
        must("state", sa.String),
        may("reason", sa.String),
        must("step", sa.BigInteger),
        must("steps", sa.BigInteger),
        may("loss", REAL),
        may("ce", REAL),
        may("kl", REAL),
        may("cosine", REAL),
        must("tokens", sa.BigInteger),
        may("tokens_per_s", REAL),
        may("eta_s", REAL),
        must("generation", sa.BigInteger),
        must("cancel", sa.Boolean),
        must("attempts", sa.BigInteger),
        must("sent", REAL),
        must("sends", sa.BigInteger),
        must("created", REAL),
        may("started", REAL),
        may("finished", REAL),
        must("updated", REAL),
    )
    index("ix_students_root", "students", "root")
    index("ix_students_state", "students", "state")


def _families() -> None:
    table(
        "families",
        key("id", sa.String(16)),
        must("name", sa.String),
        must("teacher", sa.String),
        may("revision", sa.String),
        must("commit", sa.String),
        may("source", sa.String),
        must("student", sa.String(64)),
        must("order", sa.String),
        must("request", sa.JSON),
        may("license", sa.String),
        must("gated", sa.Boolean),
        must("private", sa.Boolean),
        may("published_repo", sa.String),
        may("patch_order", sa.JSON),
        may("chosen", sa.String),
        must("measuring", sa.String),
        may("measuring_reason", sa.String),
        may("tasks", sa.JSON),
        must("settled", sa.Boolean),
        must("attempts", sa.BigInteger),
        must("sent", REAL),
        must("sends", sa.BigInteger),
        must("created", REAL),
        must("updated", REAL),
        sa.ForeignKeyConstraint(["student"], ["students.key"]),
    )
    for column in ("teacher", "student", "measuring"):
        index(f"ix_families_{column}", "families", column)


def _members() -> None:
    table(
        "members",
        key("family", sa.String(16)),
        key("k", sa.BigInteger, autoincrement=False),
        must("size", sa.String),
        must("code", sa.String),
        must("digest", sa.String(64)),
        must("parameters", sa.BigInteger),
        must("bytes", sa.BigInteger),
        must("layers", sa.BigInteger),
        must("built", sa.String),
        may("built_reason", sa.String),
        must("measured", sa.String),
        may("measured_reason", sa.String),
        must("published", sa.String),
        may("published_reason", sa.String),
        may("perplexity", REAL),
        may("kl", REAL),
        may("naive_perplexity", REAL),
        may("naive_kl", REAL),
        may("generation", sa.JSON),
        may("flags", sa.JSON),
        may("tasks", sa.JSON),
        may("repo", sa.String),
        may("commit", sa.String),
        must("updated", REAL),
        sa.ForeignKeyConstraint(["family"], ["families.id"], ondelete="CASCADE"),
    )
    index("ix_members_size", "members", "size")
    index("ix_members_digest", "members", "digest")


def _work() -> None:
    table(
        "requests",
        key("id", SERIAL, autoincrement=True),
        must("family", sa.String(16)),
        must("kind", sa.String),
        must("what", sa.String),
        must("options", sa.JSON),
        must("options_digest", sa.String(64)),
        must("state", sa.String),
        may("reason", sa.String),
        must("attempts", sa.BigInteger),
        must("sent", REAL),
        must("sends", sa.BigInteger),
        sa.ForeignKeyConstraint(["family"], ["families.id"], ondelete="CASCADE"),
    )
    index("ix_requests_family", "requests", "family")
    index("ix_requests_state", "requests", "state")
    index("one_request", "requests", "family", "kind", "what", "options_digest", unique=True)
    table(
        "leases",
        key("subject", sa.String),
        may("holder", sa.String),
        must("fence", sa.BigInteger),
        must("expires", REAL),
    )
    table(
        "file_hashes",
        key("path", sa.String),
        must("size", sa.BigInteger),
        must("inode", sa.BigInteger),
        must("mtime_ns", sa.BigInteger),
        must("sha256", sa.String(64)),
    )
    table(
        "events",
        key("id", SERIAL, autoincrement=True),
        must("time", REAL),
        may("family", sa.String),
        may("student", sa.String),
        must("kind", sa.String),
        must("payload", sa.JSON),
        sqlite_autoincrement=True,
    )
    index("ix_events_family", "events", "family")
    index("ix_events_student", "events", "student")

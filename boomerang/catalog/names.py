"""What families are called, and with them the repositories: `boomerang/Qwen3-4B-Base-2.91B`.

The first family with a name has the plain one; a later one of another teacher takes the teacher's
organisation into its name, a later one of the same teacher the start of its id. A name is given
once and kept: a family that goes renames no other.
"""

from collections.abc import Mapping

from boomerang.catalog.records.members import Member

NAMESPACE = "boomerang"


def family_name(name: str, teacher: str, id_: str, held: Mapping[str, str]) -> str:
    """The name of a new family; `held` has the teachers of the families whose names are given."""
    owned = teacher.replace("/", "-")
    tries = [name] if held.get(name, teacher) == teacher else [name, owned]
    return next((one for one in (*tries, f"{name}-{id_[:6]}") if one not in held), f"{name}-{id_}")


def repo_id(name: str, member: Member) -> str:
    """The repository under which a member is served."""
    return f"{NAMESPACE}/{name}-{member.size}"

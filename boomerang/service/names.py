"""What members are called as repositories: `boomerang/Qwen3-4B-Base-2.91B`.

The oldest family with a name keeps the plain one; a later one of another teacher takes the
teacher's organisation into its name, a later one of the same teacher the start of its id.
"""

from collections.abc import Sequence

from boomerang.service.records import Family, Member

NAMESPACE = "boomerang"


def family_names(families: Sequence[Family]) -> dict[str, str]:
    """The name of each family, by id."""
    names: dict[str, str] = {}
    holders: dict[str, str] = {}
    for family in sorted(families, key=lambda f: (f.created, f.id)):
        name = family.name
        if holders.get(name, family.teacher) != family.teacher and "/" in family.teacher:
            name = family.teacher.replace("/", "-")
        if name in holders:
            name = f"{family.name}-{family.id[:6]}"
        holders[name] = family.teacher
        names[family.id] = name
    return names


def repo_id(name: str, member: Member) -> str:
    """The repository under which a member is served."""
    return f"{NAMESPACE}/{name}-{member.size}"

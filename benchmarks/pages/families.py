"""A catalog as a team's is after a year: families of known teachers, measured and not."""

import random
from typing import Any

from sqlalchemy import insert

from boomerang.catalog.catalog import Catalog
from boomerang.catalog.tables import EventRow, FamilyRow, MemberRow, NameRow, StudentRow
from boomerang.family.ladder import short_count

TEACHERS = (
    ("Qwen/Qwen3-4B-Base", 4.02e9), ("meta-llama/Llama-3.1-8B", 8.03e9),
    ("google/gemma-2-2b", 2.61e9), ("HuggingFaceTB/SmolLM2-1.7B", 1.71e9),
    ("mistralai/Mistral-7B-v0.3", 7.25e9), ("allenai/OLMo-2-1124-7B", 7.3e9),
)  # fmt: skip
STATES = ("ready",) * 16 + ("queued", "failed", "cancelled", "ready")
YEAR = 365 * 86400


def fill(catalog: Catalog, families: int, sizes: int, seed: int = 0) -> str:
    """Fill an empty catalog; the key of a student that is being distilled, of the newest family."""
    rng, now = random.Random(seed), 1.79e9
    rows: dict[type, list[dict[str, Any]]] = {
        table: [] for table in (StudentRow, FamilyRow, NameRow, MemberRow, EventRow)
    }
    key = ""
    for at in range(families):
        created = now - YEAR * (families - at) / families
        key = f"{at:032x}"
        state = "distilling" if at == families - 1 else rng.choice(STATES)
        _family(rows, rng, at, key, state, created, sizes)
    with catalog.db.write() as session:
        for table, found in rows.items():
            session.execute(insert(table), found)
    return key


def _family(
    rows: dict[type, list[dict[str, Any]]], rng: random.Random, at: int, key: str, state: str,
    created: float, sizes: int,
) -> None:  # fmt: skip
    teacher, large = TEACHERS[at % len(TEACHERS)]
    name = teacher.partition("/")[2]
    id_, times = f"{at:012x}", {"created": created, "updated": created}
    reason = {"failed": "The loss became nan at step 310 of 500."}.get(state)
    rows[StudentRow].append({
        "key": key, "root": key, "teacher": teacher, "teacher_commit": f"{at:040x}",
        "kept": list(range(0, 2 * sizes - 2, 2)), "layers": 2 * sizes - 2,
        "recipe": {"name": "default"}, "recipe_name": "default", "seed": 0, "origin": "distilled",
        "state": state,
        "reason": reason, "step": 0, "steps": 500, **times,
    })  # fmt: skip
    rows[FamilyRow].append({
        "id": id_, "name": name, "teacher": teacher, "revision": "main", "commit": f"{at:040x}",
        "student": key, "order": "auto", "request": {}, "gated": False, "private": False,
        "chosen": "last" if state == "ready" else None, "state": state,
        "measuring": "yes" if state == "ready" else "no", "settled": state == "ready", **times,
    })  # fmt: skip
    rows[NameRow].append({
        "name": name if at < len(TEACHERS) else f"{name}-{id_[-6:]}", "family": id_,
        "teacher": teacher,
    })  # fmt: skip
    worst, best = 14 + 8 * rng.random(), 8 + rng.random()
    for k in range(sizes):
        part = k / max(1, sizes - 1)
        parameters = int(large * (0.55 + 0.45 * part))
        measured = state == "ready"
        wobble = 1 + 0.02 * rng.random()
        rows[MemberRow].append({
            "family": id_, "k": k, "size": short_count(parameters, 4), "code": _code(k, sizes - 1),
            "digest": f"{at:032x}{k:032x}", "parameters": parameters, "bytes": 2 * parameters,
            "layers": sizes - 1 + k, "measured": "yes" if measured else "no",
            "built": "yes" if measured and k % 7 == 0 else "no",
            "published": "yes" if measured and k % 9 == 0 else "no",
            "perplexity": (best + (worst - best) * (1 - part) ** 2) * wobble if measured else None,
            "kl": 0.9 * (1 - part) ** 2 if measured else None,
            "by_position": [9.0] * 8, "updated": created,
            "errors": {"perplexity": 0.1, "kl": 0.01, "naive_perplexity": None, "naive_kl": None,
                       "windows": 64, "tokens": 65_536},
        })  # fmt: skip
    rows[EventRow].append(
        {"time": created, "family": id_, "student": key, "kind": "family",
         "payload": {"state": "created"}}
    )  # fmt: skip


def _code(k: int, blocks: int) -> str:
    """The composition with the last `k` of so many blocks patched."""
    return "s" * (blocks - k) + "b" * k + ("+ttt" if k == blocks else "+sss")

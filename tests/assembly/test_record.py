"""What boomerang.json says of a member, which is believed only where it agrees with itself."""

import json
from typing import Any

import pytest

from boomerang.assembly.record import FORMAT, Origin, Record, made_of, whole
from boomerang.errors import BoomerangError, NotAMember
from boomerang.family.composition import Composition
from boomerang.family.layer_map import LayerMap

MAP = LayerMap((0, 2, 3, 5, 7), 8)
COMPOSITION = Composition.patched(MAP, {3})
TEACHER = Origin("org/teacher", "org/teacher", "a" * 40)
STUDENT = Origin("me/key", "me/key", "b" * 40, "key", {"z": "1", "model.safetensors": "2"})


def written(**changes: Any) -> dict[str, Any]:
    """A record as a reader has it."""
    made = made_of(TEACHER, STUDENT, size="1B", order="last", k=1)
    found: dict[str, Any] = json.loads(json.dumps(whole(made, COMPOSITION, b"{}")))
    return found | changes


def test_what_is_written_is_read() -> None:
    record = Record.read("m", written())
    assert (record.format, record.size, record.composition) == (FORMAT, "1B", COMPOSITION)
    assert record.teacher == TEACHER
    assert (record.student, list(written()["student"]["files"])) == (
        STUDENT, ["model.safetensors", "z"],
    )  # fmt: skip
    assert written()["digests"]["member"] == COMPOSITION.digest("a" * 40, "key")
    assert record.config == "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


def test_one_of_before_there_was_a_format_is_read() -> None:
    made = {"teacher": "org/teacher", "teacher_commit": "a" * 40, "student": "key", "size": "1B"}
    record = Record.read("m", json.loads(json.dumps(whole(made, COMPOSITION, b"{}"))))
    assert record == Record(1, "1B", COMPOSITION, TEACHER, Origin(key="key"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": FORMAT + 1}, "Update Boomerang"),
        ({"layers": ["teacher:0"] * 6}, "sssbb"),
        ({"ends": {}}, "sssbb"),
        ({"composition": "bsssb+tts"}, "bsssb"),
        ({"layer_map": {"kept": [0, 2, 3, 5, 6], "layers": 8}}, "digest in its"),
        ({"digests": {"member": "0" * 40, "config": ""}}, "digest"),
        ({"digests": None}, "not of format 2"),
        ({"teacher": None}, "not of format 2"),
        ({"layer_map": {"kept": "0", "layers": 8}}, "not of format 2"),
        ({"composition": "many"}, "many"),
    ],
)
def test_what_contradicts_itself_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(BoomerangError, match=said):
        Record.read("m", written(**changes))


@pytest.mark.parametrize("value", [None, {"version": 1, "key": "a student's"}])
def test_a_model_that_is_no_member_is_refused(value: dict[str, Any] | None) -> None:
    with pytest.raises(NotAMember, match="'m' is no member"):
        Record.read("m", value)

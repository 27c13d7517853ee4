"""Bad input: each a problem detail that names the value and the fix, and nothing is made of it."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.app.conftest import Front, problem
from tests.local_hub.fixture import LocalHub, running
from tests.support.databases import BOTH, new_database
from tests.support.models import Duo, edit_json, model, save_student

ODD = b"\x93NUMPY and no safetensors"


@pytest.fixture(scope="module")
def online(
    tmp_path_factory: pytest.TempPathFactory, originals: Duo
) -> Iterator[tuple[Front, LocalHub]]:
    """A front end and its Hub with odd repositories."""
    folder = tmp_path_factory.mktemp("online")
    with running(folder / "hub") as hub:
        good = originals.teacher_folder
        hub.add_repo("org/good", good)
        hub.add_repo("org/gated", good, gated=True)
        hub.add_repo("org/private", good, private=True)

        def odd(name: str, change: Callable[[Path], object]) -> None:
            path = folder / name
            shutil.copytree(good, path)
            change(path)
            hub.add_repo(f"org/{name}", path)

        odd("pickle", lambda p: (p / "model.safetensors").rename(p / "pytorch_model.bin"))
        code = {"auto_map": {"AutoModelForCausalLM": "modeling.My"}, "model_type": "mine"}
        odd("code", lambda p: edit_json(p / "config.json", **code))
        odd("mamba", lambda p: edit_json(p / "config.json", model_type="mamba"))
        odd("lies", lambda p: (p / "model.safetensors").write_bytes(lying("past the end")))
        odd("nd", lambda p: (p / "README.md").write_text("---\nlicense: cc-by-nc-nd-4.0\n---\n"))
        front = Front(folder / "front", originals, HF_ENDPOINT=hub.url).start()
        yield front, hub
        front.close()


def lying(how: str) -> bytes:
    """A safetensors file whose header lies."""
    tensor = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    if how == "huge":
        return (1 << 62).to_bytes(8, "little") + b"{}" + bytes(64)
    header: dict[str, Any] = {"a": tensor, "b": tensor}
    if how == "past the end":
        header["b"] = {"dtype": "F32", "shape": [1 << 40], "data_offsets": [8, 8 + (4 << 40)]}
    if how == "shape":
        header = {"a": {**tensor, "shape": [1 << 62, 1 << 62]}}
    if how == "not JSON":
        return (8).to_bytes(8, "little") + b"{{{{{{{{"
    if how == "deep":
        text = b"[" * 100_000
        return len(text).to_bytes(8, "little") + text
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(16)


@pytest.mark.parametrize(
    ("teacher", "status", "slug"),
    [
        ("org/nothing", 404, "teacher-not-found"),
        ("org/gated", 403, "gated-teacher"),
        ("org/private", 404, "teacher-not-found"),
        ("org/pickle", 422, "no-safetensors"),
        ("org/code", 422, "remote-code"),
        ("org/mamba", 422, "unsupported-architecture"),
        ("org/lies", 422, "corrupt-checkpoint"),
        ("org/nd", 422, "unusable"),
        ("org/../good", 422, "bad-name"),
        ("../teacher", 422, "bad-name"),
        ("a/..", 422, "bad-name"),
        ("..", 422, "bad-name"),
        ("/etc", 422, "bad-name"),
        ("~/teacher", 422, "bad-name"),
        ("a\\b", 422, "bad-name"),
        ("a\0b", 422, "bad-name"),
        ("a b/c", 422, "bad-name"),
        ("org/good.git", 422, "bad-name"),
        ("a/b/c", 404, "teacher-not-found"),
        ("", 422, "bad-request"),
        ("x" * 290, 422, "bad-name"),
    ],
)
def test_teachers(online: tuple[Front, LocalHub], teacher: str, status: int, slug: str) -> None:
    front, _ = online
    answer = front.post(teacher=teacher, data="texts")
    body = problem(answer, status, slug)
    if slug == "bad-name":
        assert body["value"] == teacher
    elif teacher:
        assert teacher in json.dumps(body)
    assert front.catalog.families() == ()


def test_a_hub_teacher_that_is_good_is_taken(online: tuple[Front, LocalHub]) -> None:
    front, hub = online
    body = front.post(teacher="org/good", data="texts").json()
    assert body["commit"] == hub.store.repos["org/good"].at("main").oid
    reached = problem(front.post(teacher="org/good", revision="v9"), 404, "teacher-not-found")
    assert "v9" in reached["detail"]
    problem(front.post(teacher="org/good", revision="../x"), 422, "bad-name")
    front.client.delete(f"/families/{body['id']}")


def test_a_hub_that_does_not_answer(front: Front) -> None:
    body = problem(front.post(teacher="org/good", data="texts"), 502, "hub-failure")
    assert body["value"] == "org/good"


@pytest.mark.parametrize("how", ["overlap", "past the end", "huge", "shape", "not JSON", "deep"])
def test_headers_that_lie(shared: Front, how: str) -> None:
    path = shared.models / f"lying {how}"
    shutil.copytree(shared.models / "teacher", path)
    (path / "model.safetensors").write_bytes(lying(how))
    body = problem(shared.post(teacher=path.name, data="texts"), 422, "corrupt-checkpoint")
    assert body["value"] == "model.safetensors"


def test_students_that_do_not_fit(shared: Front) -> None:
    kept = (0, 2, 3, 5, 7)
    for name, change in {"wide": {"hidden_size": 32}, "words": {"vocab_size": 50}}.items():
        student = model("llama-tied", 3, num_hidden_layers=5, **change)
        save_student(student, shared.models / name, kept, 8)
        problem(shared.post(teacher="teacher", student=name), 422, "student-mismatch")
    student = model("llama-tied", 3, num_hidden_layers=5)
    student.save_pretrained(shared.models / "silent")
    silent = problem(shared.post(teacher="teacher", student="silent"), 422, "student-mismatch")
    assert "student_config.json" in silent["fix"]
    problem(shared.post(teacher="teacher", student="../student"), 422, "bad-name")
    problem(shared.post(teacher="teacher", student="no/such/one"), 404, "teacher-not-found")


@pytest.mark.parametrize(
    ("asked", "slug", "value"),
    [
        ({"budget": "3"}, "budget-out-of-range", "3"),
        ({"budget": "lots"}, "bad-budget", "lots"),
        ({"budget": -1}, "bad-budget", -1),
        ({"budget": 0}, "bad-budget", 0),
        ({"budget": True}, "bad-budget", True),
        ({"budget": [1]}, "bad-budget", [1]),
        ({"budget": {"memory": "6XB"}}, "bad-budget", "6XB"),
        ({"budget": {"memory": "6GB", "dtype": "int3"}}, "bad-budget", "int3"),
        ({"budget": {"weight": 3}}, "bad-budget", {"weight": 3}),
        ({"sizes": ["huge"]}, "size-not-found", "huge"),
        ({"sizes": ["1"]}, "budget-out-of-range", "1"),
        ({"sizes": "16K"}, "bad-request", "16K"),
        ({"sizes": [7]}, "bad-request", 7),
        ({"order": "best of all"}, "bad-composition", "best of all"),
        ({"order": "1,1"}, "bad-composition", [1, 1]),
        ({"order": 7}, "bad-request", 7),
        ({"order": ""}, "bad-composition", ""),
        ({"recipe": "../recipe"}, "bad-recipe", "../recipe"),
        ({"recipe": "nonesuch"}, "bad-recipe", "nonesuch"),
        ({"recipe": {"steps": -1}}, "bad-recipe", None),
        ({"recipe": {"hours": 1}}, "bad-recipe", None),
        ({"recipe": 7}, "bad-request", 7),
        ({"data": "../texts"}, "bad-name", "../texts"),
        ({"data": "/etc"}, "bad-name", "/etc"),
        ({"data": "nothing"}, "bad-recipe", "nothing"),
        ({"data": "teacher"}, "bad-recipe", "teacher"),
        ({"data": None}, "bad-recipe", None),
        ({"publish": {"namespace": "../me"}}, "bad-request", "../me"),
        ({"publish": {"namespace": ""}}, "bad-request", ""),
        ({"publish": True}, "bad-request", True),
        ({"teacher": 7}, "bad-request", 7),
        ({"teacher": "x" * 301}, "bad-request", None),
        ({"trust_remote_code": True}, "bad-request", True),
        ({"student": 7}, "bad-request", 7),
        ({"revision": []}, "bad-request", []),
    ],
)  # fmt: skip
def test_fields(shared: Front, asked: dict[str, Any], slug: str, value: Any) -> None:
    answer = shared.post(**{"teacher": "teacher", "data": "texts"} | asked)
    body = problem(answer, 404 if slug == "size-not-found" else 422, slug)
    if value is not None:
        assert body["value"] == value
    if slug == "bad-request":
        assert body["detail"].startswith(next(iter(asked)))
    assert shared.catalog.families() == ()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"[]",
        b'"teacher"',
        b"null",
        b"\xff\xfe",
        b'{"teacher": "teacher"',
        b"[" * 100_000,
        b'{"teacher": "\\ud800"}',
        b'{"teacher": "teacher", "budget": "\\ud800"}',
        b'{"teacher": "teacher", "budget": NaN}',
        b'{"teacher": "teacher", "budget": 1e999}',
        b'{"teacher": "teacher", "budget": ' + b"9" * 4000 + b"}",
        b'{"teacher": "teacher", "budget": ' + b"9" * 5000 + b"}",
        b'{"teacher": "teacher", "data": "texts", "recipe": {"learning_rate": NaN}}',
        b'{"teacher": "teacher", "data": "texts", "recipe": {"name": "\\ud800"}}',
    ],
)
def test_bodies_that_are_none(shared: Front, body: bytes) -> None:
    kind = {"Content-Type": "application/json"}
    answer = shared.client.post("/families", content=body, headers=kind)
    assert answer.status_code in (400, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "status", "slug"),
    [
        ("/models/huge", 404, "size-not-found"),
        ("/models/..%2F..%2Fetc", 404, "size-not-found"),
        ("/models/%2e%2e", 404, "size-not-found"),
        ("/models/-3B", 404, "size-not-found"),
        ("/models/3%00B", 404, "size-not-found"),
        ("/models/" + "9" * 60, 404, "size-not-found"),
        ("/models/1", 422, "budget-out-of-range"),
        ("/models/16K?family=nothing", 404, "family-not-found"),
        ("/models?family=%00", 422, "bad-request"),
        ("/families/%00", 422, "bad-request"),
        ("/families/nothing%00/events", 422, "bad-request"),
        ("/families/nothing", 404, "family-not-found"),
        ("/families/nothing/events", 404, "family-not-found"),
        ("/events?after=-1", 422, "bad-request"),
        ("/events?after=99999999999999999999", 422, "bad-request"),
        ("/nowhere", 404, "http"),
    ],
)
def test_addresses(front_with_family: Front, path: str, status: int, slug: str) -> None:
    problem(front_with_family.client.get(path), status, slug)


@pytest.mark.parametrize(
    "asked", [{"teacher": "a\0b"}, {"build": "1\0B"}, {"order": "a\0b"}, {"data": "te\0xts"}]
)
def test_a_nul_is_in_no_name(front_with_family: Front, asked: dict[str, Any]) -> None:
    before = front_with_family.catalog.last_event()
    body = {"teacher": "teacher", "student": "student", "order": "last"} | asked
    answer = front_with_family.client.post("/families", json=body)
    assert answer.status_code in (404, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert front_with_family.catalog.last_event() == before


@pytest.fixture(scope="module", params=BOTH)
def front_with_family(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, originals: Duo
) -> Iterator[Front]:
    database = {}
    if request.param == "postgresql":
        address = new_database(request.getfixturevalue("postgres"))
        database = {"BOOMERANG_DATABASE_URL": address}
    front = Front(tmp_path_factory.mktemp("family"), originals, **database).start()
    front.ready()
    yield front
    front.close()


@pytest.mark.parametrize(
    "file", ["..%2Fconfig.json", "%2e%2e/secret", "no.json", "%00", "config.json/", "/etc/passwd"]
)
def test_files(front_with_family: Front, file: str) -> None:
    front = front_with_family
    size = front.catalog.members(front.catalog.families()[0].id)[0].size
    answer = front.client.get(f"/models/{size}/{file}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    answer = front.client.get(f"/boomerang/teacher-{size}/resolve/main/{file}")
    assert answer.status_code == 404


def test_a_link_that_leads_out_of_the_folder(shared: Front, originals: Duo) -> None:
    (shared.models / "out").symlink_to(originals.teacher_folder)
    problem(shared.post(teacher="out", data="texts"), 422, "bad-name")


def test_a_gated_family_is_never_made_public(
    shared: Front, hub: LocalHub, make_front: Callable[..., Front], originals: Duo
) -> None:
    hub.add_repo("org/gated", originals.teacher_folder, gated=True)
    front = make_front(HF_ENDPOINT=hub.url, HF_TOKEN="hf_reader")
    asked = {"namespace": "me", "private": False}
    answer = front.post(teacher="org/gated", data="texts", publish=asked)
    assert answer.status_code in (403, 422)
    assert front.catalog.families() == ()

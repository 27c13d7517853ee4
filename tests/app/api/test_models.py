"""Downloads: whole and in parts, of sizes that nobody built, while nothing is held in memory."""

import hashlib
import io
import json
import os
import re
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from boomerang.catalog.records.families import Family, Member
from boomerang.catalog.records.states import StudentState
from boomerang.service.jobs import Producer
from tests.app.conftest import NOWHERE, Front, problem
from tests.support.models import Duo, model, save_student
from tests.support.outbox import Outbox
from tests.support.sparse import llama
from workers.assemble import assemble
from workers.context import Context
from workers.keying import rehash


@pytest.fixture(scope="module")
def held(
    tmp_path_factory: pytest.TempPathFactory, originals: Duo
) -> Iterator[tuple[Front, Family, tuple[Member, ...]]]:
    """A front end with one family that is ready, and its ladder."""
    front = Front(tmp_path_factory.mktemp("held"), originals).start()
    family = front.ready()
    yield front, family, front.catalog.members(family.id)
    front.close()


def sizes(front: Front, family: Family) -> list[str]:
    return [member.size for member in front.catalog.members(family.id)]


def test_a_tar_of_a_size_never_built_equals_what_is_built(
    held: tuple[Front, Family, tuple[Member, ...]],
) -> None:
    front, family, members = held
    context = Context(front.settings, front.catalog, Producer(NOWHERE))
    for member in (members[0], members[2], members[-1]):
        answer = front.client.get(f"/models/{member.size}")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/x-tar"
        assert int(answer.headers["content-length"]) == len(answer.content)
        name = f"teacher-{member.size}"
        assert f"{name}.tar" in answer.headers["content-disposition"]
        assert answer.headers["vary"] == "Accept"
        with tarfile.open(fileobj=io.BytesIO(answer.content)) as tar:
            got = {info.name: tar.extractfile(info).read() for info in tar}  # type: ignore[union-attr]
        assert assemble(context, family.id, member.k) == "built"
        folder = front.settings.member_folder(member.digest)
        built = {f"{name}/{p.name}": p.read_bytes() for p in folder.iterdir()}
        assert got == built
        for path in folder.iterdir():
            one = front.client.get(f"/models/{member.size}/{path.name}")
            assert one.content == path.read_bytes()


def test_head_ranges_and_validators(held: tuple[Front, Family, tuple[Member, ...]]) -> None:
    front, _, members = held
    url = f"/models/{members[1].size}"
    whole = front.client.get(url)
    size, etag = len(whole.content), whole.headers["etag"]
    assert re.fullmatch('"[0-9a-f]{40}"', etag)
    assert whole.headers["accept-ranges"] == "bytes"

    def get(method: str = "GET", **headers: str) -> httpx.Response:
        return front.client.request(
            method, url, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )

    head = get("HEAD")
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-length", "etag", "content-type", "accept-ranges", "vary"):
        assert head.headers[name] == whole.headers[name]
    assert get("HEAD", Range="bytes=0-1").status_code == 200
    for asked, start, stop in (
        ("bytes=0-0", 0, 1),
        ("bytes=7-1000", 7, 1001),
        (f"bytes={size - 1}-", size - 1, size),
        ("bytes=-10", size - 10, size),
        (f"bytes=-{size * 2}", 0, size),
        (f"bytes=5-{size * 2}", 5, size),
        ("Bytes=3-4,", 3, 5),
        (f"bytes=7-{'9' * 5000}", 7, size),
    ):
        part = get(Range=asked)
        assert part.status_code == 206, asked
        assert part.content == whole.content[start:stop]
        assert part.headers["content-range"] == f"bytes {start}-{stop - 1}/{size}"
        assert part.headers["content-length"] == str(stop - start)
        assert part.headers["etag"] == etag
    for asked in (f"bytes={size}-", "bytes=-0", f"bytes={10**18}-"):
        answer = get(Range=asked)
        problem(answer, 416, "range")
        assert answer.headers["content-range"] == f"bytes */{size}"
    # What is no range of bytes is not looked at (RFC 9110, 14.2).
    for asked in ("bytes=5-2", "bytes=-", "lines=1-2", "bytes = 3 - 4", "bytes=0-1,5-2"):
        assert get(Range=asked).status_code == 200
    assert get(Range="bytes=0-1", If_Range=etag).status_code == 206
    for other in ('"other"', f"W/{etag}", "Tue, 24 Nov 2026 00:00:00 GMT"):
        assert get(Range="bytes=0-1", If_Range=other).status_code == 200
    for same in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        answer = get(If_None_Match=same)
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == etag
    assert get(If_None_Match='"x"').status_code == 200


def test_curl_takes_a_broken_download_up_again(
    held: tuple[Front, Family, tuple[Member, ...]], tmp_path: Path
) -> None:
    front, family, members = held
    url = f"{front.base}/models/{members[-1].size}?family={family.id}"
    whole = httpx.get(url, trust_env=False).content
    (tmp_path / "model.tar").write_bytes(whole[:30_000])
    subprocess.run(
        ["curl", "-sS", "--noproxy", "*", "-C", "-", "-o", "model.tar", url],
        cwd=tmp_path, check=True, timeout=30,
    )  # fmt: skip
    assert (tmp_path / "model.tar").read_bytes() == whole
    # As the page says it: the file is named after the model.
    command = ["curl", "-sS", "--noproxy", "*", "-LOJ", url]
    subprocess.run(command, cwd=tmp_path, check=True, timeout=30)
    assert (tmp_path / f"teacher-{members[-1].size}.tar").read_bytes() == whole


def test_budgets_lead_to_sizes(held: tuple[Front, Family, tuple[Member, ...]]) -> None:
    front, family, members = held
    small, large = members[0], members[-1]
    answer = front.client.get(f"/models/{large.parameters - 1}?family={family.id}&a=b%26c")
    assert answer.status_code == 307
    target = httpx.URL(answer.headers["location"])
    assert target.path == f"/models/{members[-2].size}"
    assert dict(target.params) == {"family": family.id, "a": "b&c"}
    one = front.client.get("/models/1T/config.json")
    assert one.status_code == 307
    assert httpx.URL(one.headers["location"]).path == f"/models/{large.size}/config.json"
    got = front.client.get("/models/1T/config.json", follow_redirects=True).json()
    assert got["num_hidden_layers"] == 8
    # An exact name is matched before it is read as a budget, in any case.
    assert front.client.head(f"/models/{small.size.lower()}").status_code == 200
    memory = front.client.get("/models/1TB:float32")
    assert httpx.URL(memory.headers["location"]).path == f"/models/{large.size}"
    record = front.client.get("/models/1T", headers={"Accept": "application/json"})
    assert (record.status_code, record.headers["vary"]) == (307, "Accept")


def test_records_and_the_list(held: tuple[Front, Family, tuple[Member, ...]]) -> None:
    front, family, members = held
    listed = front.client.get("/models").json()["models"]
    assert [model["size"] for model in listed] == [member.size for member in members]
    for one in listed:
        answer = front.client.get(one["url"], headers={"Accept": "application/json"})
        assert answer.json() == one
        assert answer.headers["vary"] == "Accept"
        assert one["hub_id"] == f"boomerang/teacher-{one['size']}"
    same = front.client.get("/models", params={"family": family.id}).json()["models"]
    assert same == listed
    paged, at = [], "/models?limit=1"
    while at is not None:
        page = front.client.get(at).json()
        paged += page["models"]
        at = page["next"]
    assert paged == listed
    assert front.client.get(f"/models?limit=100&family={family.id}").json()["models"] == listed
    for bad in ("limit=0", "limit=1001", "after=x", "limit=1&family=unknown"):
        assert front.client.get(f"/models?{bad}").status_code in (400, 404, 422)


def test_two_families_with_a_size_are_choices(front: Front) -> None:
    first = front.ready()
    second = front.ready(order="first")
    size = sizes(front, first)[-1]
    for path in (f"/models/{size}", f"/models/{size}/config.json", "/models/1T"):
        answer = front.client.get(path, headers={"Accept": "application/json"})
        assert answer.status_code == 300
        assert answer.headers["vary"] == "Accept"
        choices = answer.json()["choices"]
        assert {choice["family"] for choice in choices} == {first.id, second.id}
        # Both have the teacher itself, each under its own name.
        assert len({choice["hub_id"] for choice in choices}) == 2
        for choice in choices:
            assert front.client.head(choice["url"]).status_code == 200
        # Who asks for the file must not take a list for it.
        body = problem(front.client.get(path), 409, "ambiguous")
        assert first.id in body["fix"]
        assert second.id in body["fix"]


def test_curl_saves_no_answer_as_a_model(front: Front, tmp_path: Path) -> None:
    size = sizes(front, front.ready())[-1]
    front.ready(order="first")
    here = tmp_path / "here"
    here.mkdir()
    for url in (f"{front.base}/models/{size}", f"{front.base}/models/1.2Q"):
        command = ["curl", "-fsSLOJ", "--noproxy", "*", url]
        assert subprocess.run(command, cwd=here, check=False).returncode == 22
        assert list(here.iterdir()) == []


def test_before_the_student_is_there(front: Front) -> None:
    made = front.queued()
    url = made["members"][0]["url"]
    answer = front.client.get(url)
    body = problem(answer, 409, "not-ready")
    assert body["value"] == "queued"
    assert answer.headers["retry-after"] == "5"
    assert front.client.head(url).status_code == 409
    assert front.client.get(url, headers={"Accept": "application/json"}).status_code == 200
    assert front.client.get(url, headers={"Accept": "text/html"}).status_code == 200


def test_a_source_that_changed_is_never_served(front: Front) -> None:
    family = front.ready()
    url = f"/models/{sizes(front, family)[1]}"
    before = front.client.get(url)
    weights = front.models / "teacher" / "model.safetensors"
    original = weights.read_bytes()
    # The same bytes at another time are the same file.
    os.utime(weights, (1, 1))
    same = front.client.get(url)
    assert (same.status_code, same.headers["etag"]) == (200, before.headers["etag"])
    weights.write_bytes(original[:-4] + b"\0\0\0\0")
    for _ in range(2):
        gone = problem(front.client.get(url), 410, "source-changed")
        assert gone["value"] == "teacher"
    assert front.client.head(url).status_code == 410
    # Nor by a front end that never saw the file as it was.
    front.stop()
    front.start()
    problem(front.client.get(url), 410, "source-changed")
    weights.write_bytes(original)
    assert front.client.get(url).content == before.content
    student = front.models / "student" / "model.safetensors"
    student.write_bytes(student.read_bytes()[:-4] + b"\0\0\0\0")
    problem(front.client.get(url), 410, "source-changed")
    (front.models / "teacher").rename(front.models / "away")
    body = problem(front.client.get(url), 410, "source-changed")
    assert str(front.models) not in json.dumps(body)


def test_a_student_made_again_is_another_etag(front: Front) -> None:
    made = front.queued()
    student = front.catalog.student(made["student"]["key"])
    folder = front.settings.student_folder(student.key)
    folder.mkdir(parents=True)
    kept = set(student.kept)
    weights = model("llama-tied", 5, num_hidden_layers=len(kept))
    save_student(weights, folder, student.kept, 8)
    record = folder / "boomerang.json"
    record.write_text(json.dumps({"seconds": 1.0}))
    front.catalog.set_student_state(student.key, StudentState.READY)
    size = sizes(front, front.settle(made["id"]))[0]
    url = f"/models/{size}?family={made['id']}"
    first = front.client.head(url).headers["etag"]
    assert front.client.head(url).headers["etag"] == first
    save_student(model("llama-tied", 6, num_hidden_layers=len(kept)), folder, student.kept, 8)
    record.write_text(json.dumps({"seconds": 2.0}))
    assert front.client.head(url).headers["etag"] != first


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory, originals: Duo) -> Iterator[Front]:
    front = Front(tmp_path_factory.mktemp("large"), originals)
    llama(front.models / "large", 3, 2048)
    llama(front.models / "small", 2, 2048)
    kept = {"copied_teacher_layers": [0, 2]}
    (front.models / "small" / "student_config.json").write_text(json.dumps(kept))
    front.start()
    front.ready(teacher="large", student="small")
    yield front
    front.close()


def first_byte(front: Front, url: str) -> float:
    started = time.perf_counter()
    with front.client.stream("GET", url) as answer:
        assert answer.status_code == 200
        next(answer.iter_raw())
        return time.perf_counter() - started


def peak(front: Front) -> int:
    """The most memory that the front end has had, in MB."""
    assert front.process is not None
    status = Path(f"/proc/{front.process.pid}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) // 1024


def test_a_size_never_built_arrives_at_once_and_takes_no_memory(
    large: Front, capsys: pytest.CaptureFixture[str]
) -> None:
    family = large.catalog.families()[0]
    small, whole = large.catalog.members(family.id)
    large.client.get("/models")
    cold = first_byte(large, f"/models/{small.size}")
    warm = min(first_byte(large, f"/models/{whole.size}") for _ in range(3))
    before = peak(large)
    with large.client.stream("GET", f"/models/{whole.size}") as answer:
        digest, total = hashlib.sha256(), 0
        for chunk in answer.iter_raw():
            total += len(chunk)
            digest.update(chunk[:64])
    assert total == int(answer.headers["content-length"]) > 400_000_000
    after = peak(large)
    with capsys.disabled():
        print(f"\nfirst byte {cold * 1000:.0f} ms cold, {warm * 1000:.0f} ms warm; "
              f"memory {before} MB, {after} MB after {total / 1e6:.0f} MB")  # fmt: skip
    assert cold < 0.5
    assert warm < 0.5
    assert after - before < 40


def test_a_source_that_changes_on_the_way_breaks_the_connection(large: Front) -> None:
    family = large.catalog.families()[0]
    url = f"/models/{large.catalog.members(family.id)[-1].size}"
    got = 0
    with large.client.stream("GET", url) as answer:
        chunks = answer.iter_raw()
        got += len(next(chunks))
        with (large.models / "large" / "model.safetensors").open("r+b") as file:
            file.seek(-1, os.SEEK_END)
            file.write(b"x")
        with pytest.raises(httpx.RemoteProtocolError):
            got += sum(len(chunk) for chunk in chunks)
    assert got < int(answer.headers["content-length"])
    # Whether its content is another is known when it is hashed, which nobody waits for.
    problem(large.client.get(url), 409, "hashing")
    context = Context(large.settings, large.catalog, Outbox())
    assert rehash(context, family.student) == "hashed"
    problem(large.client.get(url), 410, "source-changed")


def test_many_at_once(make_front: Callable[..., Front]) -> None:
    front = make_front()
    family = front.ready()
    urls = [f"{front.base}/models/{size}" for size in sizes(front, family)] * 8

    def get(url: str) -> tuple[str, str]:
        content = httpx.get(url, trust_env=False, timeout=30).content
        return url, hashlib.sha256(content).hexdigest()

    with ThreadPoolExecutor(16) as pool:
        found = set(pool.map(get, urls))
    assert len(found) == len(set(urls))

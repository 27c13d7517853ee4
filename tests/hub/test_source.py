"""Weights that stay on the Hub: read by range, ahead of time, and never wrong."""

import hashlib
import json
import logging
import re
import socket
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest
from httpx2 import TransportError

import boomerang
from boomerang.assembly import prefetch as read_ahead
from boomerang.assembly.bytefile import ByteFile, Cast, Literal, Range, tar
from boomerang.assembly.stitch import member_files
from boomerang.assembly.stream import Reader
from boomerang.checkpoint.table import Checkpoint
from boomerang.errors import BoomerangError, GatedTeacher, HubFailure, SourceChanged
from boomerang.family.composition import last_to_first
from boomerang.family.ladder import Ladder
from boomerang.family.pair import Pair
from boomerang.hub import client as hub_client
from boomerang.hub import hurry as hub_hurry
from boomerang.hub import remote as hub_remote
from boomerang.hub import source as hub_source
from boomerang.hub.remote import open_remote
from boomerang.hub.source import HubSource
from tests.local_hub.faults import Asked, Fault
from tests.local_hub.fixture import LocalHub, hub
from tests.local_hub.repos import OWNER, READER
from tests.support.models import Duo, duo

__all__ = ["hub"]

DATA = b"".join(hashlib.sha256(b"%d" % i).digest() for i in range(20_000))
NAME = "model.safetensors"


@pytest.fixture(autouse=True)
def owner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", OWNER)
    monkeypatch.setattr(hub_client, "FIRST_WAIT", 0.01)
    # So that even the small bodies here are taken from the connection itself.
    monkeypatch.setattr(hub_source, "PARSED", 0)


@pytest.fixture
def source(hub: LocalHub, tmp_path: Path) -> HubSource:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / NAME).write_bytes(DATA)
    hub.add_repo("org/m", tmp_path / "m")
    found = hub_remote.sources(hub_remote.resolve("org/m", endpoint=hub.endpoint))[NAME]
    hub.asked.clear()
    return found


def storage(hub: LocalHub) -> list[Asked]:
    return [asked for asked in hub.asked if asked.path.startswith("/cdn/")]


def spans(hub: LocalHub) -> list[tuple[int, int]]:
    """What was asked of the storage, as [start, stop)."""
    told = [re.fullmatch(r"bytes=(\d+)-(\d+)", a.headers["range"]) for a in storage(hub)]
    return [(int(m[1]), int(m[2]) + 1) for m in told if m]


def test_the_hub_is_asked_once(hub: LocalHub, source: HubSource) -> None:
    for at in range(0, 50_000, 10_000):
        assert source.read(at, at + 10_000) == DATA[at : at + 10_000]
    assert len(hub.lines("/resolve/")) == 1
    assert len(storage(hub)) == 5
    assert all("authorization" not in asked.headers for asked in storage(hub))
    assert source.read(7, 7) == b""
    with pytest.raises(ValueError, match="no range"):
        source.read(0, len(DATA) + 1)


def test_many_threads_ask_the_hub_once(hub: LocalHub, source: HubSource) -> None:
    hub.layer.latency = 0.05
    threads = [threading.Thread(target=source.read, args=(i, i + 1)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(hub.lines("/resolve/")) == 1


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_an_address_that_expired_is_asked_for_again(
    hub: LocalHub, source: HubSource, status: int
) -> None:
    assert source.read(1, 3) == DATA[1:3]
    hub.fail("/cdn/", status)
    assert source.read(5, 9_000) == DATA[5:9_000]
    assert len(hub.lines("/resolve/")) == 2


def test_a_storage_that_refuses_is_not_told_about(
    hub: LocalHub, source: HubSource, caplog: pytest.LogCaptureFixture
) -> None:
    hub.fail("/cdn/", 403, times=99)
    with caplog.at_level(logging.INFO), pytest.raises(HubFailure, match="403") as caught:
        source.read(1, 3)
    error: BaseException | None = caught.value
    while error is not None:
        assert "?t=" not in str(error)
        assert OWNER not in str(error)
        error = error.__cause__ or error.__context__
    assert "/cdn/" in caplog.text, "the HTTP library logs addresses"
    assert "?t=" not in caplog.text, "but not what signs them"
    assert OWNER not in caplog.text
    assert "cdn" not in repr(source)


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_kept_to(hub: LocalHub, source: HubSource, status: int) -> None:
    hub.faults.append(Fault("/cdn/", status, 2, {"retry-after": "7"}))
    slept: list[float] = []
    assert b"".join(source.stream(3, 99, sleep=slept.append)) == DATA[3:99]
    assert slept == [7.0, 7.0]


def test_a_storage_that_stays_busy(hub: LocalHub, source: HubSource) -> None:
    hub.fail("/cdn/", 503, times=99)
    with pytest.raises(HubFailure, match="503"):
        source.read(1, 3)
    assert len(storage(hub)) == hub_client.ATTEMPTS


def test_what_arrives_restores_patience(hub: LocalHub, source: HubSource) -> None:
    hub.fail("GET /cdn/", times=hub_client.ATTEMPTS + 2)
    assert source.read(0, len(DATA) - 1) == DATA[:-1]
    starts = [start for start, _ in spans(hub)]
    assert starts == sorted(set(starts)), "what arrived is not asked for again"


@pytest.mark.parametrize("parsed", [0, 1 << 40])
def test_a_body_that_breaks_is_gone_on_with(
    hub: LocalHub, source: HubSource, monkeypatch: pytest.MonkeyPatch, parsed: int
) -> None:
    monkeypatch.setattr(hub_source, "PARSED", parsed)
    hub.faults.append(Fault("/cdn/", times=3))
    slept: list[float] = []
    assert b"".join(source.stream(7, len(DATA), sleep=slept.append)) == DATA[7:]
    assert len(slept) == 3
    found = spans(hub)
    assert found[0] == (7, len(DATA))
    assert [start for start, _ in found] == sorted({start for start, _ in found})


def test_a_connection_that_falls_silent_is_given_up(
    source: HubSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A server that sends half of the body, and then nothing, once; then it is as it should be.
    monkeypatch.setattr(hub_hurry, "TIMEOUT", 0.2)
    monkeypatch.setattr(hub_client, "ATTEMPTS", 3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        told = b"HTTP/1.1 200 OK\r\nContent-Length: 600000\r\n\r\n" + bytes(300_000)

        def speak() -> None:
            connection, _ = server.accept()
            connection.recv(1 << 16)
            connection.sendall(told)
            connection.recv(1)
            connection.close()

        speaking = threading.Thread(target=speak)
        speaking.start()
        client, got = hub_client.session(), []
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        asked = client.send(client.build_request("GET", url), stream=True)
        with closing(asked) as answer, pytest.raises(TransportError):
            got += map(len, hub_source.body(answer))
        assert sum(got) == 300_000
        speaking.join()


def test_a_short_answer_is_gone_on_with(hub: LocalHub, source: HubSource) -> None:
    hub.answer_otherwise("/cdn/", asking={"range": "bytes=10-99"})
    assert source.read(10, 5_000) == DATA[10:5_000]
    assert spans(hub) == [(10, 5_000), (100, 5_000)]


@pytest.mark.parametrize(
    ("asking", "headers", "kind"),
    [
        ({"range": None}, {}, HubFailure),
        ({"range": "bytes=5-50"}, {}, HubFailure),
        ({"range": "bytes=10-5000"}, {}, HubFailure),
        ({}, {"content_range": "bytes 10-98/12345"}, SourceChanged),
        ({}, {"content_range": "nonsense"}, HubFailure),
        ({}, {"etag": '"other"'}, SourceChanged),
    ],
)
def test_what_the_storage_must_not_answer(
    hub: LocalHub, source: HubSource, asking: dict[str, str | None], headers: dict[str, str],
    kind: type[BoomerangError],
) -> None:  # fmt: skip
    source.read(0, 1)
    hub.answer_otherwise("/cdn/", asking=asking, **headers)
    with pytest.raises(kind):
        source.read(10, 99)


@pytest.mark.parametrize(
    "headers",
    [{"x_repo_commit": "b" * 40}, {"x_linked_etag": f'"{"0" * 64}"'}, {"x_linked_size": "5"}],
)
def test_another_file_at_the_same_address(
    hub: LocalHub, source: HubSource, headers: dict[str, str]
) -> None:
    hub.answer_otherwise("/resolve/", **headers)
    with pytest.raises(SourceChanged):
        source.read(10, 99)
    assert not storage(hub)


def test_a_file_that_became_shorter(hub: LocalHub, source: HubSource) -> None:
    hub.store.path(source.sha256 or "").write_bytes(DATA[:50])
    with pytest.raises(SourceChanged):
        source.read(100, 200)


@pytest.mark.parametrize("how", ["repo", "revision", "file", "410"])
def test_what_is_gone_has_changed(hub: LocalHub, source: HubSource, how: str) -> None:
    repo = hub.store.repos["org/m"]
    if how == "repo":
        del hub.store.repos["org/m"]
    elif how == "revision":
        del repo.commits[source.commit]
    elif how == "file":
        del repo.commits[source.commit].files[NAME]
    else:
        hub.fail("/resolve/", 410)
    with pytest.raises(SourceChanged) as caught:
        source.read(0, 5)
    assert NAME in str(caught.value)


def test_access_that_was_taken_away(
    hub: LocalHub, source: HubSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.store.repos["org/m"].gated = True
    monkeypatch.setenv("HF_TOKEN", READER)
    with pytest.raises(GatedTeacher):
        source.read(0, 5)
    hub.store.repos["org/m"].private = True
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(SourceChanged) as caught:
        source.read(0, 5)
    assert "HF_TOKEN" in caught.value.fix


def test_a_renamed_repository_keeps_its_token(hub: LocalHub, source: HubSource) -> None:
    hub.store.repos["org/new"] = hub.store.repos.pop("org/m")
    hub.store.repos["org/new"].private = True
    new = f"/org/new/resolve/{source.commit}/{NAME}"
    hub.faults.append(Fault("/org/m/resolve/", 307, 1, {"location": new}))
    assert source.read(0, 5) == DATA[:5]


def test_a_circle_ends(hub: LocalHub, source: HubSource) -> None:
    here = f"/org/m/resolve/{source.commit}/{NAME}"
    hub.faults.append(Fault("/resolve/", 302, 99, {"location": here}))
    with pytest.raises(HubFailure, match="circle"):
        source.read(0, 5)
    hub.faults[:] = [Fault("/resolve/", 302, 9, {"location": "ftp://elsewhere/x"})]
    with pytest.raises(HubFailure, match="scheme"):
        source.read(0, 5)


# Ahead of time


class Slow:
    """A source elsewhere, of zeros, that counts what it gave."""

    name, size = "slow", 1 << 40

    def __init__(self) -> None:
        self.given = 0
        self.open: list[tuple[int, int]] = []
        self.fails = False

    def read(self, start: int, stop: int) -> bytes:
        return b"".join(self.stream(start, stop))

    def stream(
        self, start: int, stop: int, *, sleep: read_ahead.Sleep = time.sleep
    ) -> read_ahead.Bytes:
        self.open.append((start, stop))
        try:
            while start < stop:
                if self.fails:
                    raise HubFailure("down")
                length = min(65_536, stop - start)
                self.given += length
                start += length
                yield bytes(length)
        finally:
            self.open.remove((start if start == stop else self.open[-1][0], stop))


def busy() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("read-ahead")]


def until(what: object) -> None:
    ends = time.monotonic() + 10
    while not what():  # type: ignore[operator]
        assert time.monotonic() < ends
        time.sleep(0.005)


def test_little_is_under_way_and_leaving_ends_it() -> None:
    far = Slow()
    chunks = ByteFile([Literal(b"head"), Range(far, 5, 1 << 39)]).chunks()
    assert next(chunks) == b"head"
    assert far.given == 0, "nothing is fetched before it is wanted"
    assert next(chunks) == bytes(read_ahead.BLOCK)
    most = read_ahead.DEPTH * read_ahead.BLOCK + 65_536
    until(lambda: far.given > 2 * read_ahead.BLOCK)
    time.sleep(0.05)
    assert far.given <= most
    chunks.close()  # type: ignore[attr-defined]
    until(lambda: not busy())
    assert far.given <= most


def test_a_reader_that_is_closed_or_forgotten_leaves() -> None:
    for _ in range(2):
        reader = Reader.of(ByteFile([Range(Slow(), 0, 1 << 39)]))
        assert reader.wait() == bytes(read_ahead.BLOCK)
        reader.close()
        until(lambda: not busy())
    forgotten = ByteFile([Range(Slow(), 0, 1 << 39)]).chunks()
    next(forgotten)
    del forgotten
    until(lambda: not busy())


def test_errors_arrive_in_their_place() -> None:
    far = Slow()
    chunks = ByteFile([Range(far, 0, 1 << 39)]).chunks()
    next(chunks)
    far.fails = True
    with pytest.raises(HubFailure):
        for _ in chunks:
            pass
    until(lambda: not busy())


def test_runs_casts_and_local_bytes_keep_their_order(
    hub: LocalHub, source: HubSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_ahead, "BLOCK", 4_096)
    near = ByteFile.whole(our_file(tmp_path / "m" / NAME)).pieces[0]
    assert isinstance(near, Range)

    def pieces(of: Range) -> list[Literal | Range | Cast]:
        found: list[Literal | Range | Cast] = []
        for i in range(40):
            found += [Literal(b"%d" % i), Range(of.source, i * 7_000, i * 7_000 + 9_999),
                      Cast(of.source, 64 * i + 1, 64 * i + 30_001, "F32", "BF16"),
                      Range(near.source, i, i + 50)]  # fmt: skip
        return found

    there, here = (ByteFile(pieces(of)) for of in (Range(source, 0, 1), near))
    whole = here.read()
    assert there.read() == whole
    assert there.read(12_345, 200_001) == whole[12_345:200_001]
    there.write(tmp_path / "written")
    assert (tmp_path / "written").read_bytes() == whole
    reader, got = Reader.of(there, 3), b""
    while block := reader.wait():
        got += block
    reader.close()
    assert got == whole[3:]


def our_file(path: Path) -> "Checkpoint | object":
    from boomerang.checkpoint.sources import FileSource

    return FileSource.of(path)


# Members


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Duo:
    folder = tmp_path_factory.mktemp("duo")
    made = duo(folder, "llama", hidden_size=32, intermediate_size=64)
    made.teacher.save_pretrained(folder / "sharded", max_shard_size="60KB")
    assert len(list((folder / "sharded").glob("*.safetensors"))) > 3
    return made


@pytest.fixture
def remote(hub: LocalHub, made: Duo, monkeypatch: pytest.MonkeyPatch) -> Duo:
    """The teacher is on the Hub, sharded; headers are as long as they are."""
    hub.add_repo("org/teacher", made.teacher_folder.with_name("sharded"))
    hub.add_repo("org/student", made.student_folder)
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    monkeypatch.setattr(hub_source, "HEAD_BYTES", 4_000)
    return made


def test_every_member_equals_the_local_one_and_takes_what_it_needs(
    hub: LocalHub, remote: Duo
) -> None:
    student = Checkpoint.open(remote.student_folder)
    near = Pair.of(Checkpoint.open(remote.teacher_folder.with_name("sharded")), student)
    far = Pair.of(open_remote("org/teacher"), student)
    assert len(Ladder.of(near, last_to_first(near.layermap)).members) > 2
    for member in Ladder.of(near, last_to_first(near.layermap)).members:
        here, there = (member_files(pair, member.composition) for pair in (near, far))
        hub.asked.clear()
        for name, file in there.items():
            assert file.sha256() == here[name].sha256()
        wanted = sorted(
            (piece.start, piece.stop, piece.source.name)
            for file in there.values() for piece in file.pieces
            if isinstance(piece, Range) and isinstance(piece.source, HubSource)
            and piece.source.name.endswith(".safetensors")
        )  # fmt: skip
        assert sorted(spans(hub)) == sorted((start, stop) for start, stop, _ in wanted)


def test_near_the_end_nothing_before_is_fetched(hub: LocalHub, remote: Duo) -> None:
    student = Checkpoint.open(remote.student_folder)
    pair = Pair.of(open_remote("org/teacher"), student)
    whole = Ladder.of(pair, last_to_first(pair.layermap)).members[-1]
    file = tar(member_files(pair, whole.composition), "m")
    hub.asked.clear()
    got = file.read(file.size - 20_000, file.size)
    fetched = sum(stop - start for start, stop in spans(hub))
    assert len(got) == 20_000
    assert 0 < fetched <= 20_000


def test_a_plan_reads_headers_only(hub: LocalHub, remote: Duo) -> None:
    folder = remote.teacher_folder.with_name("sharded")
    shards = list(folder.glob("*.safetensors"))
    plan = boomerang.plan("org/teacher")
    assert plan.members == boomerang.plan(folder).members
    commit = plan.pair.teacher.checkpoint.commit
    for shard in shards:
        assert len(hub.lines(f"resolve/{commit}/{shard.name}")) == 1
    assert len(storage(hub)) == len(shards)
    assert sum(stop - start for start, stop in spans(hub)) <= 4_000 * len(shards)
    small = sum((folder / n).stat().st_size for n in ("config.json", f"{NAME}.index.json"))
    assert hub.layer.sent < small + 4_000 * len(shards) + 10_000


def test_a_header_longer_than_the_first_range(
    hub: LocalHub, remote: Duo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_source, "HEAD_BYTES", 100)
    near = Checkpoint.open(remote.teacher_folder.with_name("sharded"))
    far = open_remote("org/teacher")
    assert [(t.name, t.start, t.stop) for t in far.tensors.values()] == [
        (t.name, t.start, t.stop) for t in near.tensors.values()
    ]
    shards = {tensor.source.name for tensor in near.tensors.values()}
    assert len(storage(hub)) == 2 * len(shards)
    # What was remembered for the headers is forgotten after them.
    source = next(iter(far.tensors.values())).source
    before = len(storage(hub))
    source.read(0, 8)
    assert len(storage(hub)) == before + 1


def test_headers_of_many_shards_are_read_at_once(
    hub: LocalHub, remote: Duo, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    real = HubSource.keep_head
    running: list[str] = []

    def watched(source: HubSource) -> None:
        running.append(source.path)
        seen.append(len(running))
        time.sleep(0.02)
        real(source)
        running.remove(source.path)

    monkeypatch.setattr(HubSource, "keep_head", watched)
    told: list[tuple[int, int]] = []
    hub_remote.checkpoint(hub_remote.resolve("org/teacher"), progress=lambda *at: told.append(at))
    assert 1 < max(seen) <= hub_remote.AT_ONCE
    assert told[-1][0] == told[-1][1] == len(told) == len(seen)


def test_assemble_from_the_hub(hub: LocalHub, remote: Duo, tmp_path: Path) -> None:
    teacher = str(remote.teacher_folder.with_name("sharded"))
    student = str(remote.student_folder)
    boomerang.assemble((teacher, student), None, tmp_path / "near", patch=1)
    for name, of in (("far", student), ("both", "org/student")):
        boomerang.assemble(("org/teacher", of), None, tmp_path / name, patch=1)
        for path in (tmp_path / "near").iterdir():
            if path.name == "boomerang.json":
                record = json.loads((tmp_path / name / path.name).read_text())
                assert record["teacher"]["repo"] == "org/teacher"
            else:
                assert (tmp_path / name / path.name).read_bytes() == path.read_bytes()
    weights = sum(p.stat().st_size for p in Path(teacher).glob("*.safetensors"))
    assert sum(b - a for a, b in spans(hub) if b - a > 4_000) < 2 * weights
    del hub.store.repos["org/teacher"]
    with pytest.raises(BoomerangError):
        boomerang.assemble(("org/teacher", student), None, tmp_path / "gone", patch=1)
    assert not (tmp_path / "gone").exists()


def test_a_teacher_that_goes_away_leaves_no_file(
    hub: LocalHub, remote: Duo, tmp_path: Path
) -> None:
    pair = Pair.of(open_remote("org/teacher"), Checkpoint.open(remote.student_folder))
    member = Ladder.of(pair, last_to_first(pair.layermap)).members[-1]
    file = next(f for n, f in member_files(pair, member.composition).items() if n == NAME)
    hub.fail("GET", 403, times=999)
    with pytest.raises(HubFailure):
        file.write(tmp_path / "model.safetensors")
    assert not list(tmp_path.glob("*model.safetensors*"))
    until(lambda: not busy())


def test_closing_twice_is_no_error() -> None:
    with closing(read_ahead.read_ahead([(Range(Slow(), 0, 10), 0, 10)])) as parts:
        next(parts)
        parts.close()

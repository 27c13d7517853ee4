"""boomerang.hub.remote against the test Hub: the real client, on a real socket."""

import errno
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import save_file

from boomerang.assembly.bytefile import ByteFile
from boomerang.checkpoint.files import travels
from boomerang.checkpoint.header import read_json
from boomerang.checkpoint.sources import FileSource
from boomerang.checkpoint.table import Checkpoint
from boomerang.errors import (
    BadName,
    BoomerangError,
    GatedTeacher,
    HubFailure,
    NoSafetensors,
    SourceChanged,
    TeacherNotFound,
)
from boomerang.hub import client as hub_client
from boomerang.hub import fetch
from boomerang.hub import remote as hub_remote
from boomerang.hub.publish import Published
from boomerang.hub.publish import publish as push
from tests.local_hub.fixture import LocalHub, hub, run_client
from tests.local_hub.repos import OWNER, READER

__all__ = ["hub"]

CARD = (
    "---\nlicense: other\nlicense_name: terms\nlicense_link: LICENSE\nlanguage: en\n"
    "base_model: [org/base]\n---\n# Teacher\n"
)


def publish(repo: str, files: Mapping[str, ByteFile | bytes | Path], **options: Any) -> Published:
    def content(given: ByteFile | bytes | Path) -> ByteFile:
        if isinstance(given, Path):
            return ByteFile.whole(FileSource.of(given))
        return ByteFile.literal(given) if isinstance(given, bytes) else given

    return push(repo, {name: content(given) for name, given in files.items()}, **options)


@pytest.fixture(autouse=True)
def owner(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", OWNER)
    monkeypatch.setattr(hub_client, "FIRST_WAIT", 0.01)


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    import numpy

    folder = tmp_path / "teacher"
    folder.mkdir()
    weights = {
        name: numpy.arange(size, dtype=numpy.float32) for name, size in (("a", 60_000), ("b", 9))
    }
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text('{"model_type": "llama"}')
    (folder / "tokenizer.json").write_text("{}")
    (folder / "README.md").write_text(CARD)
    (folder / "LICENSE").write_text("terms")
    (folder / "modeling_evil.py").write_text("raise SystemExit")
    (folder / "pytorch_model.bin").write_bytes(b"pickle")
    (folder / "original").mkdir()
    (folder / "original" / "model.safetensors").write_bytes(b"other")
    return folder


TRAVELLED = {"LICENSE", "config.json", "model.safetensors", "tokenizer.json"}


def test_importing_it_loads_no_client() -> None:
    loaded = "{'huggingface_hub', 'httpx2', 'torch'} & {*sys.modules}"
    code = f"import boomerang.hub.remote, sys; print({loaded})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_resolve(hub: LocalHub, teacher: Path) -> None:
    commit = hub.add_repo("org/teacher", teacher)
    found = hub_remote.resolve("org/teacher", endpoint=hub.endpoint)
    assert (found.repo_id, found.commit) == ("org/teacher", commit)
    assert (found.private, found.gated) == (False, False)
    about = found.about
    assert (about.license, about.license_name, about.license_link) == ("other", "terms", "LICENSE")
    assert (about.language, about.base_model) == (("en",), ("org/base",))
    assert found.files["model.safetensors"] == (teacher / "model.safetensors").stat().st_size
    assert set(found.travelling) == TRAVELLED
    assert hub_remote.resolve("org/teacher", commit, endpoint=hub.endpoint) == found
    assert hub_remote.resolve("org/teacher", "main", endpoint=hub.endpoint) == found
    assert read_json(hub_remote.sources(found)["config.json"]) == {"model_type": "llama"}


def test_a_revision_is_pinned(hub: LocalHub, teacher: Path) -> None:
    first = hub.add_repo("org/teacher", teacher)
    repo = hub.store.repos["org/teacher"]
    changed = dict(repo.at("main").files) | {"config.json": hub.store.blob(b'{"later": 1}')}
    repo.commit("main", "change", changed)
    repo.branches["refs/pr/1"] = first
    old = hub_remote.resolve("org/teacher", "refs/pr/1", endpoint=hub.endpoint)
    assert old.commit == first
    assert read_json(hub_remote.sources(old)["config.json"]) == {"model_type": "llama"}
    now = hub_remote.resolve("org/teacher", endpoint=hub.endpoint)
    assert read_json(hub_remote.sources(now)["config.json"]) == {"later": 1}


def test_of_two_sets_of_weights_one_travels(hub: LocalHub, teacher: Path) -> None:
    for name in ("model-00001-of-00001.safetensors", "model.safetensors.index.json"):
        (teacher / name).write_bytes(b"{}")
    (teacher / "consolidated.safetensors").write_bytes(b"{}")
    hub.add_repo("org/teacher", teacher)
    assert set(hub_remote.resolve("org/teacher", endpoint=hub.endpoint).travelling) == TRAVELLED


@pytest.mark.parametrize(
    "name", ["..", "org/..", "../etc/passwd", "org/na me", "a/b/c", "", "org/a..b", "/abs", "a/b\n"]
)
def test_what_is_no_name(hub: LocalHub, name: str) -> None:
    with pytest.raises(BadName) as caught:
        hub_remote.resolve(name, endpoint=hub.endpoint)
    assert caught.value.value == name
    assert not hub.asked


@pytest.mark.parametrize("revision", ["../main", "a/../b", "-x", "", "a b"])
def test_what_is_no_revision(hub: LocalHub, revision: str) -> None:
    with pytest.raises(BadName):
        hub_remote.resolve("org/teacher", revision, endpoint=hub.endpoint)
    assert not hub.asked


def test_missing(hub: LocalHub, teacher: Path) -> None:
    hub.add_repo("org/teacher", teacher)
    with pytest.raises(TeacherNotFound) as caught:
        hub_remote.resolve("org/nothing", endpoint=hub.endpoint)
    assert caught.value.value == "org/nothing"
    with pytest.raises(TeacherNotFound) as caught:
        hub_remote.resolve("org/teacher", "v9", endpoint=hub.endpoint)
    assert caught.value.value == "v9"
    assert len(hub.asked) == 2, "a 404 is not asked again"


def test_private(hub: LocalHub, teacher: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add_repo("org/secret", teacher, private=True)
    assert hub_remote.resolve("org/secret", endpoint=hub.endpoint).private
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(TeacherNotFound):
        hub_remote.resolve("org/secret", endpoint=hub.endpoint)


@pytest.mark.parametrize("token", [None, READER])
def test_gated(
    hub: LocalHub, teacher: Path, monkeypatch: pytest.MonkeyPatch, token: str | None
) -> None:
    hub.add_repo("org/gated", teacher, gated=True)
    assert hub_remote.resolve("org/gated", endpoint=hub.endpoint).gated
    if token is None:
        monkeypatch.delenv("HF_TOKEN")
    else:
        monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(GatedTeacher) as caught:
        hub_remote.resolve("org/gated", endpoint=hub.endpoint)
    assert caught.value.value == "org/gated"


def test_a_bad_token_is_no_missing_model(
    hub: LocalHub, teacher: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add_repo("org/teacher", teacher)
    monkeypatch.setenv("HF_TOKEN", "hf_wrong_secret")
    with pytest.raises(HubFailure) as caught:
        hub_remote.resolve("org/teacher", endpoint=hub.endpoint)
    assert "401" in str(caught.value)
    assert "hf_wrong_secret" not in str(caught.value)


@pytest.mark.parametrize("weights", ["pytorch_model.bin", "consolidated.00.pth", "q4.gguf", None])
def test_other_weights_only(hub: LocalHub, tmp_path: Path, weights: str | None) -> None:
    folder = tmp_path / "other"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    if weights:
        (folder / weights).write_bytes(b"x")
    hub.add_repo("org/other", folder)
    with pytest.raises(NoSafetensors) as caught:
        hub_remote.resolve("org/other", endpoint=hub.endpoint)
    assert weights is None or weights in str(caught.value)


def test_headers_by_range(hub: LocalHub, teacher: Path) -> None:
    commit = hub.add_repo("org/teacher", teacher)
    remote = hub_remote.open_remote("org/teacher", commit, endpoint=hub.endpoint)
    local = Checkpoint.open(teacher)
    assert remote.config == local.config
    assert {n: (t.dtype, t.shape, t.start, t.stop) for n, t in remote.tensors.items()} == {
        n: (t.dtype, t.shape, t.start, t.stop) for n, t in local.tensors.items()
    }
    ranges = [a.headers.get("range") for a in hub.asked if a.path.startswith("/cdn/")]
    assert len(ranges) == 1
    assert all(ranges), "the header is read by range, never the whole file"
    tensor = remote.tensors["b"]
    data = (teacher / "model.safetensors").read_bytes()
    assert tensor.source.read(tensor.start, tensor.stop) == data[tensor.start : tensor.stop]
    # The storage is another host: the token stays with the Hub.
    assert all("authorization" not in a.headers for a in hub.asked if "/cdn/" in a.path)
    assert any("authorization" in a.headers for a in hub.asked if "/resolve/" in a.path)


def test_a_broken_connection_is_taken_up_again(hub: LocalHub, teacher: Path) -> None:
    hub.add_repo("org/teacher", teacher)
    source = hub_remote.sources(hub_remote.resolve("org/teacher", endpoint=hub.endpoint))[
        "model.safetensors"
    ]
    hub.fail("GET /cdn/", times=2)
    data = (teacher / "model.safetensors").read_bytes()
    assert source.read(100, len(data)) == data[100:]
    starts = [int(a.headers["range"][6:].split("-")[0]) for a in hub.asked if "/cdn/" in a.path]
    assert len(starts) == 3
    assert starts == sorted(set(starts)), "what arrived is not asked for again"


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_hub_is_asked_again(hub: LocalHub, teacher: Path, status: int) -> None:
    hub.add_repo("org/teacher", teacher)
    hub.fail("GET /api/models/", status, times=2)
    hub.fail("/resolve/", status, times=2)
    found = hub_remote.resolve("org/teacher", endpoint=hub.endpoint)
    assert read_json(hub_remote.sources(found)["config.json"]) == {"model_type": "llama"}


def test_a_hub_that_stays_broken(hub: LocalHub, teacher: Path) -> None:
    hub.add_repo("org/teacher", teacher)
    hub.fail("GET /api/models/", 502, times=99)
    with pytest.raises(HubFailure, match="502") as caught:
        hub_remote.resolve("org/teacher", endpoint=hub.endpoint)
    assert len(hub.asked) == hub_client.ATTEMPTS
    assert caught.value.transient


def test_a_hub_that_is_not_there() -> None:
    with pytest.raises(HubFailure) as caught:
        hub_remote.resolve("org/teacher", endpoint="http://127.0.0.1:9")
    assert "org/teacher" in str(caught.value)
    assert caught.value.transient


def test_a_hub_that_refuses_will_refuse_again(hub: LocalHub, teacher: Path) -> None:
    hub.add_repo("org/teacher", teacher)
    hub.fail("GET /api/models/", 403, times=99)
    with pytest.raises(HubFailure, match="403") as caught:
        hub_remote.resolve("org/teacher", endpoint=hub.endpoint)
    assert not caught.value.transient


def test_a_server_that_is_no_hub(hub: LocalHub, teacher: Path) -> None:
    hub.add_repo("org/teacher", teacher)
    hub.fail("GET /api/models/", 200)
    with pytest.raises(HubFailure, match="HF_ENDPOINT"):
        hub_remote.resolve("org/teacher", endpoint=hub.endpoint)


def test_a_server_without_ranges_is_refused(hub: LocalHub, teacher: Path) -> None:
    hub.add_repo("org/teacher", teacher)
    source = hub_remote.sources(hub_remote.resolve("org/teacher", endpoint=hub.endpoint))[
        "model.safetensors"
    ]
    hub.fail("GET /cdn/", 200)
    with pytest.raises(HubFailure, match="ranges"):
        source.read(0, 8)


def test_fetch(hub: LocalHub, teacher: Path, tmp_path: Path) -> None:
    commit = hub.add_repo("org/teacher", teacher)
    seen: list[tuple[int, int]] = []
    target = tmp_path / "got"
    told = lambda done, total: seen.append((done, total))  # noqa: E731
    hub.fail("GET /cdn/", times=1)
    fetch.fetch("org/teacher", commit, target, progress=told, endpoint=hub.endpoint)
    assert {path.name for path in target.iterdir()} == TRAVELLED
    for name in TRAVELLED:
        assert (target / name).read_bytes() == (teacher / name).read_bytes()
    total = sum((teacher / name).stat().st_size for name in TRAVELLED)
    assert seen == sorted(seen)
    assert seen[-1] == (total, total)
    asked = len(hub.asked)
    fetch.fetch("org/teacher", commit, target, endpoint=hub.endpoint)
    assert len(hub.asked) == asked, "a folder that is there is whole"


def test_what_is_fetched_is_on_the_disk_before_it_is_there(
    hub: LocalHub, teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = hub.add_repo("org/teacher", teacher)
    target = tmp_path / "got"
    synced: dict[int, bool] = {}

    def fsync(number: int, real: Callable[[int], None] = os.fsync) -> None:
        synced.setdefault(os.fstat(number).st_ino, target.exists())
        real(number)

    monkeypatch.setattr(os, "fsync", fsync)
    fetch.fetch("org/teacher", commit, target, endpoint=hub.endpoint)
    for path in (*target.rglob("*"), target):
        assert synced[path.stat().st_ino] is False, path
    assert synced[tmp_path.stat().st_ino] is True


def test_a_fetch_goes_on_with_the_files_that_are_not_whole(
    hub: LocalHub, teacher: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = hub.add_repo("org/teacher", teacher)
    target, whole, read = tmp_path / "got", list[str](), list[str]()

    def killed() -> None:
        whole.append("")
        raise KeyboardInterrupt

    def verify(*arguments: Any, real: Callable[..., str] = fetch._verify) -> str:
        read.append(arguments[1])
        return real(*arguments)

    monkeypatch.setattr(fetch, "_verify", verify)
    for _ in TRAVELLED:
        with pytest.raises(KeyboardInterrupt):
            fetch.fetch("org/teacher", commit, target, arrived=killed, endpoint=hub.endpoint)
    fetch.fetch("org/teacher", commit, target, arrived=killed, endpoint=hub.endpoint)
    assert (len(whole), sorted(read)) == (len(TRAVELLED), sorted(TRAVELLED))
    assert {path.name for path in target.iterdir()} == TRAVELLED


def test_a_mark_that_was_half_written_counts_for_nothing(
    hub: LocalHub, teacher: Path, tmp_path: Path
) -> None:
    commit = hub.add_repo("org/teacher", teacher)
    target, told = tmp_path / "got", dict[str, str]()

    def killed() -> None:
        for mark in tmp_path.rglob(".cache/whole/*"):
            mark.write_text("")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch.fetch("org/teacher", commit, target, arrived=killed, endpoint=hub.endpoint)
    fetch.fetch("org/teacher", commit, target, hashed=told.__setitem__, endpoint=hub.endpoint)
    for path in target.iterdir():
        assert told[path.name] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_disk_that_is_full_is_not_said_of_the_hub() -> None:
    for error in (
        OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)),
        RuntimeError("Data processing error: No space left on device (os error 28)"),
    ):
        with pytest.raises(OSError, match=r"space|quota") as caught, hub_client.hub_errors("a/b"):
            raise error
        assert not isinstance(caught.value, BoomerangError)


def test_fetch_refuses_what_was_changed_on_the_way(
    hub: LocalHub, teacher: Path, tmp_path: Path
) -> None:
    commit = hub.add_repo("org/teacher", teacher)
    blob = hub.store.repos["org/teacher"].at(commit).files["model.safetensors"]
    path = hub.store.path(blob.sha256)
    path.write_bytes(b"\0" * blob.size)
    with pytest.raises(HubFailure, match=r"model\.safetensors"):
        fetch.fetch("org/teacher", commit, tmp_path / "got", endpoint=hub.endpoint)
    assert not (tmp_path / "got").exists()
    path.write_bytes((teacher / "model.safetensors").read_bytes())
    fetch.fetch("org/teacher", commit, tmp_path / "got", endpoint=hub.endpoint)
    assert (tmp_path / "got" / "model.safetensors").read_bytes() == path.read_bytes()


def test_what_travels() -> None:
    for name in (
        "config.json", "model.safetensors", "model-00001-of-00190.safetensors", "LICENSE.md",
        "model.safetensors.index.json", "tokenizer.model.v3", "qwen.tiktoken", "Notice.txt",
        "additional_chat_templates/tool_use.jinja", "preprocessor_config.json", "USE_POLICY.md",
    ):  # fmt: skip
        assert travels(name), name
    for name in (
        "modeling.py", "LICENSE.py", "model.bin", "original/model.safetensors", "onnx/model.onnx",
        "../config.json", "config.json/..", "sub/config.json", "consolidated.safetensors",
        "additional_chat_templates/../../x.jinja", "README.md", "tokenizer.pkl", ".gitattributes",
        "config.json\n",
    ):  # fmt: skip
        assert not travels(name), name


OURS = "---\ntags: [boomerang]\n---\n# Member\n"
PUBLISH = """
import sys
from pathlib import Path
from boomerang.assembly.bytefile import ByteFile
from boomerang.checkpoint.table import FileSource
from boomerang.hub.publish import publish
folder = Path({folder!r})
files = {{p.name: ByteFile.whole(FileSource.of(p)) for p in folder.iterdir() if p.is_file()}}
done = publish({repo!r}, files, message={message!r}, collection="Family", tag="d1")
print(done.commit, done.url, done.changed)
"""


@pytest.mark.parametrize("xet", [True, False])
def test_publish_in_a_fresh_process(hub: LocalHub, teacher: Path, xet: bool) -> None:
    for name in ("modeling_evil.py", "pytorch_model.bin"):
        (teacher / name).unlink()
    (teacher / "README.md").write_text(OURS)

    def sent(message: str) -> list[str]:
        code = PUBLISH.format(folder=str(teacher), repo="family/member", message=message)
        return run_client(code, hub.endpoint, xet=xet).split()

    first = sent("first")
    wanted = {p.name: p.read_bytes() for p in teacher.iterdir() if p.is_file()}
    assert hub.files("family/member") == wanted
    repo = hub.store.repos["family/member"]
    assert first == [repo.branches["main"], f"{hub.endpoint}/family/member", "True"]
    assert repo.private
    assert repo.tags == {"d1": first[0]}
    arrived = hub.lines("xet-write-token"), hub.lines("/storage/")
    assert [bool(lines) for lines in arrived] == [xet, not xet]
    assert (repo.at("main").files["model.safetensors"].xet is not None) is xet
    (collection,) = hub.store.collections.values()
    assert [item["id"] for item in collection["items"]] == ["family/member"]
    assert collection["private"]

    assert sent("again") == [first[0], first[1], "False"]
    assert hub.commits("family/member") == ["first"]


def test_what_was_published_by_xet_is_fetched_by_xet(
    hub: LocalHub, teacher: Path, tmp_path: Path
) -> None:
    files = {name: teacher / name for name in TRAVELLED} | {"README.md": OURS.encode()}
    done = publish("family/member", files, message="one", endpoint=hub.endpoint)
    seen: list[int] = []
    target = tmp_path / "got"
    fetch.fetch(
        "family/member",
        done.commit,
        target,
        progress=lambda now, _: seen.append(now),
        endpoint=hub.endpoint,
    )
    assert {p.name: p.read_bytes() for p in target.iterdir()} == {
        name: (teacher / name).read_bytes() for name in TRAVELLED
    }
    assert hub.lines("xet-read-token")
    assert not hub.lines("/cdn/")
    assert seen == sorted(seen)


def test_publish_replaces_an_earlier_version(hub: LocalHub, teacher: Path) -> None:
    weights = teacher / "model.safetensors"
    before = {
        "README.md": OURS.encode(), "config.json": b"{}", "vocab.txt": b"v",
        "model-00001-of-00001.safetensors": weights, "model.safetensors.index.json": b"{}",
    }  # fmt: skip
    publish("family/member", before, message="one", endpoint=hub.endpoint)
    repo = hub.store.repos["family/member"]
    note = dict(repo.at("main").files) | {"note.txt": hub.store.blob(b"by hand")}
    repo.commit("main", "note", note)
    # As byte ranges: nothing of it stands in a file of its own.
    whole = ByteFile.whole(FileSource.of(weights))
    after = {"README.md": OURS.encode(), "config.json": b'{"a": 1}', "model.safetensors": whole}
    done = publish("family/member", after, message="two", endpoint=hub.endpoint)
    assert done.changed
    assert hub.files("family/member") == {
        "README.md": OURS.encode(),
        "config.json": b'{"a": 1}',
        "model.safetensors": weights.read_bytes(),
        "note.txt": b"by hand",
    }
    again = publish("family/member", after, message="three", endpoint=hub.endpoint)
    assert (again.commit, again.changed) == (done.commit, False)
    assert hub.commits("family/member") == ["two", "note", "one"]


def test_somebody_elses_model_is_not_overwritten(hub: LocalHub, teacher: Path) -> None:
    hub.add_repo("family/precious", teacher)
    with pytest.raises(BadName) as caught:
        publish("family/precious", {"config.json": b"{}"}, message="m", endpoint=hub.endpoint)
    assert caught.value.value == "family/precious"
    assert hub.commits("family/precious") == ["add files"]


@pytest.mark.parametrize("mark", ["README.md", "boomerang.json"])
def test_a_model_of_ours_is_replaced(hub: LocalHub, teacher: Path, mark: str) -> None:
    (teacher / mark).write_text(OURS if mark == "README.md" else "{}")
    hub.add_repo("family/member", teacher, private=True)
    done = publish(
        "family/member", {mark: (teacher / mark).read_bytes()}, message="new", endpoint=hub.endpoint
    )
    assert done.changed
    assert hub.commits("family/member") == ["new", "add files"]


@pytest.mark.parametrize("token", ["", READER])
def test_publishing_without_the_right(
    hub: LocalHub, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    with pytest.raises(HubFailure) as caught:
        publish("family/member", {"a.txt": b"a"}, message="m", endpoint=hub.endpoint)
    assert "HF_TOKEN" in caught.value.fix
    assert READER not in str(caught.value)


def test_errors_cross_processes(hub: LocalHub) -> None:
    code = """
import json
from boomerang.errors import BoomerangError
from boomerang.hub.remote import resolve
try:
    resolve("org/nothing")
except BoomerangError as error:
    print(json.dumps([error.slug, error.value]))
"""
    assert json.loads(run_client(code, hub.endpoint)) == ["teacher-not-found", "org/nothing"]


def test_a_saved_login_is_not_used(hub: LocalHub, teacher: Path) -> None:
    hub.add_repo("org/secret", teacher, private=True)
    code = f"""
import os
from pathlib import Path
Path(os.environ["HF_HOME"], "token").write_text({OWNER!r})
from boomerang.errors import TeacherNotFound
from boomerang.hub.remote import resolve
try:
    resolve("org/secret")
except TeacherNotFound:
    print("not seen")
"""
    assert run_client(code, hub.endpoint, token=None).strip() == "not seen"


def test_every_failure_is_ours(hub: LocalHub, teacher: Path) -> None:
    hub.add_repo("org/teacher", teacher)
    found = hub_remote.resolve("org/teacher", endpoint=hub.endpoint)
    del hub.store.repos["org/teacher"]
    with pytest.raises(BoomerangError) as caught:
        read_json(hub_remote.sources(found)["config.json"])
    assert isinstance(caught.value, SourceChanged)
    assert OWNER not in str(caught.value)
    assert os.environ["HF_TOKEN"] == OWNER

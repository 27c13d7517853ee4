"""Sizes brought here from a real front end, whole or not at all, over connections that break."""

import hashlib
import json
import socket
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path

import pytest

from boomerang.catalog.records.families import Family, Member
from boomerang.cli.progress import Bar
from boomerang.cli.service import downloading
from boomerang.cli.service.client import Refused, Service, Unreachable
from boomerang.cli.service.downloading import Listed, look, proof
from tests.app.conftest import Front
from tests.support.cli_stub import boomerang, error, told

pytestmark = pytest.mark.slow("the command line as a process, beside a front end")


@pytest.fixture(scope="module")
def ready(shared: Front) -> Family:
    return shared.ready()


@pytest.fixture
def member(shared: Front, ready: Family) -> Member:
    return shared.catalog.members(ready.id)[1]


@pytest.mark.long("the command line as a process, beside a front end")
def test_a_budget_is_downloaded_as_a_folder(shared: Front, member: Member, tmp_path: Path) -> None:
    to = tmp_path / "deep" / "model"
    budget = member.parameters + 1
    done = told("download", budget, "--out", to, BOOMERANG_URL=shared.base)
    assert (done["size"], done["family"]) == (member.size, member.family)
    found = {str(p.relative_to(to)): p.read_bytes() for p in to.rglob("*") if p.is_file()}
    assert found.keys() == {one["name"] for one in done["files"]}
    for name, content in found.items():
        served = shared.client.get(f"/models/{member.size}/{name}")
        assert served.content == content
    how = {one["name"]: one["proven"] for one in done["files"]}
    assert (how["config.json"], how["model.safetensors"]) == ("git", "size")
    assert [p.name for p in to.parent.iterdir()] == ["model"]
    assert "is there already" in error("download", budget, "--out", to, "--url", shared.base)


def test_a_size_is_downloaded_as_a_tar(shared: Front, member: Member, tmp_path: Path) -> None:
    to = tmp_path / "model.tar"
    shown = boomerang("download", member.size, "--tar", "--out", to, BOOMERANG_URL=shared.base)
    assert shown.returncode == 0, shown.stderr
    assert f"{to}: {member.size} of {member.family}" in shown.stdout
    served = shared.client.get(f"/models/{member.size}", headers={"Accept": "*/*"})
    assert to.read_bytes() == served.content
    assert [p.name for p in tmp_path.iterdir()] == ["model.tar"]
    with tarfile.open(to) as opened:
        assert any(name.endswith("/config.json") for name in opened.getnames())


def test_what_is_no_size_or_has_no_family_yet_is_status_1(shared: Front, ready: Family) -> None:
    assert "There is no size" in error("download", "9Z", BOOMERANG_URL=shared.base)
    assert "no family" in error("download", "1M", "--family", "0" * 12, "--url", shared.base)


class Cutting:
    """A way to a service that breaks each connection after so many bytes; it counts them."""

    def __init__(self, port: int) -> None:
        self.to, self.most, self.sent = port, 1 << 62, 0
        self._here = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._here.getsockname()[1]}"
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._here.accept()
                server = socket.create_connection(("127.0.0.1", self.to))
                for act in (self._asked, self._answered):
                    self._threads.append(threading.Thread(target=act, args=(client, server)))
                    self._threads[-1].start()

    def _asked(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(1 << 16):
                server.sendall(data)
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)

    def _answered(self, client: socket.socket, server: socket.socket) -> None:
        sent = 0
        with suppress(OSError), client, server:
            while data := server.recv(1 << 12):
                if sent + len(data) > self.most:
                    client.shutdown(socket.SHUT_RDWR)
                    return
                client.sendall(data)
                sent += len(data)
                self.sent += len(data)

    def close(self) -> None:
        self._here.shutdown(socket.SHUT_RDWR)
        self._here.close()
        for thread in self._threads:
            thread.join(20)


@contextmanager
def cutting(front: Front) -> Iterator[Cutting]:
    way = Cutting(front.port)
    try:
        yield way
    finally:
        way.close()


@pytest.mark.parametrize("how", [downloading._folder, downloading._tar])
def test_what_has_come_over_a_connection_that_breaks_is_not_sent_again(
    shared: Front, member: Member, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    how: Callable[..., dict[str, str]],
) -> None:  # fmt: skip
    monkeypatch.setattr(downloading, "POLL_SECONDS", 0.0)
    to = tmp_path / "model"
    with cutting(shared) as way, Service(way.url) as service, Bar("it", size=True) as bar:
        found = look(service, member.size)
        whole = sum(one.bytes for one in found.files)
        way.most = whole // 3
        monkeypatch.setattr(downloading, "RETRY_SECONDS", -1.0)
        with pytest.raises(Unreachable):
            how(service, found, to, bar)
        assert not to.exists()
        # The same command once more, which nothing but breaking connections meets either.
        monkeypatch.setattr(downloading, "RETRY_SECONDS", 60.0)
        how(service, found, to, bar)
        assert way.sent < 1.5 * whole + 20_000
    digest = hashlib.sha256()
    served = shared.client.get(f"/models/{member.size}", headers={"Accept": "*/*"}).content
    if to.is_file():
        digest.update(to.read_bytes())
        assert digest.digest() == hashlib.sha256(served).digest()
    else:
        with tarfile.open(fileobj=BytesIO(served)) as opened:
            for one in found.files:
                content = opened.extractfile(f"{found.name}/{one.name}")
                assert content is not None
                assert content.read() == (to / one.name).read_bytes()
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


def test_a_part_of_other_bytes_is_no_part_of_it(
    shared: Front, member: Member, tmp_path: Path
) -> None:
    to, part = tmp_path / "model", tmp_path / ".model.part"
    with Service(shared.base) as service, Bar("it", size=True) as bar:
        found = look(service, member.size)
        index = next(i for i, one in enumerate(found.files) if one.name == "config.json")
        (part / downloading.TAGS).mkdir(parents=True)
        (part / "config.json").write_text("something else")
        (part / downloading.TAGS / str(index)).write_text('"another"')
        downloading._folder(service, found, to, bar)
        assert json.loads((to / "config.json").read_text())["num_hidden_layers"] > 0
        # With the right tag and wrong bytes it is found out, and the next try is right.
        to.rename(part)
        (part / downloading.TAGS).mkdir()
        tag = service.head(f"/{found.repo}/resolve/{found.commit}/config.json")["etag"]
        (part / downloading.TAGS / str(index)).write_text(tag)
        content = (part / "config.json").read_bytes()
        (part / "config.json").write_bytes(b"#" * len(content))
        with pytest.raises(Refused, match=r"config.json did not arrive"):
            downloading._folder(service, found, to, bar)
        downloading._folder(service, found, to, bar)
        assert (to / "config.json").read_bytes() == content


def test_a_digest_that_the_service_knows_is_believed_before_anything() -> None:
    content, right = BytesIO(b"weights"), hashlib.sha256(b"weights").hexdigest()
    file = Listed("model.safetensors", 7, right, None)
    assert proof(file, content, "tag") == "sha256"
    assert proof(Listed("model.safetensors", 7, "0" * 64, None), content, "tag") is None
    assert proof(Listed("model.safetensors", 8, right, None), content, "tag") is None
    assert proof(Listed("model.safetensors", 7, None, "tag"), content, "tag") == "size"


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x", ".etags/0", ""])
def test_no_name_leads_out_of_the_folder(name: str) -> None:
    with pytest.raises(Refused, match="lists a file"):
        downloading._listed({"rfilename": name, "size": 1})

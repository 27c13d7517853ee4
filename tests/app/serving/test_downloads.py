"""Downloads by real clients: taken up again after a break, many at once, and of any size."""

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from boomerang.catalog.records.families import Member
from boomerang.catalog.records.states import StudentState
from boomerang.family.composition import last_to_first
from boomerang.service.models import members, pairs
from tests.app.conftest import Front
from tests.family.test_plan_scale import sparse
from tests.support.models import Duo
from tests.support.sparse import llama

pytestmark = pytest.mark.slow("hundreds of gigabytes are asked for, of sparse files")

DIRECT = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
"""No proxy, and no settings of whoever runs the tests."""

RESUMED = {
    "curl": (["curl", "-sSf", "--limit-rate", "6M"], ["curl", "-sSf", "-C", "-"], "-o"),
    "wget": (["wget", "-q", "--limit-rate=6m"], ["wget", "-q", "-c"], "-O"),
    "aria2c": (
        ["aria2c", "-q", "-x4", "-s4", "-k1M", "--max-overall-download-limit=6M",
         "--auto-save-interval=0", "--file-allocation=none"],
        ["aria2c", "-q", "-x4", "-s4", "-k1M", "-c", "--file-allocation=none"],
        "-o",
    ),
}  # fmt: skip
"""How each begins slowly, how it goes on, and how it is told the file's name."""


def family(front: Front, layers: int, width: int, *, random: bool = False) -> tuple[Member, ...]:
    """A running front end's ladder between two such models."""
    llama(front.models / "large", layers, width, random=random)
    llama(front.models / "small", layers - 1, width, random=random)
    kept = [i for i in range(layers) if i != 1]
    said = json.dumps({"copied_teacher_layers": kept})
    (front.models / "small" / "student_config.json").write_text(said)
    front.start()
    return front.catalog.members(front.ready(teacher="large", student="small").id)


@pytest.fixture(scope="module")
def middling(tmp_path_factory: pytest.TempPathFactory, originals: Duo) -> Iterator[Front]:
    """Some 20 MB of random weights."""
    front = Front(tmp_path_factory.mktemp("middling"), originals)
    family(front, 9, 256, random=True)
    yield front
    front.close()


@pytest.mark.parametrize("tool", RESUMED)
def test_a_broken_download_is_taken_up_again(middling: Front, tmp_path: Path, tool: str) -> None:
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not on this machine")
    begin, go_on, output = RESUMED[tool]
    size = middling.client.get("/models").json()["models"][0]["size"]
    url = f"{middling.base}/models/{size}"
    whole = middling.client.get(url).content
    path = tmp_path / "model.tar"
    where = [output, "model.tar", url]
    with subprocess.Popen([*begin, *where], cwd=tmp_path, env=DIRECT) as first:
        end = time.monotonic() + 30
        while not path.exists() or path.stat().st_blocks * 512 < len(whole) // 4:
            assert first.poll() is None
            assert time.monotonic() < end
            time.sleep(0.02)
        # aria2c notes on SIGTERM how far it is; the others need no such grace.
        (first.terminate if tool == "aria2c" else first.kill)()
    assert path.read_bytes() != whole
    # Not even the server needs to be the same process.
    middling.stop()
    middling.start()
    before = middling.client.get("/models").status_code
    done = subprocess.run([*go_on, *where], cwd=tmp_path, env=DIRECT, timeout=60)
    assert (before, done.returncode) == (200, 0)
    assert path.read_bytes() == whole


@pytest.mark.long("eight downloads, one of them slow")
def test_eight_clients_at_once_and_none_starves(tmp_path: Path, originals: Duo) -> None:
    front = Front(tmp_path, originals)
    size = family(front, 3, 2048)[-1].size
    total = int(front.client.head(f"/models/{size}").headers["content-length"])
    assert total > 400_000_000
    got, finished, lock = [0] * 8, threading.Event(), threading.Lock()

    def download(i: int) -> None:
        # Sockets alone: what is measured is who is served, not how clients work.
        with socket.create_connection(("127.0.0.1", front.port)) as asked:
            asked.sendall(f"GET /models/{size} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            buffer = bytearray(1 << 20)
            while not finished.is_set():
                more = asked.recv_into(buffer)
                with lock:
                    got[i] += more
                    if got[i] >= total or not more:
                        finished.set()

    threads = [threading.Thread(target=download, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    answered = 0
    while not finished.is_set():
        answered += httpx.get(f"{front.base}/healthz", trust_env=False, timeout=30).is_success
    for thread in threads:
        thread.join()
    front.close()
    assert max(got) >= total
    assert min(got) > max(got) // 4, got
    assert answered > 3
    assert "ERROR" not in front.log.read_text()
    assert "Traceback" not in front.log.read_text()


def memory(front: Front, line: str) -> int:
    """What the front end's process has (VmRSS) or had (VmHWM), in MB."""
    assert front.process is not None
    status = Path(f"/proc/{front.process.pid}/status").read_text()
    return int(status.split(f"{line}:")[1].split()[0]) // 1024


@pytest.mark.long("hundreds of gigabytes are asked for, of sparse files")
def test_400_billion_parameters_stream_like_few(
    make_front: Callable[..., Front], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    front = make_front()
    sparse_teacher(front)
    made = front.queued(teacher="huge")
    student = front.catalog.student(made["student"]["key"])
    folder = front.settings.student_folder(student.key)
    folder.mkdir(parents=True)
    sparse(folder, len(student.kept), len(student.kept))
    said = {"copied_teacher_layers": list(student.kept)}
    (folder / "student_config.json").write_text(json.dumps(said))
    (folder / "boomerang.json").write_text(json.dumps({"seconds": 1.0}))
    front.catalog.set_student_state(student.key, StudentState.READY)
    # As the worker does, but for comparing eight gigabytes of embeddings.
    found = front.catalog.student(student.key)
    pair = pairs.open_pair(front.settings, front.catalog, found, verify=False)
    order = last_to_first(pair.layermap)
    ladder = members.ladder_members(pair, order, student.teacher_commit, student.key)
    front.catalog.set_members(made["id"], ladder, patch_order=order, chosen="last")
    url = f"/models/{ladder[-2].size}"
    total = int(front.client.head(url).headers["content-length"])
    assert total > 790_000_000_000
    before = memory(front, "VmHWM")

    def part(start: int, stop: int) -> tuple[bytes, float]:
        command = ["curl", "-sSf", "-r", f"{start}-{stop - 1}", "-o", "part"]
        command += ["-w", "%{http_code} %{time_total}", front.base + url]
        done = subprocess.run(command, cwd=tmp_path, env=DIRECT, capture_output=True, check=True)
        status, seconds = done.stdout.decode().split()
        with (tmp_path / "part").open("rb") as file:
            assert (status, file.seek(0, os.SEEK_END)) == ("206", stop - start)
            file.seek(-min(stop - start, 100_000), os.SEEK_END)
            return file.read(), (stop - start) / float(seconds) / 1e9

    _, first = part(0, 300_000_000)
    tail, last = part(total - 300_000_000, total)
    # The teacher's head ends with this mark, and nothing but the end of the tar follows.
    assert tail.rstrip(b"\0").endswith(MARK)
    at = total - len(tail) + tail.index(MARK)
    assert part(at, at + len(MARK))[0] == MARK
    after = memory(front, "VmHWM")
    with capsys.disabled():
        print(f"\n{total / 1e9:.0f} GB: prefix {first:.2f} GB/s, end {last:.2f} GB/s, "
              f"memory {before} MB, {after} MB after")  # fmt: skip
    assert after - before < 40


MARK = b"the end of the head"


def sparse_teacher(front: Front) -> None:
    """811 GB of holes; the catalog is told their digests, which would take an hour to find."""
    (front.models / "huge").mkdir()
    folder = sparse(front.models / "huge")
    shards = sorted(folder.glob("*.safetensors"))
    with shards[-1].open("r+b") as file:
        file.seek(-len(MARK), os.SEEK_END)
        file.write(MARK)
    for path in folder.iterdir():
        front.catalog.remember_hash(path, path.name.encode().hex()[:64].rjust(64, "0"))

"""olah, a mirror of the Hub, between an unmodified client and us.

It is not among the project's own packages: put `olah-cli` on the PATH, or name it in
BOOMERANG_TEST_OLAH. docs/hub.md says with which version this passed.
"""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.app.conftest import Front
from tests.local_hub.fixture import run_client

OLAH = os.environ.get("BOOMERANG_TEST_OLAH") or shutil.which("olah-cli")
pytestmark = pytest.mark.skipif(OLAH is None, reason="olah-cli is not installed")


@contextmanager
def mirror(folder: Path, front: Front) -> Iterator[str]:
    """olah before a front end, with its cache in a folder."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    here, there = f"127.0.0.1:{port}", f"127.0.0.1:{front.port}"
    command = [str(OLAH), "--host", "127.0.0.1", "--port", str(port), "--hf-scheme", "http",
               "--hf-netloc", there, "--hf-lfs-netloc", there, "--mirror-scheme", "http",
               "--mirror-netloc", here, "--mirror-lfs-netloc", here,
               "--repos-path", str(folder / "repos"),
               "--log-path", str(folder / "logs")]  # fmt: skip
    folder.mkdir()
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    with (folder / "out").open("ab") as out:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=out)
    try:
        until = time.monotonic() + 60
        while True:
            try:
                httpx.get(f"http://{here}/", trust_env=False)
                break
            except httpx.TransportError:
                assert process.poll() is None, (folder / "out").read_text()
                assert time.monotonic() < until
                time.sleep(0.1)
        yield f"http://{here}"
    finally:
        process.terminate()
        process.wait(20)


def test_olah_in_front(front: Front, tmp_path: Path) -> None:
    templates = front.models / "teacher" / "additional_chat_templates"
    templates.mkdir()
    (templates / "rag.jinja").write_text("{{ messages }}")
    members = front.catalog.members(front.ready().id)
    repo = f"boomerang/teacher-{members[1].size}"
    weights = front.client.get(f"/{repo}/resolve/main/model.safetensors").content
    code = f"""
from pathlib import Path
from huggingface_hub import HfApi, HfFileSystem, snapshot_download
from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError
from transformers import AutoModelForCausalLM, AutoTokenizer
repo, api = {repo!r}, HfApi()
info = api.model_info(repo)
folder = Path(snapshot_download(repo))
assert folder.name == info.sha
assert (folder / "additional_chat_templates" / "rag.jinja").read_text() == "{{{{ messages }}}}"
print((folder / "model.safetensors").read_bytes().hex())
assert {{s.rfilename for s in info.siblings}} == set(api.list_repo_files(repo))
(one,) = api.get_paths_info(repo, ["config.json"])
assert one.size == (folder / "config.json").stat().st_size
assert api.get_safetensors_metadata(repo).parameter_count == {{"F32": {members[1].parameters}}}
assert HfFileSystem().cat_file(repo + "/config.json") == (folder / "config.json").read_bytes()
assert api.file_exists(repo, "config.json") and not api.file_exists(repo, "x.json")
assert api.list_repo_refs(repo).branches[0].target_commit == info.sha
assert not api.repo_exists("boomerang/none")
model = AutoModelForCausalLM.from_pretrained(repo)
assert model.num_parameters() == {members[1].parameters}
assert AutoTokenizer.from_pretrained(repo).decode([4, 5]) == "the beginning"
"""
    with mirror(tmp_path / "olah", front) as address:
        got = run_client(code, address, token=None)
    assert bytes.fromhex(got.split()[0]) == weights

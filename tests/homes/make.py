"""Makes a home with one distilled family, as a version of Boomerang makes it, and writes it down.

Run with the version to keep on the path: `PYTHONPATH=CHECKOUT python tests/homes/make.py FOLDER`.
FOLDER then has the home's students and members, the models, the catalog as SQL (this machine's
folders in it are `{home}` and `{models}`), and what that version served as `served.json`.
"""

import hashlib
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

REQUEST = {"teacher": "teacher", "data": "texts", "recipe": "smoke", "order": "auto"}
WORDS = ["in", "the", "beginning", "was", "the", "word", "and", "the", "word", "was", "with", "god"]


def main(folder: Path) -> None:
    """Make the models, serve them, have a family made, and keep what came of it."""
    work = Path(tempfile.mkdtemp())
    make_models(work / "models")
    with serving(work / "home", work / "models") as client:
        sizes = client.post("/families", json=REQUEST).raise_for_status().json()["members"]
        request = REQUEST | {"budget": sizes[1]["size"]}
        family = made(client, request)
        members = {one["size"]: files_of(client, one) for one in family["members"]}
        served = {"request": request, "family": names_of(family), "members": members}
    shutil.copytree(work / "models", folder / "models")
    for name in ("students", "members"):
        shutil.copytree(work / "home" / name, folder / "home" / name)
    with sqlite3.connect(work / "home" / "catalog.sqlite") as catalog:
        dump = "\n".join(catalog.iterdump())
    for name in ("home", "models"):
        dump = dump.replace(str(work / name), f"{{{name}}}")
    (folder / "catalog.sql").write_text(dump + "\n")
    (folder / "served.json").write_text(json.dumps(served, indent=1) + "\n")
    shutil.rmtree(work)


def make_models(folder: Path) -> None:
    """A teacher of eight small layers with a tokenizer, and texts."""
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=16, intermediate_size=24, num_attention_heads=4, num_key_value_heads=2,
        num_hidden_layers=8, vocab_size=48, max_position_embeddings=64, tie_word_embeddings=True,
        bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder / "teacher")
    words = dict.fromkeys(["<unk>", "<s>", "</s>", *WORDS])
    words |= dict.fromkeys(f"w{i}" for i in range(48 - len(words)))
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    ).save_pretrained(folder / "teacher")
    (folder / "texts").mkdir()
    for split in ("train", "calibration", "heldout"):
        line = json.dumps({"text": " ".join(WORDS * 40)})
        (folder / "texts" / f"{split}.jsonl").write_text(f"{line}\n" * 2)


@contextmanager
def serving(home: Path, models: Path) -> Iterator[httpx.Client]:
    """The service with workers of its own, stopped in the end."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    places = {"BOOMERANG_HOME": str(home), "BOOMERANG_MODELS": str(models)}
    command = [sys.executable, "-m", "boomerang", "serve", "--port", str(port)]
    process = subprocess.Popen(command, env=os.environ | places)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            wait_for(lambda: is_up(client))
            yield client
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def is_up(client: httpx.Client) -> bool:
    """Whether the front end answers."""
    try:
        return client.get("/readyz").is_success
    except httpx.HTTPError:
        return False


def made(client: httpx.Client, request: dict[str, str]) -> dict[str, Any]:
    """The family, measured, with the member that its budget buys built."""
    id_ = client.post("/families", json=request).raise_for_status().json()["id"]

    def done() -> dict[str, Any] | None:
        family = client.get(f"/families/{id_}").json()
        built = [member for member in family["members"] if member["built"] == "yes"]
        return family if built and family["measuring"] == "yes" else None

    return wait_for(done)


def wait_for(question: Callable[[], Any]) -> Any:
    """What a question comes to, once it comes to something."""
    until = time.monotonic() + 300
    while not (answer := question()):
        if time.monotonic() > until:
            raise TimeoutError
        time.sleep(0.5)
    return answer


def files_of(client: httpx.Client, member: dict[str, Any]) -> dict[str, Any]:
    """The commit of a member, and at it the ETag and the sha256 of each of its files."""
    about = client.get(f"/api/models/{member['hub_id']}").raise_for_status().json()
    files = {}
    for name in (file["rfilename"] for file in about["siblings"]):
        address = f"/{member['hub_id']}/resolve/{about['sha']}/{name}"
        sent = client.get(address).raise_for_status()
        sha256 = hashlib.sha256(sent.content).hexdigest()
        files[name] = {"etag": sent.headers["etag"], "sha256": sha256}
    return {"repo": member["hub_id"], "commit": about["sha"], "files": files}


def names_of(family: dict[str, Any]) -> dict[str, Any]:
    """What names a family: its id, its student's key, and the digests of its members."""
    members = {member["size"]: member["digest"] for member in family["members"]}
    return {"id": family["id"], "student": family["student"]["key"], "digests": members}


if __name__ == "__main__":
    main(Path(sys.argv[1]))

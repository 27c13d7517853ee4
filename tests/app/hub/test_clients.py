"""Unmodified clients of the Hub against a member in shards, with files in a folder."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from boomerang.assembly.stitch import member_files
from boomerang.catalog.catalog import Catalog
from boomerang.catalog.records.families import Family, Member
from boomerang.catalog.records.states import Fact
from boomerang.family.composition import composition_of
from boomerang.service.jobs import Producer
from boomerang.service.models.pairs import student_folder
from boomerang.service.settings import Settings
from tests.app.conftest import Front
from tests.app.relay import Relay, relaying
from tests.local_hub.fixture import run_client
from tests.support.cli_stub import boomerang, told
from tests.support.models import Duo
from workers.assemble import assemble
from workers.context import Context

pytestmark = pytest.mark.slow("transformers loads members, in a process of its own")

SHARD = 12_000
TEMPLATE = "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}"
TOOLS = "tools: " + TEMPLATE


class Held:
    """A front end whose members come in shards, its ladder, and a relay before it."""

    def __init__(self, front: Front, family: Family, relay: Relay) -> None:
        self.front, self.family, self.relay = front, family, relay
        self.members = front.catalog.members(family.id)

    @property
    def repos(self) -> list[str]:
        return [f"boomerang/teacher-{member.size}" for member in self.members]

    def client(self, code: str, *, xet: bool = True) -> str:
        self.relay.asked.clear()
        return run_client(code, self.relay.base, token=None, xet=xet)

    def build(self, member: Member) -> Path:
        """What the worker does."""
        settings = Settings(
            home=self.front.settings.home, models=self.front.settings.models, shard_size=SHARD
        )
        context = Context(settings, Catalog(settings.database_url), Producer(""))
        done = assemble(context, self.family.id, member.k)
        assert done == "built", context.catalog.member(self.family.id, member.k).built_reason
        context.catalog.close()
        return settings.member_folder(member.digest)


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory, originals: Duo) -> Iterator[Held]:
    front = Front(tmp_path_factory.mktemp("held"), originals, BOOMERANG_SHARD_SIZE=str(SHARD))
    teacher = front.models / "teacher"
    (teacher / "chat_template.jinja").write_text(TEMPLATE)
    (teacher / "additional_chat_templates").mkdir()
    (teacher / "additional_chat_templates" / "tool_use.jinja").write_text(TOOLS)
    (teacher / "additional_chat_templates" / "notes.txt").write_text("This does not travel.")
    generation = {"max_new_tokens": 3, "do_sample": False, "eos_token_id": 2}
    (teacher / "generation_config.json").write_text(json.dumps(generation))
    (teacher / "LICENSE").write_text("Anybody may.\n")
    try:
        with relaying(front.start().base) as relay:
            yield Held(front, front.ready(), relay)
    finally:
        front.close()


@pytest.mark.long("transformers loads members, in a process of its own")
def test_what_the_api_tells(held: Held) -> None:
    held.client(f"""
from huggingface_hub import HfApi, HfFileSystem, get_hf_file_metadata, hf_hub_url
from huggingface_hub import list_models, model_info
from huggingface_hub.errors import EntryNotFoundError
api, repo, member = HfApi(), {held.repos[1]!r}, {held.members[1].parameters}
info = api.model_info(repo, files_metadata=True, securityStatus=True)
assert (info.id, info.author, info.private, info.gated, info.disabled) == (
    repo, "boomerang", False, False, False), info
assert info.pipeline_tag == "text-generation"
assert vars(info)["library_name"] == "transformers"
assert (info.safetensors.parameters, info.safetensors.total) == ({{"F32": member}}, member)
assert info.config["architectures"] == ["LlamaForCausalLM"]
assert info.config["model_type"] == "llama"
assert info.config["tokenizer_config"]["eos_token"] == "</s>"
assert info.config["tokenizer_config"]["chat_template_jinja"] == {TEMPLATE!r}
assert info.transformers_info.auto_model == "AutoModelForCausalLM"
assert info.card_data.to_dict()["library_name"] == "transformers"
assert "boomerang" in info.card_data.tags and "llama" in info.tags
assert info.created_at <= info.last_modified
sizes = {{s.rfilename: s.size for s in info.siblings}}
assert info.used_storage == sum(sizes.values())
few = api.model_info(repo, expand=["safetensors", "sha"])
assert (few.sha, few.safetensors.total, few.siblings, few.tags) == (info.sha, member, None, None)
assert all(s.size is None for s in api.model_info(repo).siblings)

names = set(sizes)
template = "additional_chat_templates/tool_use.jinja"
assert names >= {{template, "chat_template.jinja", "generation_config.json", "LICENSE",
                  "model.safetensors.index.json", "README.md"}}
assert not any(name.endswith(".txt") for name in names)
assert len([n for n in names if n.endswith(".safetensors")]) > 2
assert set(api.list_repo_files(repo)) == names
for revision in ("main", info.sha, "refs/heads/main"):
    assert api.model_info(repo, revision=revision).sha == info.sha
    assert api.revision_exists(repo, revision)
    assert {{e.path for e in api.list_repo_tree(repo, recursive=True, revision=revision)
             if hasattr(e, "size")}} == names
    assert api.file_exists(repo, template, revision=revision)
assert not api.revision_exists(repo, "v1.0")
root = list(api.list_repo_tree(repo))
folders = [e.path for e in root if not hasattr(e, "size")]
assert folders == ["additional_chat_templates"]
assert {{e.path for e in root if hasattr(e, "size")}} == names - {{template}}
(inner,) = api.list_repo_tree(repo, "additional_chat_templates", expand=True)
assert inner.path == template and inner.last_commit.oid == info.sha, inner
for nothing in ("nowhere", "config.json"):
    try:
        raise AssertionError(list(api.list_repo_tree(repo, nothing)))
    except EntryNotFoundError:
        pass
found = api.get_paths_info(repo, ["config.json", "additional_chat_templates", "x"], expand=True)
assert [type(e).__name__ for e in found] == ["RepoFile", "RepoFolder"], found

(branch,) = api.list_repo_refs(repo, include_pull_requests=True).branches
assert (branch.name, branch.ref, branch.target_commit) == ("main", "refs/heads/main", info.sha)
(commit,) = api.list_repo_commits(repo, formatted=True)
assert commit.commit_id == info.sha
api.auth_check(repo)
meta = api.get_safetensors_metadata(repo)
assert meta.sharded and meta.parameter_count == {{"F32": member}}
assert set(meta.files_metadata) == {{n for n in names if n.endswith(".safetensors")}}
shard = sorted(meta.files_metadata)[0]
assert api.parse_safetensors_file_metadata(repo, shard).metadata == {{"format": "pt"}}
head = get_hf_file_metadata(hf_hub_url(repo, shard, revision=info.sha))
assert (head.commit_hash, head.size, head.xet_file_data) == (info.sha, sizes[shard], None), head

assert [m.id for m in list_models(author="boomerang")] == {held.repos!r}
assert [m.id for m in list_models(search=repo.split("/")[1].upper())] == [repo]
assert list(list_models(author="someone")) == list(list_models(search="9000B")) == []
(one,) = list_models(search=repo, full=True, cardData=True)
assert one.sha == info.sha and {{s.rfilename for s in one.siblings}} == names and one.card_data
assert [m.id for m in list_models(filter="gguf")] == []
within = f"min:{{member}},max:{{member / 1e3}}K"
assert [m.id for m in list_models(num_parameters=within)] == [repo]
assert len(list(list_models(num_parameters="max:1T"))) == {len(held.repos)}
changed = [m.last_modified for m in list_models(sort="last_modified", full=True)]
assert changed == sorted(changed, reverse=True) and len(changed) == {len(held.repos)}
assert len(list(list_models(sort="trending_score"))) == {len(held.repos)}
assert len(list(list_models(filter=["safetensors", "boomerang"], limit=2))) == 2

fs = HfFileSystem()
assert {{p.split("/", 2)[2] for p in fs.ls(repo, detail=False)}} == \\
    (names - {{template}}) | {{"additional_chat_templates"}}
assert fs.glob(repo + "/**/*.jinja") == [f"{{repo}}/{{template}}", repo + "/chat_template.jinja"]
assert fs.isdir(repo + "/additional_chat_templates") and fs.info(repo)["type"] == "directory"
assert fs.info(f"{{repo}}@{{info.sha}}/{{shard}}")["size"] == sizes[shard]
with fs.open(f"{{repo}}/{{shard}}", block_size=1000) as file:
    start = file.read(8)
    assert int.from_bytes(start, "little") < sizes[shard]
    file.seek(-100, 2)
    end = file.read()
    file.seek(0)
    assert file.read()[-100:] == end and len(end) == 100
assert fs.read_text(f"{{repo}}/{{template}}") == {TOOLS!r}
""")


@pytest.mark.long("transformers loads members, in a process of its own")
@pytest.mark.parametrize("xet", [True, False])
def test_downloads(held: Held, xet: bool) -> None:
    repo = held.repos[2]
    code = """
import subprocess, sys
from pathlib import Path
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
repo, home = %r, Path.home()
def hf(*arguments):
    hf = Path(sys.executable).with_name("hf")
    done = subprocess.run([hf, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
def contents(folder):
    found = (p for p in Path(folder).rglob("*") if p.is_file() and ".cache" not in p.parts)
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in found}
info = HfApi().model_info(repo)
some = snapshot_download(repo, allow_patterns=["*.json", "*.jinja"], ignore_patterns="tok*")
assert set(contents(some)) >= {"config.json", "additional_chat_templates/tool_use.jinja"}
assert not any(n.startswith("tok") or n.endswith(".safetensors") for n in contents(some))
hf("download", repo)
whole = contents(some)
assert set(whole) == {s.rfilename for s in info.siblings}
print("--")
assert contents(snapshot_download(repo)) == whole
assert contents(snapshot_download(repo, revision=info.sha)) == whole
print("--")
hf("download", repo, "--local-dir", str(home / "there"))
assert contents(home / "there") == whole
hf("download", repo, "config.json", "--revision", info.sha, "--local-dir", str(home / "one"))
assert contents(home / "one") == {"config.json": whole["config.json"]}
assert Path(hf_hub_download(repo, "additional_chat_templates/tool_use.jinja",
            revision="refs/heads/main")).read_bytes() == whole[
            "additional_chat_templates/tool_use.jinja"]
"""
    held.client(code % repo, xet=xet)
    assert {f for f in held.relay.fetched() if f.endswith(".safetensors")}
    gets = [line for line in held.relay.asked if line.startswith("GET") and "/resolve/" in line]
    # Once into the cache, once into a folder: never more.
    assert all(gets.count(line) <= 2 for line in gets), gets
    assert not any("xet" in line for line in held.relay.asked)


def test_a_broken_download_goes_on_where_it_broke(held: Held) -> None:
    repo = held.repos[2]
    shard = "model-00001-of-"
    held.relay.cut = shard
    held.client(f"""
from huggingface_hub import HfApi, constants, hf_hub_download
constants.DOWNLOAD_CHUNK_SIZE = 1000
name = next(f for f in sorted(HfApi().list_repo_files({repo!r})) if f.startswith({shard!r}))
path = hf_hub_download({repo!r}, name)
from safetensors import safe_open
with safe_open(path, "numpy") as file:
    assert sum(file.get_tensor(key).size for key in file.keys())
import hashlib, httpx2
whole = httpx2.get({held.front.base!r} + f"/{repo}/resolve/main/{{name}}").content
assert hashlib.sha256(open(path, "rb").read()).digest() == hashlib.sha256(whole).digest()
""")
    asked = [line for line in held.relay.asked if line.startswith("GET") and shard in line]
    assert len(asked) == 2
    assert "bytes=" in asked[1]
    assert "bytes=0-" not in asked[1]


def test_a_size_is_proven_where_it_is_served(held: Held) -> None:
    student = student_folder(held.front.settings, held.front.catalog.student(held.family.student))
    given = ("--teacher", held.front.models / "teacher", "--student", student)
    found = told("verify", held.repos[1], *given, "--all", HF_ENDPOINT=held.front.base)
    assert (found["proven"], found["format"], found["size"]) == (True, 2, held.members[1].size)
    assert found["compared"] == found["bytes"]
    lost = boomerang("verify", held.repos[1], *given[:2], HF_ENDPOINT=held.front.base)
    assert lost.returncode == 1
    assert lost.stdout.splitlines()[-1].startswith("Not proven")


@pytest.mark.long("transformers loads members, in a process of its own")
def test_transformers_reads_everything(held: Held, tmp_path: Path) -> None:
    repo, member = held.repos[1], held.members[1]
    composition = composition_of(held.front.pair.layermap, member.code)
    for name, file in member_files(held.front.pair, composition).items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        file.write(tmp_path / name)
    out = held.client(f"""
import torch
from transformers import (AutoConfig, AutoModelForCausalLM, AutoTokenizer, GenerationConfig,
                          pipeline)
repo = {repo!r}
assert AutoConfig.from_pretrained(repo).num_hidden_layers == {member.layers}
tokenizer = AutoTokenizer.from_pretrained(repo)
said = [{{"role": "user", "content": "word"}}]
assert tokenizer.apply_chat_template(said, tokenize=False) == "<user>word"
tools = tokenizer.apply_chat_template(said, tokenize=False, chat_template="tool_use")
assert tools == "tools: <user>word", tools
assert GenerationConfig.from_pretrained(repo).max_new_tokens == 3
model = AutoModelForCausalLM.from_pretrained(repo)
assert model.num_parameters() == {member.parameters}
local = AutoModelForCausalLM.from_pretrained({str(tmp_path)!r})
ids = torch.arange(20)[None]
with torch.no_grad():
    torch.testing.assert_close(model(ids).logits, local(ids).logits, rtol=1e-5, atol=1e-5)
assert model.generation_config.max_new_tokens == 3
write = pipeline("text-generation", repo)
(answer,) = write("in the beginning", min_new_tokens=3)
assert answer["generated_text"].startswith("in the beginning"), answer
assert len(answer["generated_text"]) > 20, answer
print("fine")
""")
    assert out.split()[-1] == "fine"
    shards = {line.split()[1] for line in held.relay.asked if ".safetensors" in line}
    assert len(shards) > 3


def test_digests_once_they_are_known(held: Held) -> None:
    member, repo = held.members[1], held.repos[1]
    tree = f"/api/models/{repo}/tree/main"
    before = {e["path"]: e for e in held.front.client.get(tree).json()}
    shards = [name for name in before if name.endswith(".safetensors")]
    assert not any("lfs" in before[name] for name in shards)
    folder = held.build(member)
    code = f"""
import hashlib, subprocess, sys
from pathlib import Path
from huggingface_hub import HfApi, snapshot_download
repo, built = {repo!r}, Path({str(folder)!r})
info = HfApi().model_info(repo, files_metadata=True)
for s in info.siblings:
    if s.rfilename.endswith(".safetensors"):
        digest = hashlib.sha256((built / s.rfilename).read_bytes()).hexdigest()
        assert s.lfs.sha256 == digest and s.lfs.size == s.size and s.lfs.pointer_size > 120, s
    else:
        assert s.lfs is None
folder = snapshot_download(repo)
done = subprocess.run([Path(sys.executable).with_name("hf"), "cache", "verify", repo,
                       "--fail-on-missing-files", "--fail-on-extra-files"],
                      capture_output=True, text=True)
assert done.returncode == 0, done.stdout + done.stderr
"""
    held.client(code)
    # Neither the commit nor a validator changes because somebody built the member.
    url = f"/{repo}/resolve/main/{shards[0]}"
    assert held.front.client.head(url).headers["etag"].strip('"') == before[shards[0]]["oid"]
    # What was built from a student that is no longer the one that is served tells nothing.
    newer = held.front.models / "student" / "model.safetensors"
    stamp = newer.stat()
    os.utime(newer, ns=(stamp.st_atime_ns, stamp.st_mtime_ns + 10**12))
    try:
        again = {e["path"]: e for e in held.front.client.get(tree).json()}
        assert not all("lfs" in again[name] for name in shards)
    finally:
        os.utime(newer, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))


def test_weights_are_kept_when_the_card_changes(held: Held) -> None:
    repo = held.repos[0]
    code = f"""
import time
from pathlib import Path
from huggingface_hub import snapshot_download
first = Path(snapshot_download({repo!r}))
print("measure", flush=True)
import httpx2
httpx2.post({held.relay.base!r} + "/measured", timeout=30)
second = Path(snapshot_download({repo!r}))
assert second != first
assert "7.25" in (second / "README.md").read_text()
assert {{p.name for p in first.iterdir()}} == {{p.name for p in second.iterdir()}}
"""
    original = held.relay.client.request

    def request(method: str, path: str, **rest: object) -> object:
        if path == "/measured":
            held.front.catalog.set_fact(
                held.family.id, held.members[0].k, "measured", Fact.YES, perplexity=7.25, kl=0.5
            )
            held.relay.asked.clear()
            path = "/healthz"
            method = "GET"
        return original(method, path, **rest)  # type: ignore[arg-type]

    held.relay.client.request = request  # type: ignore[method-assign, assignment]
    try:
        held.client(code)
    finally:
        held.relay.client.request = original  # type: ignore[method-assign]
    assert held.relay.fetched() == {"README.md"}


def test_writing_is_refused_with_the_reason(held: Held) -> None:
    repo = held.repos[0]
    out = run_client(
        f"""
import subprocess, sys
from pathlib import Path
from huggingface_hub import HfApi
api = HfApi()
for call in (
    lambda: api.create_repo("boomerang/new"),
    lambda: api.create_repo({repo!r}, exist_ok=True),
    lambda: api.upload_file(path_or_fileobj=b"x", path_in_repo="x.txt", repo_id={repo!r}),
    lambda: api.delete_repo({repo!r}),
    lambda: api.create_tag({repo!r}, tag="v1"),
    lambda: api.update_repo_settings({repo!r}, private=True),
    lambda: api.auth_check({repo!r}, write=True),
):
    try:
        raise SystemExit(f"done: {{call()}}")
    except Exception as error:
        print(type(error).__name__, str(error).replace(chr(10), " "))
(Path.home() / "x").mkdir()
(Path.home() / "x" / "a.txt").write_text("a")
done = subprocess.run([Path(sys.executable).with_name("hf"), "upload", {repo!r},
                       str(Path.home() / "x"), "."], capture_output=True, text=True)
assert done.returncode
print("upload", (done.stdout + done.stderr).replace(chr(10), " "))
""",
        held.front.base,
    )
    lines = out.splitlines()
    assert len(lines) == 8
    for line in lines:
        assert "Read-only" in line, line


def test_the_clients_token_is_the_key(
    tmp_path_factory: pytest.TempPathFactory, originals: Duo
) -> None:
    keys = "build:builder,read:reader"
    front = Front(tmp_path_factory.mktemp("keys"), originals, BOOMERANG_API_KEYS=keys).start()
    try:
        member = front.catalog.members(front.ready().id)[0]
        code = f"""
import os
from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import HfHubHTTPError
repo = "boomerang/teacher-{member.size}"
assert os.path.isfile(snapshot_download(repo) + "/model.safetensors")
assert HfApi().model_info(repo).private and list(HfApi().list_models())
assert HfApi().get_paths_info(repo, "config.json")
for token in (False, "wrong"):
    try:
        raise SystemExit(snapshot_download(repo, token=token, cache_dir="elsewhere"))
    except Exception as error:
        while error and not isinstance(error, HfHubHTTPError):
            error = error.__cause__
        assert "An API key is needed" in str(error), error
try:
    raise SystemExit(HfApi().create_repo("boomerang/x"))
except Exception as error:
    print(error)
"""
        out = run_client(code, front.base, token="reader")
        assert "403 Forbidden: This needs the scope 'build'" in out
        assert "Read-only" in run_client(code, front.base, token="builder")
    finally:
        front.close()

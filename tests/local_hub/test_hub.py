"""The test Hub itself, as the real client sees it; and a family member all the way through it."""

import json
from pathlib import Path

import pytest

from boomerang.assembly.stitch import member_files
from boomerang.card.card import card
from boomerang.card.facts import Facts, Size
from boomerang.family.composition import Composition, last_to_first
from boomerang.hub.publish import publish
from tests.local_hub.fixture import LocalHub, hub, run_client
from tests.local_hub.repos import OWNER, READER
from tests.local_hub.routes.lfs import PART_BYTES

pytestmark = pytest.mark.slow("the real client, in processes of its own")

__all__ = ["hub"]

CLIENT = """
import os
from pathlib import Path
from huggingface_hub import CommitOperationCopy, CommitOperationDelete, HfApi, snapshot_download
from huggingface_hub.errors import RemoteEntryNotFoundError, RepositoryNotFoundError

api = HfApi()
big = bytes(range(256)) * {blocks}
folder = Path(os.environ["HF_HOME"], "up")
(folder / "sub").mkdir(parents=True)
(folder / "README.md").write_text("---\\nlicense: mit\\n---\\n")
(folder / "a.safetensors").write_bytes(big)
(folder / "sub" / "b.txt").write_text("b")
api.create_repo("me/one", private=False)
api.create_repo("me/one", exist_ok=True)
assert api.repo_exists("me/one") and not api.repo_exists("me/none")
first = api.upload_folder(repo_id="me/one", folder_path=folder, commit_message="up").oid
assert api.upload_folder(repo_id="me/one", folder_path=folder, commit_message="no").oid == first

info = api.model_info("me/one")
assert info.sha == first and info.card_data.license == "mit"
tree = {{entry.path: entry for entry in api.list_repo_tree("me/one", recursive=True)}}
assert {{"a.safetensors", "sub", "sub/b.txt"}} <= set(tree)
assert tree["a.safetensors"].lfs.size == len(big)
assert [e.path for e in api.list_repo_tree("me/one", "sub")] == ["sub/b.txt"]
assert api.get_paths_info("me/one", ["sub/b.txt", "none"])[0].size == 1

api.create_tag("me/one", tag="v1")
api.create_branch("me/one", branch="pr/1")
api.create_commit("me/one", [CommitOperationDelete("sub/")], commit_message="rm", revision="pr/1")
refs = api.list_repo_refs("me/one")
assert [tag.target_commit for tag in refs.tags] == [first]
assert len(api.list_repo_commits("me/one", revision="pr/1")) == 3

api.create_repo("me/two")
copy = CommitOperationCopy("a.safetensors", "c.safetensors", src_repo_id="me/one",
                           src_repo_type="model")
if {xet}:
    api.create_commit("me/two", [copy], commit_message="copy")
else:  # The client copies between repositories only what has a xet hash.
    api.upload_file(path_or_fileobj=big, path_in_repo="c.safetensors", repo_id="me/two")
made = api.create_collection("Some", namespace="me", exists_ok=True)
assert api.create_collection("Some", namespace="me", exists_ok=True).slug == made.slug
api.add_collection_item(made.slug, "me/two", "model")
api.add_collection_item(made.slug, "me/two", "model", exists_ok=True)
assert [item.item_id for item in api.get_collection(made.slug).items] == ["me/two"]
assert api.whoami()["name"] == "tester"

got = Path(snapshot_download("me/two"))
assert (got / "c.safetensors").read_bytes() == big
old = Path(snapshot_download("me/one", revision="v1"))
assert (old / "sub" / "b.txt").read_text() == "b"
for repo, file, error in (("me/two", "none", RemoteEntryNotFoundError),
                          ("me/none", "x", RepositoryNotFoundError)):
    try:
        api.hf_hub_download(repo, file)
    except error:
        pass
    else:
        raise SystemExit(f"{{repo}}/{{file}} was served")
"""


@pytest.mark.parametrize("xet", [True, False])
def test_the_real_client(hub: LocalHub, xet: bool) -> None:
    blocks = 3 * PART_BYTES // 256
    run_client(CLIENT.format(blocks=blocks, xet=xet), hub.endpoint, xet=xet)
    assert hub.commits("me/one") == ["up"]
    assert hub.commits("me/one", "pr/1") == ["rm", "up"]
    assert "sub/b.txt" not in hub.files("me/one", "pr/1")
    assert len(hub.lines("PUT /storage/")) == (0 if xet else 6), "in parts, to each repository"
    two = hub.store.repos["me/two"].at("main").files["c.safetensors"]
    assert (two.xet is not None) is xet
    assert bool(hub.lines("xet-read-token")) is xet


@pytest.mark.parametrize("token", [None, READER])
def test_who_may_not_write(hub: LocalHub, tmp_path: Path, token: str | None) -> None:
    (tmp_path / "repo").mkdir()
    hub.add_repo("me/one", tmp_path / "repo")
    code = """
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError
try:
    HfApi().upload_file(path_or_fileobj=b"x", path_in_repo="x", repo_id="me/one")
except HfHubHTTPError as error:
    print(error.response.status_code)
"""
    assert run_client(code, hub.endpoint, token=token).strip() == "403"
    assert hub.files("me/one") == {}


@pytest.fixture
def spoken(tmp_path: Path) -> Path:
    """A folder with a tokenizer for the tiny models' vocabulary."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["[UNK]", "<s>", "</s>", "In", "the", "beginning"]
    words += [f"w{n}" for n in range(48 - len(words))]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    folder = tmp_path / "tokenizer"
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]").save_pretrained(folder)
    return folder


@pytest.mark.long("the real clients in processes of their own")
def test_a_member_published_loads_and_runs(
    hub: LocalHub, tmp_path: Path, spoken: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stitched from byte ranges, pushed, and loaded by a process that knows only the Hub."""
    from safetensors.torch import load_file
    from transformers import AutoModelForCausalLM

    from tests.support.models import duo

    monkeypatch.setenv("HF_TOKEN", OWNER)
    made = duo(tmp_path / "duo", "llama")
    for path in spoken.iterdir():
        (made.teacher_folder / path.name).write_bytes(path.read_bytes())
    pair = made.pair
    composition = Composition.patched(pair.layermap, last_to_first(pair.layermap)[:1])
    size = Size("5K", 5000, len(composition.layers), perplexity=10.0)
    facts = Facts(
        repo_id="family/Tiny-5K",
        size=size,
        composition=composition,
        teacher="org/tiny",
        teacher_commit="0" * 40,
        order="last",
        sizes=(size,),
    )
    files = member_files(pair, composition, card=card(facts))
    publish("family/Tiny-5K", files, message="5K", collection="Tiny", endpoint=hub.endpoint)
    published = hub.files("family/Tiny-5K")
    assert published == {name: file.read() for name, file in files.items()}

    code = f"""
import json, sys
import torch
from transformers import AutoModelForCausalLM
found, said = AutoModelForCausalLM.from_pretrained(
    "family/Tiny-5K", dtype="auto", output_loading_info=True)
assert not said["missing_keys"] and not said["unexpected_keys"], said
with torch.no_grad():
    print(json.dumps(found(torch.arange(9)[None]).logits.tolist()))
exec({card(facts).split("```python")[1].split("```")[0]!r})
"""
    logits, written = run_client(code, hub.endpoint).splitlines()
    local = tmp_path / "local"
    local.mkdir()
    for name, data in published.items():
        (local / name).write_bytes(data)
    import torch

    with torch.no_grad():
        wanted = AutoModelForCausalLM.from_pretrained(local)(torch.arange(9)[None]).logits
    # The files are equal byte for byte; the order of a sum is each process's own.
    torch.testing.assert_close(torch.tensor(json.loads(logits)), wanted, rtol=1e-5, atol=1e-5)
    assert written.startswith("In the beginning")
    stored = load_file(local / "model.safetensors")
    assert torch.equal(
        stored["model.embed_tokens.weight"], made.student.model.embed_tokens.weight.detach()
    )
    assert torch.equal(stored["lm_head.weight"], made.teacher.lm_head.weight.detach())

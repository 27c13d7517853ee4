"""The Hub's own clients read members from here, in a fresh process with HF_ENDPOINT."""

import json
from collections.abc import Callable, Iterator

import pytest

from boomerang.catalog.records.families import Member
from boomerang.catalog.records.states import Fact
from tests.app.conftest import Front
from tests.local_hub.fixture import run_client
from tests.support.models import Duo

pytestmark = pytest.mark.slow("the real client speaks with a real front end")

OUTCOME = """
def outcome(call):
    try:
        call()
    except Exception as error:
        print(type(error).__name__, "|", str(error).replace(chr(10), " "))
"""


@pytest.fixture(scope="module")
def held(
    tmp_path_factory: pytest.TempPathFactory, originals: Duo
) -> Iterator[tuple[Front, tuple[Member, ...]]]:
    front = Front(tmp_path_factory.mktemp("held"), originals).start()
    yield front, front.catalog.members(front.ready().id)
    front.close()


def test_the_client_of_the_hub(held: tuple[Front, tuple[Member, ...]]) -> None:
    front, members = held
    repo = f"boomerang/teacher-{members[1].size}"
    size = front.client.get(f"/models/{members[1].size}/model.safetensors").content
    code = f"""
import hashlib, json
from pathlib import Path
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
{OUTCOME}
api, repo = HfApi(), {repo!r}
assert api.repo_exists(repo)
assert not api.repo_exists("boomerang/teacher-9B")
assert not api.repo_exists("someone/teacher-9B")
assert api.file_exists(repo, "config.json")
assert not api.file_exists(repo, "x.json")
info = api.model_info(repo, files_metadata=True)
assert len(info.sha) == 40 and info.card_data["license"] is None, info
tree = {{entry.path: entry.size for entry in api.list_repo_tree(repo, recursive=True)}}
assert tree == {{s.rfilename: s.size for s in info.siblings}}
assert set(tree) == set(api.list_repo_files(repo)) and "README.md" in tree
(found,) = api.get_paths_info(repo, ["config.json", "nothing"])
assert (found.path, found.size) == ("config.json", tree["config.json"])
folder = Path(snapshot_download(repo))
assert folder.name == info.sha
assert {{p.name: p.stat().st_size for p in folder.iterdir()}} == tree
weights = (folder / "model.safetensors").read_bytes()
assert hashlib.sha256(weights).hexdigest() == {__import__("hashlib").sha256(size).hexdigest()!r}
pinned = hf_hub_download(repo, "config.json", revision=info.sha)
assert Path(pinned).parent.name == info.sha
assert api.get_safetensors_metadata(repo).parameter_count == {{"F32": {members[1].parameters}}}
outcome(lambda: hf_hub_download(repo, "nothing.json"))
outcome(lambda: hf_hub_download(repo, "config.json", revision="v9"))
outcome(lambda: api.model_info(repo, revision="0" * 40))
outcome(lambda: hf_hub_download("boomerang/none", "config.json"))
outcome(lambda: hf_hub_download("someone/none", "config.json"))
outcome(lambda: snapshot_download("boomerang/none"))
"""
    lines = run_client(code, front.base, token=None).splitlines()
    assert [line.split(" | ")[0] for line in lines] == [
        "RemoteEntryNotFoundError",
        "RevisionNotFoundError",
        "RevisionNotFoundError",
        "RepositoryNotFoundError",
        "RepositoryNotFoundError",
        "RepositoryNotFoundError",
    ]


@pytest.mark.long("the real client speaks with a real front end")
def test_a_family_that_is_not_ready_says_so(front: Front) -> None:
    made = front.queued()
    repo = made["members"][0]["hub_id"]
    code = f"""
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from transformers import AutoModelForCausalLM
{OUTCOME}
assert not HfApi().repo_exists({repo!r})
outcome(lambda: hf_hub_download({repo!r}, "config.json"))
outcome(lambda: snapshot_download({repo!r}))
outcome(lambda: AutoModelForCausalLM.from_pretrained({repo!r}))
"""
    lines = run_client(code, front.base, token=None).splitlines()
    for line in lines[:2]:
        assert line.startswith("RepositoryNotFoundError")
        assert "The student of teacher is queued" in line
    assert "onnection" not in lines[2]
    assert lines[2].startswith(("OSError", "RepositoryNotFoundError"))


def test_paths_info_from_others(held: tuple[Front, tuple[Member, ...]]) -> None:
    front, members = held
    url = f"/api/models/boomerang/teacher-{members[0].size}/paths-info/main"
    got = front.client.post(url, json={"paths": ["config.json"]}).json()
    assert [entry["path"] for entry in got] == ["config.json"]
    for body in (b"[]", b"nonsense", b'{"paths": 7}', b'{"paths": [7]}'):
        kind = {"Content-Type": "application/json"}
        assert front.client.post(url, content=body, headers=kind).status_code == 422


def test_a_commit_stands_for_every_byte(held: tuple[Front, tuple[Member, ...]]) -> None:
    front, members = held
    member = members[0]
    api = f"/api/models/boomerang/teacher-{member.size}"
    before = front.client.get(api).json()["sha"]
    assert front.client.get(api).headers["x-repo-commit"] == before
    assert front.client.head(api).status_code == 200
    assert front.client.head(f"{api}/tree/main/").status_code == 200
    # Measures are in the card, so they make a new commit; neither is served as the other.
    front.catalog.set_fact(member.family, member.k, "measured", Fact.YES, perplexity=7.25, kl=0.5)
    after = front.client.get(api).json()["sha"]
    assert after != before
    card = front.client.get(f"/boomerang/teacher-{member.size}/resolve/{after}/README.md")
    assert "7.25" in card.text
    assert card.headers["x-repo-commit"] == after
    old = front.client.get(f"/boomerang/teacher-{member.size}/resolve/{before}/README.md")
    assert (old.status_code, old.headers["x-repo-commit"]) == (200, before)
    assert "7.25" not in old.text
    assert front.client.get(f"{api}/revision/{before}").json()["sha"] == before
    other = front.client.get(f"/boomerang/teacher-{members[1].size}/resolve/{before}/README.md")
    assert (other.status_code, other.headers["x-error-code"]) == (404, "RevisionNotFound")
    head = front.client.head(f"/boomerang/teacher-{member.size}/resolve/main/model.safetensors")
    assert head.headers["x-linked-size"] == head.headers["content-length"]
    config = front.client.get(f"/boomerang/teacher-{member.size}/resolve/main/config.json")
    assert json.loads(config.content)["num_hidden_layers"] == member.layers


@pytest.mark.long("the real client speaks with a real front end")
def test_a_commit_that_was_told_stays_valid(make_front: Callable[..., Front], url: str) -> None:
    front = make_front(BOOMERANG_DATABASE_URL=url)
    family = front.ready()
    member = front.catalog.members(family.id)[0]
    repo = f"boomerang/teacher-{member.size}"

    def measured(perplexity: float) -> str:
        front.catalog.set_fact(family.id, member.k, "measured", Fact.YES, perplexity=perplexity)
        return str(front.client.get(f"/api/models/{repo}").json()["sha"])

    commits = [measured(2.0 + step / 64) for step in range(70)]
    assert len(set(commits)) == 70
    weights = front.client.get(f"/{repo}/resolve/main/model.safetensors").content
    cards = {
        commit: front.client.get(f"/{repo}/resolve/{commit}/README.md").text
        for commit in (commits[0], commits[32], commits[-1])
    }
    assert len(set(cards.values())) == 3
    front.stop()
    front.start()
    for commit, text in cards.items():
        card = front.client.get(f"/{repo}/resolve/{commit}/README.md")
        assert (card.status_code, card.headers["x-repo-commit"]) == (200, commit)
        assert card.text == text
        listed = front.client.get(f"/api/models/{repo}/revision/{commit}").json()
        assert listed["sha"] == commit
    found = front.client.get(f"/{repo}/resolve/{commits[0]}/model.safetensors")
    assert found.content == weights
    # One that nobody was told, and that of a member that is gone, stand for nothing.
    assert front.client.get(f"/{repo}/resolve/{'0' * 40}/README.md").status_code == 404
    front.catalog.delete_family(family.id)
    assert front.client.get(f"/{repo}/resolve/{commits[0]}/README.md").status_code == 404
    assert front.catalog.revision(commits[0]) is None

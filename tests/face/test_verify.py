"""Members on a Hub and in folders: the true ones are proven, and every lie is found and named."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import boomerang
from boomerang.assembly import comparing
from boomerang.checkpoint.header import Tensor
from boomerang.checkpoint.table import Checkpoint
from boomerang.errors import GatedTeacher, HubUnreachable, NotAMember, NotFound, TeacherNotFound
from boomerang.face.verify import Verified
from boomerang.hub import client
from tests.local_hub.fixture import LocalHub, hub
from tests.local_hub.repos import OWNER
from tests.support.models import Duo, duo, edit_json

__all__ = ["hub"]

WEIGHTS = "model.safetensors"


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that even these models are several ranges."""
    monkeypatch.setattr(comparing, "SEGMENT", 20_000)


@dataclass(frozen=True)
class Made:
    """A member of two models, as a folder that is to be falsified."""

    duo: Duo
    folder: Path

    def tensor(self, name: str) -> Tensor:
        return Checkpoint.open(self.folder).tensors[name]

    def flip(self, name: str, at: int) -> int:
        """Change one byte of a tensor; returns its place in the file."""
        offset = self.tensor(name).start + at
        data = bytearray((self.folder / WEIGHTS).read_bytes())
        data[offset] ^= 1
        (self.folder / WEIGHTS).write_bytes(data)
        return offset

    def rewrite(self, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
        """Write other tensors."""
        tensors = load_file(self.folder / WEIGHTS)
        change(tensors)
        save_file(tensors, self.folder / WEIGHTS, {"format": "pt"})

    def verify(self, **options: Any) -> Verified:
        """Beside the folders of the two models."""
        folders = {"teacher": self.duo.teacher_folder, "student": self.duo.student_folder}
        return boomerang.verify(self.folder, **{**folders, **options})


@dataclass(frozen=True)
class Published(Made):
    """One whose two models are on a Hub."""

    hub: LocalHub

    def verify(self, **options: Any) -> Verified:
        """Of what the folder holds now, published."""
        self.hub.store.repos.pop("me/member", None)
        self.hub.add_repo("me/member", self.folder)
        return boomerang.verify("me/member", **options)


def make(made: Duo, *, patch: int = 1) -> Made:
    (made.teacher_folder / "tokenizer.json").write_text("{}")
    out = made.teacher_folder.with_name("member")
    pair = str(made.teacher_folder), str(made.student_folder)
    boomerang.assemble(pair, None, out, order="last", patch=patch)
    return Made(made, out)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(duo(tmp_path_factory.mktemp("original"), "llama"))


@pytest.fixture
def made(original: Made, tmp_path: Path) -> Made:
    """A copy of the member that may be changed."""
    return Made(original.duo, Path(shutil.copytree(original.folder, tmp_path / "member")))


@pytest.fixture
def published(
    hub: LocalHub, original: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Published:
    """One that names repositories of a Hub."""
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    monkeypatch.setenv("HF_TOKEN", OWNER)
    monkeypatch.setattr(client, "FIRST_WAIT", 0.01)
    hub.add_repo("org/teacher", original.duo.teacher_folder)
    hub.add_repo("me/student", original.duo.student_folder)
    out = tmp_path / "published"
    boomerang.assemble(("org/teacher", "me/student"), None, out, order="last", patch=1)
    return Published(original.duo, out, hub)


TEACHERS, STUDENTS = (f"model.layers.{i}.mlp.up_proj.weight" for i in (4, 1))


def test_a_true_member_is_proven_by_reading_each_byte_once(published: Published) -> None:
    made = published
    found = made.verify(whole=True)
    assert (found.proven, found.mismatch, found.unchecked) == (True, None, ())
    assert found.tensors == len(Checkpoint.open(made.folder).tensors)
    size = (made.folder / WEIGHTS).stat().st_size
    assert found.compared == found.bytes > size - 8_000
    before = made.hub.layer.sent
    boomerang.verify("me/member", whole=True)
    headers = 2 * sum(path.stat().st_size for path in made.folder.iterdir()) - found.bytes
    assert made.hub.layer.sent - before < 2 * found.bytes + 3 * headers

    found = made.verify(sample=10_000, seed=7)
    assert (found.proven, found.seed, found.compared) == (True, 7, 10_000)
    folders = Made(made.duo, made.folder)
    assert folders.verify(sample=10_000).seed != folders.verify(sample=10_000).seed


@pytest.mark.parametrize(
    ("name", "side", "source"),
    [(TEACHERS, "teacher", "model.layers.6."), (STUDENTS, "student", "model.layers.1.")],
)
def test_one_byte_that_differs_is_named(made: Made, name: str, side: str, source: str) -> None:
    offset = made.flip(name, 801)
    found = made.verify(whole=True)
    assert not found.proven
    assert found.mismatch is not None
    assert (found.mismatch.file, found.mismatch.tensor) == (WEIGHTS, name)
    assert found.mismatch.offset == offset
    folder = getattr(made.duo, f"{side}_folder")
    at = Checkpoint.open(folder).tensors[f"{source}mlp.up_proj.weight"].start + 801
    wanted = f"{source}mlp.up_proj.weight of the {side} ({WEIGHTS} from byte {at})"
    assert found.mismatch.expected == wanted
    # Of a sample it depends on the seed, and a seed that hits hits again.
    hits = [seed for seed in range(16) if made.verify(sample=20_000, seed=seed).mismatch]
    assert 0 < len(hits) < 16
    assert made.verify(sample=20_000, seed=hits[0]).mismatch == found.mismatch


def test_the_first_of_many_is_named_and_of_a_layer_in_the_wrong_place_any_sample_tells(
    made: Made,
) -> None:
    def swap(tensors: dict[str, torch.Tensor]) -> None:
        for name in [one for one in tensors if ".layers.4." in one]:
            other = name.replace(".4.", ".5.")
            tensors[name], tensors[other] = tensors[other], tensors[name]

    made.rewrite(swap)
    for seed in range(5):
        found = made.verify(sample=500, seed=seed)
        assert found.mismatch is not None
        assert str(found.mismatch.tensor).startswith(("model.layers.4.", "model.layers.5."))
    first = made.verify(whole=True).mismatch
    stored = Checkpoint.open(made.folder).tensors.values()
    wrong = [t for t in stored if ".layers.4." in t.name or ".layers.5." in t.name]
    assert first is not None
    assert first.tensor == min(wrong, key=lambda tensor: tensor.start).name


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.pop(TEACHERS), "There is no tensor 'model.layers.4.mlp.up_proj.weight'."),
        (lambda t: t.update({"model.layers.9.x": t.pop(STUDENTS)}), "but 'model.layers.9.x'"),
        (lambda t: t.update({"model.extra": torch.zeros(3)}), "'model.extra' belongs to no"),
        (lambda t: t.update({STUDENTS: t[STUDENTS].half()}), "is F16 instead of F32"),
        (lambda t: t.update({STUDENTS: t[STUDENTS].T.contiguous()}), "instead of [24, 16]"),
    ],
    ids=["missing", "renamed", "extra", "dtype", "shape"],
)
def test_headers_that_differ_are_named_before_a_byte_is_compared(
    made: Made, change: Callable[[dict[str, torch.Tensor]], object], said: str
) -> None:
    made.rewrite(change)
    found = made.verify()
    assert found.mismatch is not None
    assert said in found.mismatch.detail
    assert (found.proven, found.compared) == (False, 0)


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("tokenizer.json", "[]", "tokenizer.json is another"),
        ("generation_config.json", None, "no generation_config.json"),
        ("pytorch_model.bin", "code", "none of its weights"),
    ],
)
def test_files_beside_the_weights_are_the_teachers(
    made: Made, file: str, text: str | None, said: str
) -> None:
    (made.folder / file).unlink(missing_ok=True)
    if text is not None:
        (made.folder / file).write_text(text)
    found = made.verify()
    assert found.mismatch is not None
    assert said in found.mismatch.detail


def test_a_config_that_computes_something_else_is_found(made: Made) -> None:
    edit_json(made.folder / "config.json", rms_norm_eps=0.5)
    found = made.verify()
    assert found.mismatch is not None
    assert found.mismatch.file == "config.json"
    config = (made.folder / "config.json").read_bytes()
    digests = {"member": None, "config": hashlib.sha256(config).hexdigest()}
    edit_json(made.folder / "boomerang.json", digests=digests)
    found = made.verify()
    assert found.mismatch is not None
    assert "rms_norm_eps is 0.5 instead of" in found.mismatch.detail


def test_models_that_are_not_those_it_names_are_refused(published: Published) -> None:
    path, weights = published.folder / "boomerang.json", published.duo.student_folder / WEIGHTS
    student = json.loads(path.read_text())["student"]
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    for wanted, proven in ((digest, True), ("0" * 64, False)):
        edit_json(path, student=student | {"files": {WEIGHTS: wanted}})
        assert published.verify(sample=1).proven is proven, "as the Hub lists it"
        folder = Made(published.duo, published.folder)
        assert folder.verify(whole=True).proven is proven, "as it is"


def test_a_gated_teacher_and_a_private_student(
    hub: LocalHub, published: Published, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = published
    hub.store.repos["me/student"].private = True
    assert made.verify().proven, "its owner may see it"
    monkeypatch.delenv("HF_TOKEN")
    found = made.verify()
    assert (found.proven, found.mismatch, found.student) == (False, None, None)
    assert "me/student" in found.unchecked[0]
    assert "28 tensors of the student" in found.unchecked[1]
    assert made.verify(teacher_only=True).proven
    assert made.verify(student=made.duo.student_folder).proven
    made.flip(TEACHERS, 1)
    assert made.verify(teacher_only=True).mismatch is not None
    hub.store.repos["org/teacher"].gated = True
    with pytest.raises(GatedTeacher, match="The teacher of 'me/member' cannot be read"):
        made.verify()
    given = made.verify(teacher=made.duo.teacher_folder, student=made.duo.student_folder)
    assert given.mismatch is not None


def test_what_is_no_member_or_lost_its_teacher(hub: LocalHub, published: Published) -> None:
    for name in ("org/teacher", "me/student"):
        with pytest.raises(NotAMember, match=f"'{name}' is no member"):
            boomerang.verify(name)
    published.verify()
    del hub.store.repos["org/teacher"]
    with pytest.raises(TeacherNotFound, match="--teacher"):
        boomerang.verify("me/member")
    hub.fail("me/member", 503, times=99)
    with pytest.raises(HubUnreachable):
        boomerang.verify("me/member")


def test_a_member_of_an_earlier_version(published: Published) -> None:
    made = published
    path = made.folder / "boomerang.json"
    record = json.loads(path.read_text())
    former = {key: record[key] for key in ("layer_map", "composition", "layers", "ends")}
    commit = record["teacher"]["commit"]
    former |= {"teacher": "org/teacher", "teacher_commit": commit, "student": "0" * 32}
    path.write_text(json.dumps(former))
    found = made.verify()
    assert (found.format, found.proven, found.mismatch) == (1, False, None)
    assert made.verify(student="me/student").proven
    path.write_text(json.dumps(former | {"teacher_commit": None}))
    with pytest.raises(NotFound, match="no repository"):
        made.verify()


def test_a_member_of_shards_that_was_cast(tmp_path: Path) -> None:
    pair = duo(tmp_path, "qwen3-tied", frozen=True)
    pair.teacher.to(torch.bfloat16).save_pretrained(pair.teacher_folder)
    made = make(pair)
    load = load_file(made.folder / WEIGHTS)
    (made.folder / WEIGHTS).unlink()
    names = sorted(load)
    parts = {"model-00001-of-00002": names[::2], "model-00002-of-00002": names[1::2]}
    for file, some in parts.items():
        save_file({n: load[n] for n in some}, made.folder / f"{file}.safetensors")
    index = {n: f"{file}.safetensors" for file, some in parts.items() for n in some}
    (made.folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    assert made.verify(whole=True).proven
    assert made.verify(sample=2_000).proven
    load[STUDENTS].view(torch.int16)[3, 3] ^= 1
    some = parts[index[STUDENTS].removesuffix(".safetensors")]
    save_file({n: load[n] for n in some}, made.folder / index[STUDENTS])
    found = made.verify(whole=True)
    assert found.mismatch is not None
    assert (found.mismatch.file, found.mismatch.tensor) == (index[STUDENTS], STUDENTS)
    assert "cast from F32" in str(found.mismatch.expected)


def test_embeddings_that_are_tied_across_must_be_those_of_both(tmp_path: Path) -> None:
    made = make(duo(tmp_path / "true", "llama-tied", frozen=True))
    assert json.loads((made.folder / "config.json").read_text())["tie_word_embeddings"]
    assert made.verify(whole=True).proven
    other = duo(tmp_path / "false", "llama-tied")
    found = made.verify(whole=True, student=other.student_folder)
    assert found.mismatch is not None
    assert str(found.mismatch.expected).startswith("model.embed_tokens.weight of the student")


def test_files_of_one_sha256_are_not_read(published: Published) -> None:
    shutil.rmtree(published.folder)
    pair = "org/teacher", "me/student"
    boomerang.assemble(pair, None, published.folder, order="last", patch=0)
    student = published.duo.student_folder / WEIGHTS
    shutil.copyfile(student, published.folder / WEIGHTS)
    found = published.verify(whole=True)
    assert (found.proven, found.compared, found.known) == (True, 0, found.bytes)

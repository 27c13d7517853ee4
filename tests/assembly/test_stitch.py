"""The proof: a member's files, loaded by transformers, are the model that docs/method.md describes.

The other side of each comparison is put together from torch modules in memory. It shares no code
with what is tested: the rules for `last` and `first` are written here a second time, from their
text, and layers, norm and head are moved as modules, never as named tensors.
"""

import copy
import itertools
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, PreTrainedModel

from boomerang.assembly.stitch import member_files, place
from boomerang.checkpoint.files import INDEX, SINGLE
from boomerang.errors import BadRequest
from boomerang.family.composition import Composition, first_to_last, last_to_first
from boomerang.family.member_config import is_tied
from tests.support.models import LAYERS, Duo, duo, edit_json, model, save_student

TOKENS = torch.arange(24).reshape(2, 12) * 7 % 48
PROVEN = ("llama", "llama-tied", "qwen3-tied", "gpt_neox", "gpt2")
STACKS = {
    "gpt2": ("h", "ln_f"), "gpt_neox": ("layers", "final_layer_norm"),
    "phi": ("layers", "final_layernorm"),
}  # fmt: skip
MAPS = ((0, 2, 3, 5, 7), (0, 1, 3, 6))
"""Long and one-layer blocks; a one-layer block at the start, and one of three layers."""


@dataclass(frozen=True)
class Recipe:
    """A member in words: `("s", 3)` is the student's layer 3; the ends are "s" or "t"."""

    layers: tuple[tuple[str, int], ...]
    embeddings: str
    end: str


def told(kept: Sequence[int], order: str, k: int, layers: int = LAYERS) -> Recipe:
    """The rule of docs/method.md, 'Counting k', word for word."""
    ends = [*kept[1:], layers]
    long = [j for j in range(len(kept)) if ends[j] - kept[j] > 1]
    student = [("s", j) for j in range(len(kept))]
    teacher = [("t", i) for i in range(layers)]
    if k == 0:
        return Recipe(tuple(student), "s", "s")
    if k == len(long):
        return Recipe(tuple(teacher), "t", "t")
    if order == "last":
        kept_to = long[-(k + 1)]
        return Recipe((*student[: kept_to + 1], *teacher[ends[kept_to] :]), "s", "t")
    kept_from = long[k]
    return Recipe((*teacher[: kept[kept_from]], *student[kept_from:]), "t", "s")


def chosen(kept: Sequence[int], letters: str, layers: int = LAYERS) -> Recipe:
    """An explicit choice for each block; ends go with the outermost layers."""
    ends = [*kept[1:], layers]
    found: list[tuple[str, int]] = []
    for j, letter in enumerate(letters):
        if letter == "s":
            found.append(("s", j))
        else:
            found += [("t", i) for i in range(kept[j], ends[j] if letter == "b" else kept[j] + 1)]
    return Recipe(tuple(found), found[0][0], found[-1][0])


def put_together(made: Duo, recipe: Recipe) -> PreTrainedModel:
    """The member as modules: a copy of the teacher with its stack and ends replaced."""
    sides = {"s": made.student, "t": made.teacher}
    member = copy.deepcopy(made.teacher)
    stack, norm = STACKS.get(member.config.model_type, ("layers", "norm"))
    modules, kinds = [], []
    for at, (side, index) in enumerate(recipe.layers):
        module = copy.deepcopy(getattr(sides[side].base_model, stack)[index])
        for inner in module.modules():
            if hasattr(inner, "layer_idx"):
                inner.layer_idx = at
        modules.append(module)
        kinds.append((getattr(sides[side].config, "layer_types", None) or [None] * 99)[index])
    setattr(member.base_model, stack, torch.nn.ModuleList(modules))
    member.config.num_hidden_layers = len(modules)
    if kinds[0] is not None:
        member.config.layer_types = kinds
    # The heads first: a tied one is still the teacher's embeddings here.
    head = copy.deepcopy(sides[recipe.end].get_output_embeddings())
    names = ("wte", "wpe") if member.config.model_type == "gpt2" else ("embed_tokens", "embed_in")
    for name in names:
        if hasattr(member.base_model, name):
            embeddings = copy.deepcopy(getattr(sides[recipe.embeddings].base_model, name))
            setattr(member.base_model, name, embeddings)
    setattr(member.base_model, norm, copy.deepcopy(getattr(sides[recipe.end].base_model, norm)))
    member.set_output_embeddings(head)
    return member


def logits(of: PreTrainedModel) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = of(input_ids=TOKENS, use_cache=False).logits
    return found


def written(made: Duo, composition: Composition, folder: Path, **options: Any) -> Path:
    folder.mkdir()
    for name, file in member_files(made.pair, composition, **options).items():
        file.write(folder / name)
    return folder


def loaded(folder: Path) -> PreTrainedModel:
    """Load as everybody does, with no key missing, left over or of another shape."""
    member, said = AutoModelForCausalLM.from_pretrained(folder, output_loading_info=True)
    left = {key: value for key, value in said.items() if value}
    assert left == {}
    found: PreTrainedModel = member.eval()
    return found


def prove(made: Duo, composition: Composition, recipe: Recipe, folder: Path) -> PreTrainedModel:
    member, wanted = loaded(written(made, composition, folder)), put_together(made, recipe)
    assert torch.equal(logits(member), logits(wanted))
    assert member.config.num_hidden_layers == len(recipe.layers)
    return member


@pytest.fixture(scope="module", params=list(itertools.product(PROVEN, MAPS)),
                ids=lambda p: f"{p[0]}-{''.join(map(str, p[1]))}")  # fmt: skip
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Duo:
    kind, kept = request.param
    return duo(tmp_path_factory.mktemp("duo"), kind, kept=kept)


@pytest.mark.parametrize("order", ["last", "first"])
def test_every_k_of_both_orders(made: Duo, order: str, tmp_path: Path) -> None:
    map_ = made.pair.layermap
    patch_order = last_to_first(map_) if order == "last" else first_to_last(map_)
    seen = []
    for k in range(len(patch_order) + 1):
        recipe = told(made.kept, order, k)
        member = prove(made, Composition.patched(map_, patch_order[:k]), recipe, tmp_path / str(k))
        seen.append(logits(member))
    assert torch.equal(seen[0], logits(made.student))
    assert torch.equal(seen[-1], logits(made.teacher))
    assert not any(torch.allclose(a, b, atol=1e-3) for a, b in itertools.combinations(seen, 2))


def test_explicit_choices(made: Duo, tmp_path: Path) -> None:
    width = len(made.kept)
    lists = ["f" * width, "b" * width, ("sb" * width)[:width], ("bfs" * width)[:width],
             "s" + "f" * (width - 2) + "s"]  # fmt: skip
    lists += ["".join(random.Random(seed).choices("sbf", k=width)) for seed in (1, 2)]
    for letters in sorted(set(lists)):
        composition = Composition.of(made.pair.layermap, letters)
        prove(made, composition, chosen(made.kept, letters), tmp_path / letters)


def test_patched_sets_of_no_order(tmp_path: Path) -> None:
    """As klpatch finds them: one-layer blocks go with a patched neighbour."""
    made = duo(tmp_path, "qwen3-tied")
    # Blocks 0-1, 2, 3-4, 5-6, 7: block 2 is between the first two long ones, 7 behind the last.
    for patched, letters in (({2}, "sbbss"), ({0, 3}, "bbsbb"), ({0, 2}, "bbbss")):
        composition = Composition.patched(made.pair.layermap, patched)
        prove(made, composition, chosen(made.kept, letters), tmp_path / letters)


def test_layer_types_follow_the_layers(tmp_path: Path) -> None:
    kinds = ["sliding_attention" if i in (1, 2, 5, 7) else "full_attention" for i in range(LAYERS)]
    made = duo(tmp_path, "qwen3-tied", layer_types=kinds, use_sliding_window=True,
               sliding_window=3)  # fmt: skip
    assert not torch.allclose(logits(made.teacher), logits(model("qwen3-tied", 1)), atol=1e-3)
    for order, k in itertools.product(("last", "first"), range(4)):
        map_ = made.pair.layermap
        patch_order = last_to_first(map_) if order == "last" else first_to_last(map_)
        recipe = told(made.kept, order, k)
        composition = Composition.patched(map_, patch_order[:k])
        member = prove(made, composition, recipe, tmp_path / f"{order}{k}")
        stands_for = [made.kept[i] if side == "s" else i for side, i in recipe.layers]
        assert member.config.layer_types == [kinds[i] for i in stands_for]


def test_layer_types_that_a_config_only_implies(tmp_path: Path) -> None:
    """Old Qwen2 configs have max_window_layers and no list, which is written out."""
    kinds = ["sliding_attention" if i >= 3 else "full_attention" for i in range(LAYERS)]
    made = duo(tmp_path, "qwen2", layer_types=kinds, use_sliding_window=True, sliding_window=3)
    path = made.teacher_folder / "config.json"
    config = json.loads(path.read_text())
    del config["layer_types"]
    path.write_text(json.dumps({**config, "max_window_layers": 3}))
    assert torch.equal(logits(loaded(made.teacher_folder)), logits(made.teacher))
    composition = Composition.patched(made.pair.layermap, {3})
    prove(made, composition, told(made.kept, "last", 1), tmp_path / "member")


@pytest.mark.parametrize("kind", ["llama-tied", "qwen3-tied", "gpt2"])
@pytest.mark.parametrize("frozen", [True, False])
def test_tied_teachers(kind: str, frozen: bool, tmp_path: Path) -> None:
    """Frozen embeddings keep every member tied; others are untied, and both tensors are stored."""
    made = duo(tmp_path, kind, frozen=frozen)
    if kind == "gpt2":
        assert made.teacher.config.tie_word_embeddings
    composition = Composition.patched(made.pair.layermap, {3})
    member = prove(made, composition, told(made.kept, "last", 1), tmp_path / "member")
    assert is_tied(made.pair, composition) is frozen
    config = json.loads((tmp_path / "member/config.json").read_text())
    assert config["tie_word_embeddings"] is frozen
    names = {item.name for item in place(made.pair, composition)}
    assert ("lm_head.weight" in names) is not frozen
    head, embeddings = member.get_output_embeddings(), member.get_input_embeddings()
    assert torch.equal(head.weight, embeddings.weight) is frozen
    assert made.pair.shared_embeddings is frozen


def test_frozen_positions_count_too_and_shards_may_order_them_otherwise(tmp_path: Path) -> None:
    made = duo(tmp_path, "gpt2", frozen=True)
    tensors = load_file(made.teacher_folder / SINGLE)
    (made.teacher_folder / SINGLE).unlink()
    tokens = {"transformer.wte.weight": tensors.pop("transformer.wte.weight")}
    save_file(tokens, made.teacher_folder / "model-1.safetensors")
    save_file(tensors, made.teacher_folder / "model-2.safetensors")
    shards = dict.fromkeys(tokens, "model-1.safetensors")
    shards |= dict.fromkeys(tensors, "model-2.safetensors")
    (made.teacher_folder / INDEX).write_text(json.dumps({"weight_map": shards}))
    assert made.pair.shared_embeddings
    with torch.no_grad():
        made.student.transformer.wpe.weight[-1, -1] += 1
    save_student(made.student, made.student_folder, made.kept, LAYERS)
    assert not made.pair.shared_embeddings


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_shards_in_and_out(kind: str, tmp_path: Path) -> None:
    made = duo(tmp_path, kind)
    (made.teacher_folder / SINGLE).unlink()
    made.teacher.save_pretrained(made.teacher_folder, max_shard_size="12KB")
    assert len(list(made.teacher_folder.glob("*.safetensors"))) > 2
    composition = Composition.patched(made.pair.layermap, {0})
    folder = written(made, composition, tmp_path / "member", shard_bytes=10_000)
    shards = sorted(folder.glob("*.safetensors"))
    index = json.loads((folder / INDEX).read_text())
    assert len(shards) > 2
    assert set(index["weight_map"].values()) == {path.name for path in shards}
    wanted = logits(put_together(made, told(made.kept, "first", 1)))
    assert torch.equal(logits(loaded(folder)), wanted)
    with pytest.raises(BadRequest):
        member_files(made.pair, composition, shard_bytes=100)


def test_a_member_has_the_teachers_dtype(tmp_path: Path) -> None:
    made = duo(tmp_path, "llama-tied", frozen=True)
    made.teacher.to(torch.bfloat16).save_pretrained(made.teacher_folder)
    composition = Composition.patched(made.pair.layermap, {3})
    member = loaded(written(made, composition, tmp_path / "member"))
    made.student.to(torch.bfloat16)
    wanted = put_together(made, told(made.kept, "last", 1))
    for name, parameter in wanted.named_parameters():
        assert member.get_parameter(name).dtype is torch.bfloat16
        assert torch.equal(member.get_parameter(name), parameter)
    assert member.config.dtype is torch.bfloat16
    assert {item.dtype for item in place(made.pair, composition)} == {"BF16"}


def test_what_travels_and_what_is_written(tmp_path: Path) -> None:
    made = duo(tmp_path, "llama")
    for name in (
        "tokenizer.json",
        "LICENSE",
        "modeling_x.py",
        "pytorch_model.bin",
        "boomerang.json",
    ):
        (made.teacher_folder / name).write_text("{}")
    edit_json(made.teacher_folder / "config.json", auto_map={"AutoModel": "x.Y"},
              _name_or_path="somewhere/else")  # fmt: skip
    map_ = made.pair.layermap
    files = member_files(made.pair, Composition.patched(map_, {3}), record={"seed": 3}, card="# hi")
    assert {"tokenizer.json", "LICENSE", "generation_config.json", "README.md"} <= files.keys()
    assert not {"modeling_x.py", "pytorch_model.bin", "student_config.json"} & files.keys()
    record = json.loads(files["boomerang.json"].read())
    assert (record["seed"], record["composition"]) == (3, "sssbb+stt")
    assert record["layer_map"] == {"kept": list(made.kept), "layers": LAYERS}
    config = json.loads(files["config.json"].read())
    assert not {"auto_map", "_name_or_path"} & config.keys()
    student = member_files(made.pair, Composition.patched(map_, ()))
    said = json.loads((made.student_folder / "student_config.json").read_text())
    assert json.loads(student["student_config.json"].read()) == said


def test_a_written_student_serves_as_a_student(tmp_path: Path) -> None:
    made = duo(tmp_path, "gpt_neox")
    folder = written(made, Composition.patched(made.pair.layermap, ()), tmp_path / "again")
    again = Duo(made.teacher, made.student, made.teacher_folder, folder, made.kept)
    composition = Composition.patched(made.pair.layermap, {3})
    prove(again, composition, told(made.kept, "last", 1), tmp_path / "member")


def test_the_same_member_is_the_same_bytes(tmp_path: Path) -> None:
    made = duo(tmp_path, "qwen3-tied", frozen=True)
    map_ = made.pair.layermap
    for letters in ("bbbbb", "fbfff"):
        first, second = (member_files(made.pair, Composition.of(map_, letters)) for _ in range(2))
        assert {n: f.sha256() for n, f in first.items()} == {
            n: f.sha256() for n, f in second.items()
        }

"""Published students that say nothing of themselves: DistilBERT of BERT, DistilGPT2 of GPT-2.

Members are loaded by transformers from their files, and compared with modules of both models put
together in memory.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModelForMaskedLM,
    BertConfig,
    BertForMaskedLM,
    BertForPreTraining,
    BertModel,
    DistilBertConfig,
    DistilBertForMaskedLM,
    PreTrainedModel,
)

import boomerang
from boomerang.architecture.anatomy import dissect
from boomerang.architecture.bert import Zeros
from boomerang.architecture.runtimes import runtimes
from boomerang.assembly.bytefile import ByteFile
from boomerang.assembly.stitch import member_files
from boomerang.card.card import card
from boomerang.card.facts import Facts, Size
from boomerang.checkpoint.files import SINGLE
from boomerang.checkpoint.table import Checkpoint
from boomerang.errors import (
    BoomerangError,
    CorruptCheckpoint,
    StudentMismatch,
    UnsupportedArchitecture,
)
from boomerang.family.composition import Composition, Side, first_to_last, last_to_first
from boomerang.family.ladder import Ladder
from boomerang.family.layer_map import LayerMap
from boomerang.family.member_config import is_tied
from boomerang.family.pair import Pair
from boomerang.modules.verify import verify, verify_kinds
from tests.app.conftest import tokenizer
from tests.assembly.test_stitch import Recipe, loaded, logits, put_together
from tests.assembly.test_stitch import told as rule
from tests.support.cli_stub import error, told
from tests.support.models import edit_json, model

pytestmark = pytest.mark.slow("models of several sizes are built and loaded")

KEPT, LAYERS = (0, 2, 4, 7, 9, 11), 12
IDS = torch.arange(24).reshape(2, 12) * 7 % 48
PADDED = (torch.arange(12) < torch.tensor([[12], [7]])).long()
BERT: dict[str, Any] = {
    "vocab_size": 48, "hidden_size": 16, "num_hidden_layers": LAYERS, "num_attention_heads": 4,
    "intermediate_size": 24, "max_position_embeddings": 64, "type_vocab_size": 3,
}  # fmt: skip
DISTIL: dict[str, Any] = {
    "vocab_size": 48, "dim": 16, "n_layers": len(KEPT), "n_heads": 4, "hidden_dim": 24,
    "max_position_embeddings": 64,
}  # fmt: skip

Tensors = dict[str, torch.Tensor]
Change = Callable[[Tensors], Tensors]


def random(made: Any, seed: int) -> Any:
    """Every parameter at random, so that a tensor from a wrong place changes the logits."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            noise = 0.3 * torch.randn(parameter.shape, generator=generator)
            norm = name.endswith("weight") and parameter.ndim == 1
            parameter.copy_(float(norm) + noise)
    return made.eval()


@dataclass(frozen=True)
class Encoders:
    """A BERT and a DistilBERT in memory and on disk."""

    teacher: Any
    student: Any
    folder: Path

    @property
    def checkpoints(self) -> tuple[Checkpoint, Checkpoint]:
        return Checkpoint.open(self.folder / "bert"), Checkpoint.open(self.folder / "distilbert")

    @property
    def pair(self) -> Pair:
        return Pair.of(*self.checkpoints, kept=KEPT)


def encoders(folder: Path, bert: Mapping[str, Any] = BERT, **distil: Any) -> Encoders:
    teacher = random(BertForMaskedLM(BertConfig(**bert)), 1)
    student = random(DistilBertForMaskedLM(DistilBertConfig(**{**DISTIL, **distil})), 2)
    teacher.save_pretrained(folder / "bert")
    student.save_pretrained(folder / "distilbert")
    return Encoders(teacher, student, folder)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Encoders:
    return encoders(tmp_path_factory.mktemp("encoders"))


def rewrite(folder: Path, change: Change) -> None:
    tensors = change(dict(load_file(folder / SINGLE)))
    save_file({n: t.contiguous() for n, t in tensors.items()}, folder / SINGLE, {"format": "pt"})


def written(pair: Pair, composition: Composition, folder: Path) -> Path:
    folder.mkdir()
    for name, file in member_files(pair, composition).items():
        file.write(folder / name)
    return folder


def masked(folder: Path) -> Any:
    """Load as everybody does, with no key missing, left over or of another shape."""
    found, said = AutoModelForMaskedLM.from_pretrained(folder, output_loading_info=True)
    assert {key: value for key, value in said.items() if value} == {}
    assert type(found) is BertForMaskedLM
    return found.eval()


def by_hand(made: Encoders, recipe: Recipe, ids: torch.Tensor = IDS) -> torch.Tensor:
    """The member as a walk through modules of both models, in the words of docs/method.md."""
    bert, distil = made.teacher, made.student
    with torch.no_grad():
        embed = bert.bert.embeddings if recipe.embeddings == "t" else distil.distilbert.embeddings
        hidden = embed(ids)
        for side, index in recipe.layers:
            if side == "t":
                hidden = bert.bert.encoder.layer[index](hidden)
            else:
                hidden = distil.distilbert.transformer.layer[index](hidden)
        if recipe.end == "t":
            said: torch.Tensor = bert.cls(hidden)
            return said
        hidden = distil.vocab_layer_norm(distil.activation(distil.vocab_transform(hidden)))
        found: torch.Tensor = distil.vocab_projector(hidden)
    return found


def masked_logits(of: Any, **inputs: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = of(input_ids=IDS, **inputs).logits
    return found


@pytest.mark.parametrize("order", ["last", "first"])
def test_every_size_between_distilbert_and_bert(made: Encoders, order: str, tmp_path: Path) -> None:
    pair = made.pair
    assert pair.layermap == LayerMap(KEPT, LAYERS)
    orders = {"last": last_to_first, "first": first_to_last}
    patch_order = orders[order](pair.layermap)
    for k in range(len(patch_order) + 1):
        composition = Composition.patched(pair.layermap, patch_order[:k])
        member = masked(written(pair, composition, tmp_path / str(k)))
        wanted = by_hand(made, rule(KEPT, order, k, LAYERS))
        assert torch.equal(masked_logits(member), wanted)
        assert member.config.tie_word_embeddings is (k in (0, len(patch_order)))
        stored = load_file(tmp_path / str(k) / SINGLE)
        untied = {"cls.predictions.decoder.weight", "cls.predictions.decoder.bias"}
        assert (untied & stored.keys()) == (set() if k in (0, 5) else untied)
        expected = {name for name in made.teacher.state_dict() if "encoder.layer" not in name}
        assert {name for name in stored if "encoder.layer" not in name} | untied == expected


def test_the_ends_of_the_ladder_are_the_two_models(made: Encoders, tmp_path: Path) -> None:
    pair = made.pair
    smallest, largest = (Composition.patched(pair.layermap, k) for k in ((), pair.layermap.long))
    student = masked(written(pair, smallest, tmp_path / "student"))
    distil = masked_logits(made.student, attention_mask=PADDED)
    assert torch.equal(masked_logits(student, attention_mask=PADDED), distil)
    # DistilBERT knows no token types, so they change nothing.
    types = {"token_type_ids": IDS % 3, "attention_mask": PADDED}
    assert torch.equal(masked_logits(student, **types), distil)
    assert not student.bert.embeddings.token_type_embeddings.weight.any()
    said = json.loads((tmp_path / "student" / "student_config.json").read_text())
    assert said["copied_teacher_layers"] == list(KEPT)
    teacher = masked(written(pair, largest, tmp_path / "teacher"))
    bert = masked_logits(made.teacher, **types)
    assert torch.equal(masked_logits(teacher, **types), bert)
    assert not torch.equal(bert, masked_logits(made.teacher, attention_mask=PADDED))


@pytest.mark.parametrize("code", ["sbsbsb", "bsssss", "fsfsfs", "bffbsb"])
def test_any_set_of_layers(made: Encoders, code: str, tmp_path: Path) -> None:
    composition = Composition.of(made.pair.layermap, code)
    layers = [(layer.side.value[0], layer.index) for layer in composition.layers]
    end = composition.head.value[0]
    recipe = Recipe(tuple(layers), composition.embeddings.value[0], end)
    member = masked(written(made.pair, composition, tmp_path / "member"))
    assert torch.equal(masked_logits(member), by_hand(made, recipe))
    folders = {"teacher": made.folder / "bert", "student": made.folder / "distilbert"}
    found = boomerang.verify(tmp_path / "member", **folders, whole=True)
    assert found.proven, found.mismatch


def test_counts_are_those_of_the_models(made: Encoders, tmp_path: Path) -> None:
    pair = made.pair
    ladder = Ladder.of(pair, last_to_first(pair.layermap))
    assert ladder.teacher.parameters == made.teacher.num_parameters()
    # Token types and nothing else: the student is a BERT now.
    assert ladder.student.parameters == made.student.num_parameters() + 3 * 16
    for k in range(6):
        composition = Composition.patched(pair.layermap, last_to_first(pair.layermap)[:k])
        folder = written(pair, composition, tmp_path / str(k))
        found = next((member for member in ladder.members if member.k == k), None)
        assert found is None or found.parameters == Checkpoint.open(folder).parameters
        planned = Checkpoint.open(folder)
        shapes = {name: (t.dtype, t.shape) for name, t in planned.tensors.items()}
        verify(planned.config, shapes)
        order = [layer.teacher_index for layer in composition.layers]
        verify_kinds(planned.config, pair.teacher.config, order)
        assert is_tied(pair, composition) is planned.config["tie_word_embeddings"]


def with_old_names(tensors: Tensors) -> Tensors:
    found = {}
    for name, tensor in tensors.items():
        new = name.replace("LayerNorm.weight", "LayerNorm.gamma")
        found[new.replace("LayerNorm.bias", "LayerNorm.beta")] = tensor
    found["bert.embeddings.position_ids"] = torch.arange(64)[None]
    return found


def with_both_biases(tensors: Tensors) -> Tensors:
    words = tensors["bert.embeddings.word_embeddings.weight"]
    bias = tensors["cls.predictions.bias"]
    copies = {"cls.predictions.decoder.weight": words.clone(),
              "cls.predictions.decoder.bias": bias.clone()}  # fmt: skip
    return {**tensors, **copies}


def with_pretraining_heads(tensors: Tensors) -> Tensors:
    return {
        **tensors, "bert.pooler.dense.weight": torch.ones(16, 16),
        "bert.pooler.dense.bias": torch.ones(16), "cls.seq_relationship.bias": torch.ones(2),
        "cls.seq_relationship.weight": torch.ones(2, 16),
    }  # fmt: skip


def with_old_buffer(tensors: Tensors) -> Tensors:
    return {**tensors, "distilbert.embeddings.position_ids": torch.arange(64)[None]}


def with_projector(tensors: Tensors) -> Tensors:
    words = tensors["distilbert.embeddings.word_embeddings.weight"].clone()
    return {**tensors, "vocab_projector.weight": words}


AGES: dict[str, Mapping[str, tuple[Change, ...]]] = {
    "as bert-base-uncased is on the Hub": {"bert": (with_old_names, with_pretraining_heads)},
    "tied copies stored": {"bert": (with_both_biases,), "distilbert": (with_projector,)},
    "buffers of DistilBERT": {"distilbert": (with_old_buffer,)},
}


@pytest.mark.parametrize("age", list(AGES))
def test_old_files(age: str, tmp_path: Path) -> None:
    old = encoders(tmp_path)
    pair = old.pair
    tensors = [pair.teacher.tensors.keys(), pair.student.tensors.keys()]
    for name, changes in AGES[age].items():
        for change in changes:
            rewrite(tmp_path / name, change)
    pair = old.pair
    assert [pair.teacher.tensors.keys(), pair.student.tensors.keys()] == tensors
    for k in (0, 2, 5):
        composition = Composition.patched(pair.layermap, last_to_first(pair.layermap)[:k])
        member = masked(written(pair, composition, tmp_path / f"member{k}"))
        assert torch.equal(masked_logits(member), by_hand(old, rule(KEPT, "last", k, LAYERS)))


def test_a_bert_saved_with_its_next_sentence_head(tmp_path: Path) -> None:
    made = encoders(tmp_path)
    whole = random(BertForPreTraining(BertConfig(**BERT)), 1)
    whole.bert.load_state_dict(made.teacher.bert.state_dict(), strict=False)
    whole.cls.predictions.load_state_dict(made.teacher.cls.predictions.state_dict())
    whole.save_pretrained(tmp_path / "bert")
    pair = made.pair
    composition = Composition.patched(pair.layermap, pair.layermap.long)
    member = masked(written(pair, composition, tmp_path / "member"))
    assert torch.equal(masked_logits(member), masked_logits(made.teacher))


def test_a_bert_as_the_student_of_a_bert(tmp_path: Path) -> None:
    """Another dtype, untied, and its own token types: those are its own, not zeros."""
    made = encoders(tmp_path)
    small = {**BERT, "num_hidden_layers": 6, "tie_word_embeddings": False}
    student = random(BertForMaskedLM(BertConfig(**small)), 3)
    student.to(torch.bfloat16).save_pretrained(tmp_path / "distilbert")
    (tmp_path / "distilbert" / "student_config.json").write_text(
        json.dumps({"copied_teacher_layers": list(KEPT)})
    )
    pair = Pair.of(*made.checkpoints)
    student = student.float()
    folder = written(pair, Composition.patched(pair.layermap, ()), tmp_path / "member")
    assert torch.equal(masked_logits(masked(folder)), masked_logits(student))
    assert {t.dtype for t in Checkpoint.open(folder).tensors.values()} == {"F32"}


def test_equal_embeddings_keep_every_size_tied(tmp_path: Path) -> None:
    made = encoders(tmp_path)
    with torch.no_grad():
        made.teacher.bert.embeddings.token_type_embeddings.weight.zero_()
    theirs = made.student.distilbert.embeddings
    ours = made.teacher.bert.embeddings.state_dict()
    theirs.load_state_dict(ours, strict=False)
    made.teacher.save_pretrained(tmp_path / "bert")
    made.student.save_pretrained(tmp_path / "distilbert")
    pair = made.pair
    assert pair.shared_embeddings
    composition = Composition.patched(pair.layermap, last_to_first(pair.layermap)[:2])
    member = masked(written(pair, composition, tmp_path / "member"))
    assert member.config.tie_word_embeddings
    assert torch.equal(masked_logits(member), by_hand(made, rule(KEPT, "last", 2, LAYERS)))


def lacking(part: str) -> Change:
    return lambda tensors: {name: t for name, t in tensors.items() if part not in name}


def other_bias(tensors: Tensors) -> Tensors:
    return {**with_both_biases(tensors), "cls.predictions.decoder.bias": torch.ones(48)}


def pooler_as_layer(tensors: Tensors) -> Tensors:
    return {**tensors, "distilbert.pooler.weight": torch.ones(2)}


BROKEN: dict[str, tuple[str, Change | dict[str, Any], type[BoomerangError]]] = {
    "no transform in BERT": ("bert", lacking("transform.dense"), CorruptCheckpoint),
    "no norm of BERT's embeddings": ("bert", lacking("embeddings.LayerNorm"), CorruptCheckpoint),
    "no token types in BERT": ("bert", lacking("token_type"), CorruptCheckpoint),
    "no words in BERT": ("bert", lacking("word_embeddings"), CorruptCheckpoint),
    "no head in BERT": ("bert", lacking("cls."), UnsupportedArchitecture),
    "two biases that differ": ("bert", other_bias, CorruptCheckpoint),
    "a BERT that decodes": ("bert", {"is_decoder": True}, UnsupportedArchitecture),
    "relative positions": (
        "bert", {"position_embedding_type": "relative_key"}, UnsupportedArchitecture),
    "no transform in DistilBERT": ("distilbert", lacking("vocab_transform"), BoomerangError),
    "no words in DistilBERT": ("distilbert", lacking("word_embeddings"), BoomerangError),
    "a layer lacks a part": ("distilbert", lacking("layer.3.ffn.lin1"), CorruptCheckpoint),
    "a tensor of no place": ("distilbert", pooler_as_layer, CorruptCheckpoint),
    "another activation": ("distilbert", {"activation": "relu"}, StudentMismatch),
    "other heads": ("distilbert", {"n_heads": 2}, StudentMismatch),
    "another depth than it has": ("distilbert", {"n_layers": 5}, CorruptCheckpoint),
    "another norm": ("bert", {"layer_norm_eps": 1e-6}, StudentMismatch),
}  # fmt: skip


@pytest.mark.parametrize("harm", list(BROKEN))
def test_what_is_no_pair_is_refused(harm: str, tmp_path: Path, made: Encoders) -> None:
    for side in ("bert", "distilbert"):
        (tmp_path / side).mkdir()
        for path in (made.folder / side).iterdir():
            (tmp_path / side / path.name).write_bytes(path.read_bytes())
    copied = Encoders(made.teacher, made.student, tmp_path)
    assert copied.pair.layermap.kept == KEPT
    name, change, kind = BROKEN[harm]
    if isinstance(change, dict):
        edit_json(tmp_path / name / "config.json", **change)
    else:
        rewrite(tmp_path / name, change)
    with pytest.raises(kind) as caught:
        _ = copied.pair
    assert caught.value.fix


def test_models_without_a_head_or_a_teacher(made: Encoders, tmp_path: Path) -> None:
    BertModel(BertConfig(**BERT)).save_pretrained(tmp_path)
    bert, distilbert = made.checkpoints
    with pytest.raises(UnsupportedArchitecture, match="head"):
        dissect(Checkpoint.open(tmp_path))
    with pytest.raises(UnsupportedArchitecture, match="student of its BERT"):
        dissect(distilbert)
    with pytest.raises(UnsupportedArchitecture, match="patched, not distilled"):
        Pair.planned(bert, LayerMap.published(LAYERS), frozen=False)


@pytest.mark.parametrize("kept", [(0, 2, 4, 7, 9), (0, 2, 4, 7, 9, 12), (1, 2, 4, 7, 9, 11), ()])
def test_kept_layers_that_do_not_fit(made: Encoders, kept: tuple[int, ...]) -> None:
    with pytest.raises(StudentMismatch):
        Pair.of(*made.checkpoints, kept=kept)


def test_nothing_says_which_layers(made: Encoders) -> None:
    with pytest.raises(StudentMismatch) as caught:
        Pair.of(*made.checkpoints)
    assert "--kept 0,2,4,7,9,11" in caught.value.fix
    assert "DistilBERT" in caught.value.fix


def test_kept_layers_against_what_the_student_says(tmp_path: Path, made: Encoders) -> None:
    said = tmp_path / "distilbert"
    said.mkdir()
    for path in (made.folder / "distilbert").iterdir():
        (said / path.name).write_bytes(path.read_bytes())
    (said / "student_config.json").write_text(
        json.dumps({"copied_teacher_layers": [0, 2, 4, 6, 8, 10]})
    )
    bert, student = made.checkpoints[0], Checkpoint.open(said)
    assert Pair.of(bert, student).layermap.kept == (0, 2, 4, 6, 8, 10)
    assert Pair.of(bert, student, kept=(10, 8, 6, 4, 2, 0)).layermap.kept == (0, 2, 4, 6, 8, 10)
    with pytest.raises(StudentMismatch, match="not"):
        Pair.of(bert, student, kept=KEPT)


def test_zeros_are_read_like_a_file() -> None:
    file = ByteFile.whole(Zeros(10_000_000))
    assert file.size == 10_000_000
    assert file.read(5, 1_500_000) == bytes(1_499_995)
    assert Zeros(8) == Zeros(8)


def old_gpt2(prefix: str) -> Change:
    def change(tensors: Tensors) -> Tensors:
        found = {prefix + n.removeprefix("transformer."): t for n, t in tensors.items()}
        layers = {name.split("h.")[1].split(".")[0] for name in found if "h." in name}
        for i in layers:
            found[f"{prefix}h.{i}.attn.bias"] = torch.ones(1, 1, 64, 64).tril()
        return found

    return change


@dataclass(frozen=True)
class Decoders:
    """A GPT-2 and a DistilGPT2 as the stitching tests know them."""

    teacher: PreTrainedModel
    student: PreTrainedModel
    kept: tuple[int, ...] = KEPT


@pytest.mark.parametrize("prefixes", [("", "transformer."), ("transformer.", "")], ids=str)
def test_every_size_between_distilgpt2_and_gpt2(prefixes: tuple[str, str], tmp_path: Path) -> None:
    """The Hub's gpt2 has no prefix and distilgpt2 has one; both keep attention masks as buffers."""
    both = Decoders(model("gpt2", 1, n_layer=LAYERS), model("gpt2", 2, n_layer=len(KEPT)))
    for name, side, prefix in zip(
        ("gpt2", "distilgpt2"), (both.teacher, both.student), prefixes, strict=True
    ):
        side.save_pretrained(tmp_path / name)
        rewrite(tmp_path / name, old_gpt2(prefix))
    checkpoints = Checkpoint.open(tmp_path / "gpt2"), Checkpoint.open(tmp_path / "distilgpt2")
    with pytest.raises(StudentMismatch, match=r"--kept 0,2,4,7,9,11 \(as DistilGPT2 does\)"):
        Pair.of(*checkpoints)
    pair = Pair.of(*checkpoints, kept=KEPT)
    for order, patch in (("last", last_to_first), ("first", first_to_last)):
        for k in range(6):
            composition = Composition.patched(pair.layermap, patch(pair.layermap)[:k])
            member = loaded(written(pair, composition, tmp_path / f"{order}{k}"))
            recipe = rule(KEPT, order, k, LAYERS)
            assert torch.equal(logits(member), logits(put_together(both, recipe)))
            assert member.config.tie_word_embeddings is (k in (0, 5))


@pytest.mark.long("models of several sizes are built and loaded")
def test_the_command_line(made: Encoders, tmp_path: Path) -> None:
    both = made.folder / "bert", made.folder / "distilbert"
    student = ("--student", both[1])
    assert "--kept 0,2,4,7,9,11" in error("plan", both[0], *student)
    plan = told("plan", both[0], *student, "--kept", "0,2,4,7,9,11")
    assert plan["kept"] == list(KEPT)
    assert [member["k"] for member in plan["members"]][0 :: len(plan["members"]) - 1] == [0, 5]
    out = tmp_path / "member"
    told("assemble", *both, "--patch", "2", "--order", "last", "--kept", "0,2,4,7,9,11",
         "--out", out)  # fmt: skip
    wanted = by_hand(made, rule(KEPT, "last", 2, LAYERS))
    assert torch.equal(masked_logits(masked(out)), wanted)
    said = error("measure", *both, "--text", tmp_path, "--kept", "0,2,4,7,9,11")
    assert "masked language model" in said
    assert "no list of layers" in error("plan", both[0], *student, "--kept", "0;2")
    assert "patched, not distilled" in error("plan", both[0], "--kept", "0,2")
    assert "patched, not distilled" in error("plan", both[0])


def texts(folder: Path) -> Path:
    folder.mkdir()
    line = json.dumps({"text": "in the beginning was the word " * 40})
    for split in ("train", "calibration", "heldout"):
        (folder / f"{split}.jsonl").write_text(f"{line}\n" * 4)
    return folder


def test_masked_language_models_are_not_distilled(made: Encoders, tmp_path: Path) -> None:
    said = error("distill", made.folder / "bert", "--text", texts(tmp_path / "texts"),
                 "--recipe", "smoke", "--out", tmp_path / "out")  # fmt: skip
    assert "patched, not distilled" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.long("two models of GPT-2's width")
def test_distilgpt2_is_measured_beside_gpt2(tmp_path: Path) -> None:
    for name, seed, layers in (("gpt2", 1, LAYERS), ("distilgpt2", 2, len(KEPT))):
        model("gpt2", seed, n_layer=layers).save_pretrained(tmp_path / name)
    tokenizer(tmp_path / "gpt2")
    found = told("measure", tmp_path / "gpt2", tmp_path / "distilgpt2", "--order", "last",
                 "--text", texts(tmp_path / "texts"), "--kept", "0,2,4,7,9,11")  # fmt: skip
    assert [member["layers"] for member in found["members"]] == [6, 7, 8, 10, 11, 12]
    assert found["members"][-1]["kl"] == 0
    assert found["members"][0]["kl"] > 0


def test_a_card_for_a_masked_language_model(made: Encoders) -> None:
    composition = Composition.patched(made.pair.layermap, {4})
    facts = Facts(
        repo_id="me/bert-80M",
        size=Size("80M", 80, 7),
        composition=composition,
        teacher="bert",
        teacher_commit="0" * 40,
        order="last",
        masked=True,
        runtimes=runtimes("bert", made.pair.teacher.kinds, tied=True),
    )
    text = card(facts)
    assert "pipeline_tag: fill-mask" in text
    assert "AutoModelForMaskedLM" in text
    assert "CausalLM" not in text
    assert "vllm" not in text
    assert composition.head is Side.TEACHER
    compile(text.split("```python\n")[1].split("```")[0], "card", "exec")

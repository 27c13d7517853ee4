"""The memory estimate, against the cache that transformers fills and the ladder it is of."""

from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertForMaskedLM

from boomerang.architecture.anatomy import dissect
from boomerang.checkpoint.table import Checkpoint
from boomerang.errors import BadRequest
from boomerang.family.fits import fits
from boomerang.family.ladder import Ladder
from boomerang.family.memory import GIB, RUNTIMES, Memory
from tests.support.models import KEPT, KINDS, VOCABULARY, duo, model, teacher_layers


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("context", [3, 11])
def test_keys_and_values_are_those_that_transformers_keeps(
    tmp_path: Path, kind: str, context: int
) -> None:
    made = model(kind, 1)
    made.save_pretrained(tmp_path)
    memory = Memory.of(dissect(Checkpoint.open(tmp_path)))
    with torch.no_grad():
        cache = made(torch.zeros(2, context, dtype=torch.long), use_cache=True).past_key_values
    kept = sum(t.numel() * t.element_size() for layer in cache.layers
               for t in (layer.keys, layer.values))  # fmt: skip
    layers = range(teacher_layers(made))
    assert memory.cache(layers, context, dtype="float32", batch=2) == kept
    assert memory.vocabulary == VOCABULARY


@pytest.mark.parametrize("kind", ["mistral", "gemma2", "gpt_oss", "phi3"])
def test_a_window_that_a_config_leaves_to_its_class_is_the_class_s(
    tmp_path: Path, kind: str
) -> None:
    made = model(kind, 1)
    made.save_pretrained(tmp_path)
    config = {k: v for k, v in made.config.to_dict().items() if k != "sliding_window"}
    opened = Checkpoint.open(tmp_path)
    found = Memory.of(dissect(Checkpoint(opened.name, config, opened.tensors, opened.files)))
    theirs = type(made.config)().sliding_window
    windows = {window for _, window in found.layers}
    assert windows - {None} == ({theirs} - {None})


def test_a_member_keeps_the_keys_of_its_own_layers(tmp_path: Path) -> None:
    pair = duo(tmp_path, "gemma2").pair
    memory = Memory.of(pair.teacher)
    ladder = Ladder.of(pair, pair.layermap.long)
    indices = [layer.teacher_index for layer in ladder.student.composition.layers]
    assert len(indices) == len(KEPT)
    of_student = Memory.of(pair.student)
    assert memory.cache(indices, 64) == of_student.cache(range(len(KEPT)), 64)


def test_what_the_catalog_keeps_is_the_same_again(tmp_path: Path) -> None:
    memory = Memory.of(duo(tmp_path, "gemma2").pair.teacher)
    assert Memory.parse(memory.json()) == memory
    assert Memory.parse(None) is None


def test_a_need_has_weights_cache_and_what_the_runtime_adds(tmp_path: Path) -> None:
    memory = Memory.of(duo(tmp_path, "llama").pair.teacher)
    layers = range(8)
    for runtime in RUNTIMES:
        need = memory.needs(1000, layers, 4096, runtime=runtime)
        assert need.weights == 1000
        assert need.cache == memory.cache(layers, 4096)
        assert need.overhead > RUNTIMES[runtime].fixed
        assert need.total == need.json()["total"] == 1000 + need.cache + need.overhead
    short, long = (memory.needs(0, layers, n, runtime="llama.cpp") for n in (512, 8192))
    # A pass has so many tokens at most, whatever the context: keys and values alone grow.
    assert short.overhead == long.overhead
    assert long.cache == 16 * short.cache
    with pytest.raises(BadRequest, match="int3"):
        memory.cache(layers, 10, dtype="int3")


def test_no_keys_are_kept_by_what_reads_a_text_at_once(tmp_path: Path) -> None:
    sizes = {"hidden_size": 16, "num_attention_heads": 4, "intermediate_size": 24}
    config = BertConfig(vocab_size=VOCABULARY, num_hidden_layers=4, **sizes)
    BertForMaskedLM(config).save_pretrained(tmp_path)
    assert Memory.of(dissect(Checkpoint.open(tmp_path))).cache(range(4), 512) == 0


def test_devices_hold_what_is_no_larger() -> None:
    needs = [(1_000, 4 * GIB), (2_000, 12 * GIB), (3_000, 20 * GIB)]
    small, middle, large, *_ = fits(needs, devices=(8, 16, 24))
    assert (small.label, small.member, small.parameters) == ("8 GB", 0, 1_500)
    assert (middle.member, middle.parameters) == (1, 2_500)
    assert (large.member, large.parameters) == (2, None)
    assert fits(needs, devices=(2,))[0].member is None
    assert fits(needs, devices=(2,))[0].parameters == 750
    # A runtime that uses nine tenths of 22 GiB has no room for the third.
    assert fits(needs, devices=(22,), share=0.9)[0].member == 1

"""Pairs to try: given ones, a student that is cut from a teacher, and a deep pair of no training.

How fast a pair writes does not depend on how well: only drafts do, and a student that is only cut
has few of them taken.
"""

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils import logging

from boomerang.architecture.anatomy import dissect
from boomerang.architecture.supported import ARCHITECTURES
from boomerang.checkpoint.table import Checkpoint
from boomerang.family.layer_map import LayerMap

KJV = Path("examples/kjv/KJV-1.4M")
DEEP = 36
"""Layers of the pair that is made."""


def pairs(given: Sequence[str], scratch: Path, *, toy: bool) -> Iterator[tuple[str, Path, Path]]:
    """Name, teacher and student of each TEACHER or TEACHER:STUDENT, and of a deep one."""
    for at, one in enumerate(given):
        teacher, _, student = one.partition(":")
        cut = scratch / str(at)
        yield (
            Path(teacher).name,
            Path(teacher).absolute(),
            Path(student).absolute() if student else cut_from(Path(teacher), cut),
        )
    deep = made(scratch / "deep", 4 if toy else DEEP)
    yield f"{4 if toy else DEEP} layers of no training", deep, cut_from(deep, scratch / "deep-cut")


def cut_from(teacher: Path, out: Path) -> Path:
    """A student that is the layers it keeps of its teacher, as they are."""
    logging.disable_progress_bar()
    anatomy = dissect(Checkpoint.open(teacher))
    layermap = LayerMap.keeping_kinds(anatomy.kinds)
    model = AutoModelForCausalLM.from_pretrained(teacher, dtype="auto")
    architecture = ARCHITECTURES[str(model.config.model_type)]
    layers = getattr(model.base_model, architecture.layers.rstrip("."))
    kept = [layers[index] for index in layermap.kept]
    del layers[:]
    layers.extend(kept)
    setattr(model.config, architecture.depth_key, len(kept))
    if getattr(model.config, "layer_types", None):
        model.config.layer_types = [model.config.layer_types[index] for index in layermap.kept]
    model.save_pretrained(out)
    (out / "student_config.json").write_text(json.dumps(layermap.student_config()))
    return out


def made(folder: Path, layers: int) -> Path:
    """A Llama of so many layers and no training, with the small teacher's tokenizer."""
    config = AutoConfig.from_pretrained(KJV)
    shape = {
        "hidden_size": 256, "intermediate_size": 704, "num_attention_heads": 4,
        "num_key_value_heads": 4, "num_hidden_layers": layers, "vocab_size": config.vocab_size,
        "max_position_embeddings": 2048, "tie_word_embeddings": True,
        "bos_token_id": config.bos_token_id, "eos_token_id": config.eos_token_id,
    }  # fmt: skip
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model("llama", **shape))
    model.save_pretrained(folder)
    for file in KJV.glob("tokenizer*"):
        shutil.copy(file, folder)
    return folder

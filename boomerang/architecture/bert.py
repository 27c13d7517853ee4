"""Encoders: BERT, and DistilBERT as its student (arXiv 2510.05064, models off the shelf).

Both are brought to one form, the names and the config that BERT has in transformers 5, before
anything else looks at them. DistilBERT has no token types: where its embeddings are taken, those
of the member are zeros.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from boomerang.architecture.supported import Architecture
from boomerang.checkpoint.header import Tensor
from boomerang.checkpoint.table import Checkpoint, put_once
from boomerang.errors import CorruptCheckpoint, UnsupportedArchitecture

ENCODERS: Mapping[str, Architecture] = {
    "bert": Architecture(
        "BertForMaskedLM",
        prefix="bert.",
        layers="encoder.layer.",
        embeddings=(
            "embeddings.word_embeddings.", "embeddings.position_embeddings.",
            "embeddings.token_type_embeddings.", "embeddings.LayerNorm.",
        ),
        norm="",
        norm_weights=False,
        stored_heads=("cls.predictions.",),
        head_weight="decoder.weight",
        head_tied=("decoder.bias",),
        tied_by_default=True,
        masked=True,
        # The next-sentence head and what feeds it have no place in a masked language model.
        buffers=re.compile(r"^bert\.pooler\.|^cls\.seq_relationship\.|\.position_ids$"),
    ),
}  # fmt: skip
"""By `model_type`."""

_BIAS, _DECODER_BIAS = "cls.predictions.bias", "cls.predictions.decoder.bias"
_WORDS = "bert.embeddings.word_embeddings.weight"
_SEGMENTS = "bert.embeddings.token_type_embeddings.weight"
_ENDS = (
    "bert.embeddings.position_embeddings.weight", _SEGMENTS,
    *(f"{end}.{kind}" for kind in ("weight", "bias")
      for end in ("bert.embeddings.LayerNorm", "cls.predictions.transform.dense",
                  "cls.predictions.transform.LayerNorm")),
    _BIAS,
)  # fmt: skip
"""What a masked language model has outside its layers, beside tokens and decoder."""

_OLD_NORM = {"gamma": "weight", "beta": "bias"}
"""How files from before 2019 call the two parts of a layer norm."""

_DISTILBERT: tuple[tuple[str, str], ...] = (
    (r"^distilbert\.embeddings\.", "bert.embeddings."),
    (r"^distilbert\.transformer\.layer\.", "bert.encoder.layer."),
    (r"\.attention\.q_lin\.", ".attention.self.query."),
    (r"\.attention\.k_lin\.", ".attention.self.key."),
    (r"\.attention\.v_lin\.", ".attention.self.value."),
    (r"\.attention\.out_lin\.", ".attention.output.dense."),
    (r"\.sa_layer_norm\.", ".attention.output.LayerNorm."),
    (r"\.ffn\.lin1\.", ".intermediate.dense."),
    (r"\.ffn\.lin2\.", ".output.dense."),
    (r"\.output_layer_norm\.", ".output.LayerNorm."),
    (r"^vocab_transform\.", "cls.predictions.transform.dense."),
    (r"^vocab_layer_norm\.", "cls.predictions.transform.LayerNorm."),
    (r"^vocab_projector\.weight$", "cls.predictions.decoder.weight"),
    (r"^vocab_projector\.bias$", _BIAS),
)
"""From the names of DistilBERT to those of BERT (regex → new)."""

_DISTILBERT_CONFIG: Mapping[str, tuple[str, Any]] = {
    "vocab_size": ("vocab_size", 30522),
    "max_position_embeddings": ("max_position_embeddings", 512),
    "hidden_size": ("dim", 768),
    "num_hidden_layers": ("n_layers", 6),
    "num_attention_heads": ("n_heads", 12),
    "intermediate_size": ("hidden_dim", 3072),
    "hidden_act": ("activation", "gelu"),
    "tie_word_embeddings": ("tie_word_embeddings", True),
}
"""BERT's key → DistilBERT's key and the default of DistilBertConfig in transformers 5."""

_LAYER_NORM_EPS = 1e-12
"""DistilBERT's code has this number where BERT's has `layer_norm_eps`, which it is by default."""


@dataclass(frozen=True, slots=True)
class Zeros:
    """A source of so many zero bytes, which stand in no file."""

    size: int
    name: str = "zeros"

    def read(self, start: int, stop: int) -> bytes:
        """The bytes [start, stop): zeros."""
        return bytes(stop - start)


def modern(checkpoint: Checkpoint) -> Checkpoint:
    """A BERT under the names of transformers 5; every other checkpoint as it is.

    The decoder's bias, which is the head's bias under a second name, is there under both. Raises
    UnsupportedArchitecture for a BERT that is no masked language model and for a DistilBERT that
    stands alone, CorruptCheckpoint where parts of the head or the embeddings are missing.
    """
    model_type = checkpoint.config.get("model_type")
    if model_type == "distilbert":
        raise UnsupportedArchitecture(
            f"{checkpoint.name!r} is a DistilBERT, which stands here only as the student of its "
            "BERT.",
            value=model_type,
            fix="Name the BERT as teacher and this one as its student.",
        )
    if model_type != "bert":
        return checkpoint
    _refuse(checkpoint)
    tensors: dict[str, Tensor] = {}
    for name, tensor in checkpoint.tensors.items():
        stem, dot, last = name.rpartition(".")
        if stem.endswith("LayerNorm"):
            name = stem + dot + _OLD_NORM.get(last, last)
        put_once(checkpoint, tensors, name, tensor)
    bias, decoder_bias = tensors.get(_BIAS), tensors.get(_DECODER_BIAS)
    if bias and decoder_bias and checkpoint.config.get("tie_word_embeddings", True):
        _check_tied(checkpoint, bias, decoder_bias)
    for one, other in ((_BIAS, decoder_bias), (_DECODER_BIAS, bias)):
        if other is not None:
            tensors.setdefault(one, other)
    found = replace(checkpoint, tensors=tensors)
    _check_ends(found)
    return found


def as_student(student: Checkpoint, teacher: Checkpoint) -> Checkpoint:
    """A DistilBERT beside a BERT (`modern`) as a BERT; every other student as it is.

    Raises CorruptCheckpoint for a DistilBERT whose tensors are not those of one.
    """
    types = (student.config.get("model_type"), teacher.config.get("model_type"))
    if types != ("distilbert", "bert"):
        return student
    tensors: dict[str, Tensor] = {}
    for name, tensor in student.tensors.items():
        if name.endswith(".position_ids"):
            continue
        new = name
        for pattern, replacement in _DISTILBERT:
            new = re.sub(pattern, replacement, new)
        if new == name:
            raise CorruptCheckpoint(
                f"The tensor {name!r} has no place in DistilBertForMaskedLM.",
                value=name,
                fix="Save the model again with transformers 5.",
            )
        put_once(student, tensors, new, tensor)
    words, types_of_teacher = tensors.get(_WORDS), teacher.tensors[_SEGMENTS]
    if words is not None:
        tensors[_SEGMENTS] = _zeros(types_of_teacher, words)
    config: dict[str, Any] = {"model_type": "bert", "layer_norm_eps": _LAYER_NORM_EPS}
    for key, (theirs, default) in _DISTILBERT_CONFIG.items():
        config[key] = student.config.get(theirs, default)
    return replace(student, config=config, tensors=tensors)


def not_distilled(name: str) -> UnsupportedArchitecture:
    """The error for distilling a masked language model."""
    return UnsupportedArchitecture(
        f"{name!r} is a masked language model: such models can be patched, not distilled here.",
        value="masked",
        fix="Name a student there is, such as DistilBERT, and the layers it keeps.",
    )


def not_measured(name: str) -> UnsupportedArchitecture:
    """The error for measuring a masked language model."""
    return UnsupportedArchitecture(
        f"{name!r} is a masked language model, which predicts no next token: the perplexity and "
        "the KL that are measured here do not exist for it.",
        value="masked",
        fix="Assemble its sizes with `boomerang assemble`, in an order that is said (last, first).",
    )


def not_played(name: str) -> UnsupportedArchitecture:
    """The error for having a masked language model write text."""
    return UnsupportedArchitecture(
        f"{name!r} is a masked language model, which predicts no next token and writes no text.",
        value="masked",
        fix="Assemble its sizes with `boomerang assemble`, and fill masks with them.",
    )


def _zeros(like: Tensor, words: Tensor) -> Tensor:
    size = like.parameters * ((words.stop - words.start) // max(words.parameters, 1))
    return Tensor(_SEGMENTS, words.dtype, like.shape, Zeros(size), 0, size)


def _refuse(checkpoint: Checkpoint) -> None:
    config = checkpoint.config
    positions = config.get("position_embedding_type") or "absolute"
    reason = ""
    if config.get("is_decoder") or config.get("add_cross_attention"):
        reason = "is a BERT set up as a decoder"
    elif positions != "absolute":
        reason = f"has position_embedding_type={positions!r}, which transformers 5 does not know"
    if reason:
        raise UnsupportedArchitecture(
            f"{checkpoint.name!r} {reason}.",
            value=positions if positions != "absolute" else "is_decoder",
            fix="Use a BertForMaskedLM with absolute positions.",
        )


def _check_tied(checkpoint: Checkpoint, bias: Tensor, decoder_bias: Tensor) -> None:
    a, b = (tensor.source.read(tensor.start, tensor.stop) for tensor in (bias, decoder_bias))
    if a != b:
        raise CorruptCheckpoint(
            f"{_BIAS} and {_DECODER_BIAS} of {checkpoint.name!r} differ, and its config ties them.",
            value=_DECODER_BIAS,
            fix="Write tie_word_embeddings: false to its config.json, or save the model again.",
        )


def _check_ends(checkpoint: Checkpoint) -> None:
    missing = [name for name in _ENDS if name not in checkpoint.tensors]
    if not any(name.startswith("cls.predictions.") for name in checkpoint.tensors):
        raise UnsupportedArchitecture(
            f"{checkpoint.name!r} has no masked-language-model head.",
            value=missing[-1],
            fix="Use a checkpoint that BertForMaskedLM or BertForPreTraining has saved.",
        )
    if missing:
        raise CorruptCheckpoint(
            f"{checkpoint.name!r} lacks {missing[:4]}, which every BertForMaskedLM has.",
            value=missing[0],
            fix="Download or save the checkpoint again.",
        )

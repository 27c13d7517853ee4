"""Teacher and student as modules, and members of their family put together by reference.

A forward pass is written out over the modules of transformers (embeddings, layers with mask and
rotary positions, norm, head), so that a pass may take each layer from either model.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from transformers import AutoConfig, AutoModelForCausalLM, Cache
from transformers.initialization import no_init_weights
from transformers.masking_utils import create_causal_mask, create_sliding_window_causal_mask

from boomerang.anatomy import dissect
from boomerang.architectures import ARCHITECTURES, Attention
from boomerang.checkpoint import Checkpoint
from boomerang.composition import Choice, Composition, Side
from boomerang.errors import StudentMismatch, UnsupportedArchitecture
from boomerang.kinds import FULL, SLIDING
from boomerang.layermap import LayerMap
from boomerang.nested import LANGUAGE_MODEL
from boomerang.quality.accelerator import BLOCKS, Accelerator, device
from boomerang.quality.attention import Shape, block_mask, works

_MASKS = {FULL: create_causal_mask, SLIDING: create_sliding_window_causal_mask}


@dataclass(frozen=True)
class Context:
    """What the layers of a pass need: positions (1 or B, T), rotary pair and mask by attention.

    A mask is a tensor, None where only what comes later is hidden, or one of blocks.
    Keys and values of earlier passes are in `past`, which keeps those of this one too.
    """

    positions: Tensor
    rotary: dict[str, tuple[Tensor, Tensor] | None]
    masks: dict[str, Any]
    past: Cache | None = None

    def at(self, place: int) -> "Context":
        """That of the one token at a place, where `past` has all before it; no mask of blocks."""
        here = slice(place, place + 1)
        return replace(
            self,
            positions=self.positions[:, here],
            rotary={
                kind: None if pair is None else (pair[0][:, here], pair[1][:, here])
                for kind, pair in self.rotary.items()
            },
            masks={
                kind: None if mask is None else mask[..., here, : place + 1]
                for kind, mask in self.masks.items()
            },
        )


class Causal:
    """A causal language model as embeddings, layers, norm and head.

    Raises UnsupportedArchitecture for a model whose layers would not be right in this pass.
    """

    def __init__(self, model: Any) -> None:
        self.model: Any = model
        self.config: Any = model.config
        architecture = ARCHITECTURES[str(self.config.model_type)]
        self.base: Any = getattr(model, architecture.prefix.rstrip("."))
        names = [name.rstrip(".") for name in architecture.embeddings]
        self.tokens: nn.Module = getattr(self.base, names[0])
        self.places: nn.Module | None = getattr(self.base, names[1]) if names[1:] else None
        self.layers: nn.ModuleList = getattr(self.base, architecture.layers.rstrip("."))
        self.last_norm: nn.Module = getattr(self.base, architecture.norm.rstrip("."))
        self.kinds = _kinds(self.config, len(self.layers))
        self._past = "layer_past" if self.config.model_type == "gpt_neox" else "past_key_values"

    def attend(self, on: Accelerator, *, documents: bool) -> None:
        """Attend as suits a device, in passes that keep `documents` apart or do not.

        The way of transformers stays where the device's own does not work for this model.
        """
        own = self.config._attn_implementation
        way = on.attention(own, documents=documents, windows=SLIDING in self.kinds)
        if way != own and works(device(), Shape.of(self.model, on.compute)):
            self.model.set_attn_implementation(way)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        where: torch.device = self.model.device
        return where

    @property
    def ends(self) -> list[nn.Module]:
        """The modules outside the stack that have weights: embeddings, norm, head."""
        places = [] if self.places is None else [self.places]
        return [self.tokens, *places, self.last_norm, self.model.lm_head]

    @property
    def embeddings(self) -> list[nn.Module]:
        """The modules that embed tokens and positions."""
        return [self.tokens] if self.places is None else [self.tokens, self.places]

    @property
    def tied(self) -> bool:
        """Whether head and embeddings are one tensor."""
        return self.model.lm_head.weight is self.tokens.weight

    def embed(self, ids: Tensor, positions: Tensor | None = None) -> Tensor:
        """Token ids (B, T) → hidden states before the first layer (B, T, width)."""
        hidden: Tensor = self.tokens(ids)
        if self.places is not None:
            hidden = hidden + self.places(_positions(hidden) if positions is None else positions)
        scale = getattr(self.config, "embedding_multiplier", None)
        return hidden if scale is None else hidden * scale

    def context(self, hidden: Tensor, positions: Tensor | None = None) -> Context:
        """Positions and masks for hidden states (B, T, width).

        Without `positions` (B, T) each row begins at 0 and is one text. With them a text begins
        wherever they do not go on by one, and sees nothing of the others.
        """
        rotary = getattr(self.base, "rotary_emb", None)
        told, positions = positions, _positions(hidden) if positions is None else positions
        rotated: dict[str, tuple[Tensor, Tensor] | None] = {}
        masks: dict[str, Any] = {}
        for kind in set(self.kinds):
            masks[kind] = self._mask(kind, hidden, told)
            # Where local and global attention rotate differently, one module does both.
            which = (kind,) if hasattr(rotary, "layer_types") else ()
            rotated[kind] = None if rotary is None else rotary(hidden, positions, *which)
        return Context(positions, rotated, masks)

    def _mask(self, kind: str, hidden: Tensor, told: Tensor | None) -> Any:
        if self.config._attn_implementation == BLOCKS:
            positions = _positions(hidden) if told is None else told
            window = self.config.sliding_window if kind == SLIDING else None
            return block_mask(positions.expand(len(hidden), -1), window)
        return _MASKS[kind](
            config=self.config,
            inputs_embeds=hidden,
            position_ids=told,
            attention_mask=None,
            past_key_values=None,
        )

    def layer(self, index: int, hidden: Tensor, context: Context) -> Tensor:
        """Hidden states (B, T, width) through one layer."""
        rotary = context.rotary[self.kinds[index]]
        extra = {} if rotary is None else {"position_embeddings": rotary}
        if context.past is not None:
            extra[self._past] = context.past
        out: Tensor = self.layers[index](
            hidden,
            attention_mask=context.masks[self.kinds[index]],
            position_ids=context.positions,
            use_cache=context.past is not None,
            **extra,
        )
        return out

    def norm(self, hidden: Tensor) -> Tensor:
        """The final norm: (B, T, width) → (B, T, width)."""
        out: Tensor = self.last_norm(hidden)
        return out

    def head(self, hidden: Tensor) -> Tensor:
        """Normed hidden states (…, width) → logits (…, vocabulary)."""
        logits: Tensor = self.model.lm_head(hidden)
        divisor = getattr(self.config, "logits_scaling", None)
        factor = getattr(self.config, "logit_scale", None)
        cap = getattr(self.config, "final_logit_softcapping", None)
        if divisor is not None:
            logits = logits / divisor
        if factor is not None:
            logits = logits * factor
        return logits if cap is None else torch.tanh(logits / cap) * cap

    @property
    def projection(self) -> tuple[Tensor, float] | None:
        """A weight (vocabulary, width) and a factor, where head(h) is factor · h @ weightᵀ.

        None where the head does more, or where its weight is sharded.
        """
        module = self.model.lm_head
        capped = getattr(self.config, "final_logit_softcapping", None) is not None
        if type(module) is not nn.Linear or module.bias is not None or capped:
            return None
        # A sharded weight is gathered by the module's own forward pass alone.
        if type(module.weight) is not nn.Parameter:
            return None
        divisor = getattr(self.config, "logits_scaling", None) or 1.0
        return module.weight, (getattr(self.config, "logit_scale", None) or 1.0) / divisor


@dataclass(frozen=True)
class Trace:
    """One pass: embeddings, the output of each block, and the final output after the norm.

    All are (B, T, width); `ends` has one for each student layer.
    """

    embeddings: Tensor
    ends: tuple[Tensor, ...]
    final: Tensor


@dataclass(frozen=True)
class Couple:
    """A teacher, its student and the layer map between them, in memory."""

    teacher: Causal
    student: Causal
    layermap: LayerMap
    recompute: bool = False
    """Whether each block's activations are made again in the backward pass, instead of kept."""

    def side(self, side: Side) -> Causal:
        """The model of that side."""
        return self.teacher if side is Side.TEACHER else self.student

    def step(self, composition: Composition, j: int, hidden: Tensor, context: Context) -> Tensor:
        """Hidden states through what stands in the place of block `j`."""
        choice, block = composition.choices[j], self.layermap.blocks[j]
        if choice is Choice.STUDENT:
            return self.student.layer(j, hidden, context)
        for index in block if choice is Choice.BLOCK else block[:1]:
            hidden = self.teacher.layer(index, hidden, context)
        return hidden

    def walk(
        self, composition: Composition, hidden: Tensor, context: Context, start: int = 0
    ) -> Iterator[Tensor]:
        """The hidden states after each block from `start` on."""
        for j in range(start, len(composition.choices)):
            step = (composition, j, hidden, context)
            again = self.recompute and torch.is_grad_enabled()
            hidden = (
                checkpoint(self.step, *step, use_reentrant=False) if again else self.step(*step)
            )
            yield hidden

    def trace(
        self,
        composition: Composition,
        ids: Tensor,
        teacher: Trace | None = None,
        positions: Tensor | None = None,
    ) -> Trace:
        """One pass of a member over ids (B, T); `positions` are those of `Causal.context`.

        Blocks of the teacher at the member's beginning are not computed again where the pass of
        the teacher over the same ids is known.
        """
        embeddings = self.side(composition.embeddings).embed(ids, positions)
        known: Sequence[Tensor] = ()
        if teacher is not None and composition.embeddings is Side.TEACHER:
            embeddings = teacher.embeddings
            lead = [choice is Choice.BLOCK for choice in composition.choices]
            known = teacher.ends[: (*lead, False).index(False)]
        context = self.side(composition.embeddings).context(embeddings, positions)
        hidden = known[-1] if known else embeddings
        ends = (*known, *self.walk(composition, hidden, context, len(known)))
        return Trace(embeddings, ends, self.side(composition.norm).norm(ends[-1]))

    def last(self, composition: Composition, ids: Tensor) -> Tensor:
        """Token ids (B, T) → the member's hidden states (B, T, width) before its norm."""
        hidden = self.side(composition.embeddings).embed(ids)
        context = self.side(composition.embeddings).context(hidden)
        for state in self.walk(composition, hidden, context):
            hidden = state
        return hidden

    def logits(self, composition: Composition, ids: Tensor) -> Tensor:
        """Token ids (B, T) → the member's logits (B, T, vocabulary)."""
        return self.side(composition.head).head(self.trace(composition, ids).final)


def load(folder: Path, *, dtype: torch.dtype | None, where: torch.device | None = None) -> Causal:
    """A model from a folder of safetensors, in evaluation mode, gradients off.

    `dtype`, that of the parameters, is the stored one where it is None. Buffers are in float32
    whatever that is. Nothing is fetched and no code of the folder is run. Raises what `dissect`
    raises for folders that are no usable checkpoint.
    """
    stored = Checkpoint.open(folder)
    alone = dissect(stored).config
    nested = {}
    if alone["model_type"] != stored.config["model_type"]:
        fields = {key: value for key, value in alone.items() if key != "model_type"}
        config = AutoConfig.for_model(alone["model_type"], **fields)
        nested = {"config": config, "key_mapping": dict(LANGUAGE_MODEL)}
    model = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype="auto" if dtype is None else dtype,
        local_files_only=True,
        trust_remote_code=False,
        use_safetensors=True,
        **nested,
    )
    model.requires_grad_(False)
    _restore_buffers(model)
    return Causal(model.eval().to(where or torch.device("cpu")))


def cast(model: Causal, dtype: torch.dtype) -> None:
    """Bring the parameters to a dtype, in place; buffers keep theirs.

    Frequencies of rotary positions rounded to bfloat16 are a radian off after a thousand tokens.
    """
    for parameter in model.model.parameters():
        parameter.data = parameter.data.to(dtype)


def _restore_buffers(model: Any) -> None:
    """Give a model the buffers that its class computes in float32.

    Loaded in another dtype it has some of them rounded, as the factor of Gemma's embeddings.
    """
    with torch.device("meta"), no_init_weights():
        twin = type(model)._from_config(model.config, dtype=torch.float32)
    for name, module in twin.named_modules():
        computed = module._non_persistent_buffers_set
        for key in computed:
            setattr(module, key, torch.empty_like(getattr(module, key), device="cpu"))
        if computed:
            twin._init_weights(module)
        for key in computed:
            setattr(model.get_submodule(name), key, getattr(module, key))


def couple(teacher: Causal, student: Causal, layermap: LayerMap) -> Couple:
    """The two together. Raises StudentMismatch where depth or layers cannot be exchanged."""
    depths = (len(teacher.layers), len(student.layers))
    kinds = [teacher.kinds[index] for index in layermap.kept if index < depths[0]]
    if depths != (layermap.layers, len(layermap.kept)) or kinds != student.kinds:
        raise StudentMismatch(
            f"A student of {depths[1]} layers does not fit a teacher of {depths[0]} and the kept "
            f"layers {list(layermap.kept)}.",
            value=list(layermap.kept),
            fix="Depth and kinds of attention must be those of the kept layers.",
        )
    return Couple(teacher, student, layermap)


def _positions(hidden: Tensor) -> Tensor:
    return torch.arange(hidden.shape[1], device=hidden.device)[None]


def _kinds(config: Any, depth: int) -> list[str]:
    """The kind of attention of each layer, by the rules of the architecture's own code."""
    told = ARCHITECTURES[str(config.model_type)].attention
    if told is Attention.WINDOW:
        slides = getattr(config, "sliding_window", None) is not None
        return [SLIDING if slides else FULL] * depth
    kinds = list(config.layer_types) if told is Attention.LISTED else [FULL] * depth
    if len(kinds) != depth or not set(kinds) <= {FULL, SLIDING}:
        raise UnsupportedArchitecture(
            f"The kinds of layers {sorted(set(kinds))} are not supported.",
            value=kinds,
            fix=f"Supported: {FULL} and {SLIDING}.",
        )
    return kinds

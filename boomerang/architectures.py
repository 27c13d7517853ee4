"""Where each family of architectures keeps its layers, embeddings, final norm and head.

Tensors are known by their *role*: which part of the model they belong to, the layer, and the rest
of their name. Roles are the same for teacher and student whatever their files call them; names
that are written are those that `save_pretrained` of transformers 5 gives.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from boomerang.errors import CorruptCheckpoint


class Part(StrEnum):
    """The parts of a decoder."""

    EMBEDDINGS = "embeddings"
    LAYER = "layer"
    NORM = "norm"
    HEAD = "head"


@dataclass(frozen=True, slots=True, order=True)
class Role:
    """What a tensor is: its part, the layer's index (-1 outside the stack), the name after that."""

    part: Part
    layer: int
    suffix: str


@dataclass(frozen=True)
class Architecture:
    """How one family of architectures names its tensors, and what its config is called.

    `prefix` is the base model's attribute, which old files lack; `stored_heads` lists every name
    a head has been stored under, the one to write first.
    """

    causal_lm: str
    prefix: str = "model."
    layers: str = "layers."
    embeddings: tuple[str, ...] = ("embed_tokens.",)
    norm: str = "norm."
    stored_heads: tuple[str, ...] = ("lm_head.",)
    depth_key: str = "num_hidden_layers"
    tied_by_default: bool = False
    buffers: re.Pattern[str] = re.compile(r"rotary_emb\.inv_freq$")

    def role(self, name: str) -> Role | None:
        """The role of a stored tensor, or None for a buffer that loaders ignore.

        Raises CorruptCheckpoint for a name that has no place in this architecture.
        """
        if self.buffers.search(name):
            return None
        for head in self.stored_heads:
            if name.startswith(head):
                return Role(Part.HEAD, -1, name.removeprefix(head))
        bare = name.removeprefix(self.prefix)
        if bare.startswith(self.layers):
            index, _, suffix = bare.removeprefix(self.layers).partition(".")
            if re.fullmatch(r"0|[1-9][0-9]{0,5}", index) and suffix:
                return Role(Part.LAYER, int(index), suffix)
        if bare.startswith(self.embeddings):
            return Role(Part.EMBEDDINGS, -1, bare)
        if bare.startswith(self.norm):
            return Role(Part.NORM, -1, bare.removeprefix(self.norm))
        raise CorruptCheckpoint(
            f"The tensor {name!r} has no place in {self.causal_lm}.",
            value=name,
            fix="Save the model again with transformers 5, or report the architecture.",
        )

    def name(self, role: Role) -> str:
        """The name that transformers 5 stores a role under."""
        match role.part:
            case Part.HEAD:
                return self.stored_heads[0] + role.suffix
            case Part.LAYER:
                return f"{self.prefix}{self.layers}{role.layer}.{role.suffix}"
            case Part.NORM:
                return self.prefix + self.norm + role.suffix
            case Part.EMBEDDINGS:
                return self.prefix + role.suffix

    @property
    def token_embeddings(self) -> Role:
        """The matrix (vocabulary, width) that a tied head shares."""
        return Role(Part.EMBEDDINGS, -1, self.embeddings[0] + "weight")

    @property
    def head(self) -> Role:
        """The head's matrix (vocabulary, width)."""
        return Role(Part.HEAD, -1, "weight")


def _llama_shaped(causal_lm: str) -> Architecture:
    return Architecture(causal_lm)


ARCHITECTURES: Mapping[str, Architecture] = {
    "llama": _llama_shaped("LlamaForCausalLM"),
    "mistral": _llama_shaped("MistralForCausalLM"),
    "qwen2": _llama_shaped("Qwen2ForCausalLM"),
    "qwen3": _llama_shaped("Qwen3ForCausalLM"),
    "olmo2": _llama_shaped("Olmo2ForCausalLM"),
    "phi3": _llama_shaped("Phi3ForCausalLM"),
    "granite": _llama_shaped("GraniteForCausalLM"),
    "gpt_neox": Architecture(
        "GPTNeoXForCausalLM",
        prefix="gpt_neox.",
        embeddings=("embed_in.",),
        norm="final_layer_norm.",
        stored_heads=("embed_out.", "lm_head."),
        buffers=re.compile(r"rotary_emb\.inv_freq$|\.attention\.(bias|masked_bias)$"),
    ),
    "gpt2": Architecture(
        "GPT2LMHeadModel",
        prefix="transformer.",
        layers="h.",
        embeddings=("wte.", "wpe."),
        norm="ln_f.",
        depth_key="n_layer",
        tied_by_default=True,
        buffers=re.compile(r"\.attn\.(bias|masked_bias)$"),
    ),
}
"""By `model_type`. docs/method.md has the same list for people."""

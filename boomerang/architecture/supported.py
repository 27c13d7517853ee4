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


class Attention(StrEnum):
    """How a config says which layers attend within a sliding window."""

    FULL = "full"
    """None does: a `layer_types` or a `sliding_window` in the config has no effect."""
    WINDOW = "window"
    """All do where the config has a `sliding_window`."""
    LISTED = "listed"
    """Those that `layer_types` names; what stands for a missing list is in `kinds.py`."""


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
    a head has been stored under, the one to write first. `experts` says that its feed-forward
    layers are mixtures of experts; `fused` that all experts of a layer are one stored tensor;
    `norm_weights` false that the final norm has none. `head_weight` is what the head's matrix is
    called after the head's name, `head_tied` what else of the head a tied model does not store;
    `masked` says that it is a masked language model (bert.py).
    """

    causal_lm: str
    attention: Attention = Attention.FULL
    prefix: str = "model."
    layers: str = "layers."
    embeddings: tuple[str, ...] = ("embed_tokens.",)
    norm: str = "norm."
    stored_heads: tuple[str, ...] = ("lm_head.",)
    depth_key: str = "num_hidden_layers"
    width_key: str = "hidden_size"
    tied_by_default: bool = False
    norm_weights: bool = True
    experts: bool = False
    fused: bool = False
    head_weight: str = "weight"
    head_tied: tuple[str, ...] = ()
    masked: bool = False
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
        if self.norm and bare.startswith(self.norm):
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
        return Role(Part.HEAD, -1, self.head_weight)

    @property
    def tied_roles(self) -> tuple[Role, ...]:
        """What of the head a tied model does not store."""
        return (self.head, *(Role(Part.HEAD, -1, suffix) for suffix in self.head_tied))


FULL, WINDOW, LISTED = Attention.FULL, Attention.WINDOW, Attention.LISTED

ARCHITECTURES: Mapping[str, Architecture] = {
    "llama": Architecture("LlamaForCausalLM"),
    "mistral": Architecture("MistralForCausalLM", WINDOW),
    "ministral": Architecture("MinistralForCausalLM", LISTED),
    "ministral3": Architecture("Ministral3ForCausalLM", WINDOW),
    "qwen2": Architecture("Qwen2ForCausalLM", LISTED),
    "qwen3": Architecture("Qwen3ForCausalLM", LISTED),
    "olmo": Architecture("OlmoForCausalLM", norm_weights=False),
    "olmo2": Architecture("Olmo2ForCausalLM"),
    "olmo3": Architecture("Olmo3ForCausalLM", LISTED),
    "phi3": Architecture("Phi3ForCausalLM", WINDOW),
    "granite": Architecture("GraniteForCausalLM"),
    "gemma": Architecture("GemmaForCausalLM", tied_by_default=True),
    "gemma2": Architecture("Gemma2ForCausalLM", LISTED, tied_by_default=True),
    "gemma3_text": Architecture("Gemma3ForCausalLM", LISTED, tied_by_default=True),
    "smollm3": Architecture("SmolLM3ForCausalLM", LISTED, tied_by_default=True),
    "starcoder2": Architecture("Starcoder2ForCausalLM", WINDOW, tied_by_default=True),
    "stablelm": Architecture("StableLmForCausalLM"),
    "cohere": Architecture("CohereForCausalLM", tied_by_default=True),
    "cohere2": Architecture("Cohere2ForCausalLM", LISTED, tied_by_default=True),
    "glm": Architecture("GlmForCausalLM"),
    "glm4": Architecture("Glm4ForCausalLM"),
    "exaone4": Architecture("Exaone4ForCausalLM", LISTED),
    "hunyuan_v1_dense": Architecture("HunYuanDenseV1ForCausalLM"),
    "seed_oss": Architecture("SeedOssForCausalLM"),
    "phi": Architecture("PhiForCausalLM", norm="final_layernorm."),
    "mixtral": Architecture("MixtralForCausalLM", WINDOW, experts=True),
    "qwen2_moe": Architecture("Qwen2MoeForCausalLM", LISTED, experts=True),
    "qwen3_moe": Architecture("Qwen3MoeForCausalLM", WINDOW, experts=True),
    "olmoe": Architecture("OlmoeForCausalLM", experts=True),
    "gpt_oss": Architecture("GptOssForCausalLM", LISTED, experts=True, fused=True),
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
        width_key="n_embd",
        tied_by_default=True,
        buffers=re.compile(r"\.attn\.(bias|masked_bias)$"),
    ),
}
"""By `model_type`. docs/architectures.md has the same list for people."""

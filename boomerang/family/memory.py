"""How much memory running a member takes: weights, keys and values, and what a runtime adds.

All of it comes from headers and a config, so it is known before anything is distilled. This is the
one estimate: whatever its weights are stored as, a member's need is told here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from boomerang.architecture.anatomy import Anatomy
from boomerang.architecture.kinds import attended
from boomerang.architecture.supported import Part, Role
from boomerang.checkpoint.header import Tensor
from boomerang.errors import BadRequest
from boomerang.family.budget import DTYPE_BYTES

GIB = 1 << 30
CONTEXT = 8192
"""The tokens of a sequence where nobody says how many."""
MOST_CONTEXT = 1 << 24

RuntimeName = Literal["transformers", "vllm", "llama.cpp"]


@dataclass(frozen=True, slots=True)
class Runtime:
    """What a program takes beside weights, keys and values.

    `fixed` bytes whatever the model; a pass over `tokens` at most at once (None: all of a
    prompt); float32 logits of `logits` of them. Of a device it uses the part `share`.
    """

    fixed: int
    tokens: int | None
    logits: int
    share: float = 1.0


RUNTIMES: Mapping[RuntimeName, Runtime] = {
    # A CUDA context with PyTorch's kernels and cuBLAS' workspaces is 0.3 to 0.6 GiB, by device.
    # `generate` reads a prompt in one pass, and computes logits of its last token, and a copy.
    "transformers": Runtime(fixed=GIB // 2, tokens=None, logits=2),
    # The same context and about as much for CUDA graphs; max_num_batched_tokens 2048 and
    # max_num_seqs 256, and gpu_memory_utilization 0.9, are its defaults on most devices.
    "vllm": Runtime(fixed=GIB, tokens=2048, logits=256, share=0.9),
    # A context of ggml's own kernels; n_ubatch 512, whose logits its compute buffer has room for.
    "llama.cpp": Runtime(fixed=GIB // 4, tokens=512, logits=512),
}
"""From the defaults of transformers 5, vLLM 0.11 and llama.cpp: reasoned, not measured."""


@dataclass(frozen=True, slots=True)
class Need:
    """Bytes that running a member takes, by what takes them."""

    weights: int
    cache: int
    overhead: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.weights + self.cache + self.overhead

    def json(self) -> dict[str, int]:
        """As JSON, the total too."""
        return {
            "weights": self.weights,
            "cache": self.cache,
            "overhead": self.overhead,
            "total": self.total,
        }


@dataclass(frozen=True, slots=True)
class Memory:
    """What of a teacher decides how much memory its members take beside their weights.

    `layers` has for each of its layers the numbers of keys and values that one token leaves, and
    how many tokens it looks at (None: all). `hidden` is the width of what goes from layer to
    layer, `widest` that of the widest matrix of a layer, `vocabulary` the number of logits.
    """

    layers: tuple[tuple[int, int | None], ...]
    hidden: int
    widest: int
    vocabulary: int

    @classmethod
    def of(cls, teacher: Anatomy) -> "Memory":
        """Of a teacher's headers and config."""
        layers = [teacher.part(Part.LAYER, index) for index in range(teacher.depth)]
        windows = attended(teacher.config, teacher.architecture, teacher.kinds)
        # What fills gaps in a text reads it all at once: it keeps nothing.
        widths = [0 if teacher.architecture.masked else _width(layer) for layer in layers]
        vocabulary, hidden = teacher.head_tensor.shape
        matrices = (t.shape[-2:] for layer in layers for _, t in layer if len(t.shape) > 1)
        widest = max((max(shape) for shape in matrices), default=hidden)
        return cls(tuple(zip(widths, windows, strict=True)), hidden, widest, vocabulary)

    @classmethod
    def parse(cls, kept: Mapping[str, Any] | None) -> "Memory | None":
        """What `json` gave; None where nobody kept that."""
        if kept is None:
            return None
        layers = tuple((int(width), window) for width, window in kept["layers"])
        return cls(layers, kept["hidden"], kept["widest"], kept["vocabulary"])

    def json(self) -> dict[str, Any]:
        """As the catalog keeps it."""
        return {
            "layers": [list(layer) for layer in self.layers],
            "hidden": self.hidden,
            "widest": self.widest,
            "vocabulary": self.vocabulary,
        }

    def cache(
        self, layers: Iterable[int], context: int, *, dtype: str = "bfloat16", batch: int = 1
    ) -> int:
        """Bytes of the keys and values of `batch` sequences of `context` tokens.

        `layers` are those of the member, by the teacher's index (`Layer.teacher_index`). A layer
        that looks at a window keeps one token less than that: the last one is the one it looks
        from (transformers' DynamicSlidingWindowLayer, which the tests compare with).
        """
        kept = 0
        for index in layers:
            width, window = self.layers[index]
            kept += width * (context if window is None else min(context, window - 1))
        return kept * batch * item_bytes(dtype)

    def needs(
        self, weights: int, layers: Sequence[int], context: int = CONTEXT, *,
        dtype: str = "bfloat16", batch: int = 1, runtime: RuntimeName = "transformers",
    ) -> Need:  # fmt: skip
        """What running a member takes whose weights have so many bytes, however they are stored.

        `dtype` is that of keys, values and activations. Beside the runtime's own figures a pass
        needs, for each token, three vectors as wide as the widest matrix (a feed-forward layer's
        two inputs and their product) and two of the hidden width; attention's scores are never
        whole in memory.
        """
        program = RUNTIMES[runtime]
        tokens = batch * context if program.tokens is None else min(program.tokens, batch * context)
        item = item_bytes(dtype)
        working = tokens * (3 * self.widest + 2 * self.hidden) * item
        logits = max(program.logits, batch) * self.vocabulary * 4
        cache = self.cache(layers, context, dtype=dtype, batch=batch)
        return Need(weights, cache, program.fixed + working + logits)


def item_bytes(dtype: str) -> int:
    """Bytes of one number. Raises BadRequest for a dtype of no such name."""
    if dtype not in DTYPE_BYTES:
        raise BadRequest(
            f"{dtype!r} is no dtype.", value=dtype, fix=f"Use one of {', '.join(DTYPE_BYTES)}."
        )
    return DTYPE_BYTES[dtype]


def cached_as(dtype: str) -> str:
    """What keys and values beside such weights are in: bfloat16 where those have fewer bits."""
    return dtype if item_bytes(dtype) >= DTYPE_BYTES["bfloat16"] else "bfloat16"


def _width(layer: Sequence[tuple[Role, Tensor]]) -> int:
    """The keys and values of one token, by the shapes of the matrices that make them."""
    shapes = {role.suffix: tensor.shape for role, tensor in layer}
    apart = [s[0] for n, s in shapes.items() if n.endswith((".k_proj.weight", ".v_proj.weight"))]
    if apart:
        return sum(apart)
    for fused, out in _FUSED:
        if fused in shapes:
            # Queries are as wide as what the output matrix takes in; GPT-2's are (in, out).
            turned = fused.endswith("c_attn.weight")
            return shapes[fused][1 if turned else 0] - shapes[out][0 if turned else 1]
    return 0


_FUSED = (
    ("self_attn.qkv_proj.weight", "self_attn.o_proj.weight"),
    ("attention.query_key_value.weight", "attention.dense.weight"),
    ("attn.c_attn.weight", "attn.c_proj.weight"),
)
"""Matrices that make queries, keys and values at once, each with the one that takes the result."""

"""What the files of a model are called, and which travel: nothing that could be code does."""

import re

CONFIG = "config.json"
GENERATION_CONFIG = "generation_config.json"
SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
CARD = "README.md"
TOKENIZER_CONFIG = "tokenizer_config.json"
CHAT_TEMPLATE = "chat_template.jinja"
STUDENT_CONFIG = "student_config.json"
"""Which of the teacher's layers a student keeps, as the paper's own code writes it."""
RECORD = "boomerang.json"
"""How a model of ours was made."""

WEIGHTS = r"model(-\d+-of-\d+)?\.safetensors"
TOKENIZER: tuple[str, ...] = (
    r"tokenizer(\.\d+)*\.json",
    r"(tokenizer_config|special_tokens_map|added_tokens|vocab|tekken)\.json",
    r"vocab\.(txt|bpe)",
    r"merges\.txt",
    r"(tokenizer|spiece|sentencepiece|sentencepiece\.bpe)\.model(\.v\d+(m\d+)?)?",
    r"[\w.-]+\.tiktoken",
    r"chat_template\.(jinja|json)",
    r"additional_chat_templates/[\w-]+\.jinja",
)
"""What a tokenizer of any kind may consist of, as patterns of whole paths."""
LICENCE = r"(?i:licen[cs]e|copying)[\w-]*(\.(?i:txt|md|rst))?"
"""What a licence is called."""
ALLOWED: tuple[str, ...] = (
    WEIGHTS,
    re.escape(INDEX),
    r"(config|generation_config)\.json",
    *TOKENIZER,
    r"(video_|image_)?(preprocessor|processor)_config\.json",
    LICENCE,
    r"(?i:notice|use_policy)[\w-]*(\.(?i:txt|md|rst))?",
    r"(student_config|boomerang)\.json",
)
"""What travels of a repository, as patterns of whole paths."""
OTHER_WEIGHTS = (".bin", ".pth", ".pt", ".gguf", ".h5", ".msgpack", ".ckpt", ".onnx")


def _any(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns))


_TRAVELS, _TOKENIZES = _any(ALLOWED), _any(TOKENIZER)


def travels(name: str) -> bool:
    """Whether a file of a model's repository is one that Boomerang reads, copies and publishes."""
    return _TRAVELS.fullmatch(name) is not None


def is_licence(name: str) -> bool:
    """Whether a file beside a model is the text of its licence."""
    return re.fullmatch(LICENCE, name) is not None


def tokenizes(name: str) -> bool:
    """Whether a file belongs to a model's tokenizer, so that it stands beside its students too."""
    return _TOKENIZES.fullmatch(name) is not None

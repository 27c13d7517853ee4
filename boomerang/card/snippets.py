"""How to run a model, as text that works when pasted: from the Hub, or from a service of ours."""

from collections.abc import Iterator
from dataclasses import dataclass

from boomerang.architecture.runtimes import Runtime
from boomerang.card.facts import Facts, Origin

_PLAIN = """\
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{repo}")
model = AutoModelForCausalLM.from_pretrained("{repo}", dtype="auto")
inputs = tokenizer("In the beginning", return_tensors="pt")
output = model.generate(**inputs, max_new_tokens=20)
print(tokenizer.decode(output[0], skip_special_tokens=True))"""

_CHAT = """\
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{repo}")
model = AutoModelForCausalLM.from_pretrained("{repo}", dtype="auto")
messages = [{{"role": "user", "content": "What is a boomerang?"}}]
inputs = tokenizer.apply_chat_template(
    messages, add_generation_prompt=True, return_dict=True, return_tensors="pt"
)
output = model.generate(**inputs, max_new_tokens=100)
print(tokenizer.decode(output[0][inputs["input_ids"].shape[1]:], skip_special_tokens=True))"""

_MASKED = """\
from transformers import AutoModelForMaskedLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{repo}")
model = AutoModelForMaskedLM.from_pretrained("{repo}", dtype="auto").eval()
inputs = tokenizer(f"In the {{tokenizer.mask_token}}.", return_tensors="pt")
masked = inputs["input_ids"] == tokenizer.mask_token_id
likeliest = model(**inputs).logits[masked].argmax(-1)
print(tokenizer.decode(likeliest))"""

_BASH = {
    Runtime.VLLM: """\
pip install vllm
vllm serve {repo}""",
    Runtime.LLAMA_CPP: """\
git clone --depth 1 https://github.com/ggml-org/llama.cpp
cmake -S llama.cpp -B llama.cpp/build
cmake --build llama.cpp/build --target {program} -j
pip install -r llama.cpp/requirements/requirements-convert_hf_to_gguf.txt
hf download {repo} --local-dir {name}
python llama.cpp/convert_hf_to_gguf.py {name} --outfile {name}.gguf
llama.cpp/build/bin/{program} -m {name}.gguf {asked}""",
    Runtime.OLLAMA: """\
echo 'FROM ./{name}.gguf' > Modelfile
ollama create {lower} -f Modelfile
ollama run {lower} "{prompt}\"""",
}
_DOWNLOAD = "hf download {repo} --local-dir {name}"

_HEADS = {
    Runtime.TRANSFORMERS: "Transformers",
    Runtime.VLLM: "vLLM",
    Runtime.LLAMA_CPP: "llama.cpp",
    Runtime.OLLAMA: "Ollama, from the file made above",
}
_NOTES = {
    Runtime.LLAMA_CPP: "The converter must know the tokenizer, which is the teacher's own: where "
    "it converts the teacher, it\nconverts this."
}


@dataclass(frozen=True, slots=True)
class Snippet:
    """What is pasted to run a model with one program, in a language, and what to know of it."""

    name: str
    language: str
    text: str
    note: str = ""


def snippets(facts: Facts) -> str:
    """The section of a card on the programs that run this model."""
    parts = ["## Use", "While the repository is private, log in first (`hf auth login`)."]
    for runtime in facts.runtimes or (Runtime.TRANSFORMERS,):
        one = _snippet(facts, runtime)
        fenced = f"{one.name}:\n\n```{one.language}\n{one.text}\n```"
        parts.append("\n\n".join(part for part in (fenced, one.note) if part))
    return "\n\n".join(parts)


def served(facts: Origin, endpoint: str) -> Iterator[Snippet]:
    """How it is run as it is served at `endpoint`, a service of ours, in place of the Hub.

    Those programs that read what is served; that a converter makes another file of it is left to
    the card.
    """
    told = f'import os\n\nos.environ["HF_ENDPOINT"] = "{endpoint}"  # before transformers\n\n'
    plain = _snippet(facts, Runtime.TRANSFORMERS)
    yield Snippet(plain.name, plain.language, told + plain.text)
    exported = f"export HF_ENDPOINT={endpoint}\n"
    yield Snippet("hf download", "bash", exported + _DOWNLOAD.format(**_names(facts)))
    if Runtime.VLLM in facts.runtimes:
        one = _snippet(facts, Runtime.VLLM)
        yield Snippet(one.name, one.language, exported + one.text)


def _snippet(facts: Origin, runtime: Runtime) -> Snippet:
    language = "bash" if runtime in _BASH else "python"
    text = (_BASH.get(runtime) or _transformers(facts)).format(**_names(facts))
    return Snippet(_HEADS[runtime], language, text, _NOTES.get(runtime, ""))


def _names(facts: Origin) -> dict[str, str]:
    prompt = "What is a boomerang?" if facts.chat else "In the beginning"
    return {
        "repo": facts.repo_id,
        "name": facts.title,
        "lower": facts.title.lower(),
        "prompt": prompt,
        "program": "llama-cli" if facts.chat else "llama-completion",
        "asked": f'{"-st" if facts.chat else "-n 20 -no-cnv"} -p "{prompt}"',
    }


def _transformers(facts: Origin) -> str:
    if facts.masked:
        return _MASKED
    return _CHAT if facts.chat else _PLAIN

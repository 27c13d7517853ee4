"""How to run a published model, as text that works when pasted."""

from boomerang.architecture.runtimes import Runtime
from boomerang.card.facts import Facts

_PLAIN = """\
```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{repo}")
model = AutoModelForCausalLM.from_pretrained("{repo}", dtype="auto")
inputs = tokenizer("In the beginning", return_tensors="pt")
output = model.generate(**inputs, max_new_tokens=20)
print(tokenizer.decode(output[0], skip_special_tokens=True))
```"""

_CHAT = """\
```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{repo}")
model = AutoModelForCausalLM.from_pretrained("{repo}", dtype="auto")
messages = [{{"role": "user", "content": "What is a boomerang?"}}]
inputs = tokenizer.apply_chat_template(
    messages, add_generation_prompt=True, return_dict=True, return_tensors="pt"
)
output = model.generate(**inputs, max_new_tokens=100)
print(tokenizer.decode(output[0][inputs["input_ids"].shape[1]:], skip_special_tokens=True))
```"""

_MASKED = """\
```python
from transformers import AutoModelForMaskedLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{repo}")
model = AutoModelForMaskedLM.from_pretrained("{repo}", dtype="auto").eval()
inputs = tokenizer(f"In the {{tokenizer.mask_token}}.", return_tensors="pt")
masked = inputs["input_ids"] == tokenizer.mask_token_id
likeliest = model(**inputs).logits[masked].argmax(-1)
print(tokenizer.decode(likeliest))
```"""

_TEMPLATES = {
    Runtime.VLLM: """\
```bash
pip install vllm
vllm serve {repo}
```""",
    Runtime.LLAMA_CPP: """\
```bash
git clone --depth 1 https://github.com/ggml-org/llama.cpp
cmake -S llama.cpp -B llama.cpp/build
cmake --build llama.cpp/build --target {program} -j
pip install -r llama.cpp/requirements/requirements-convert_hf_to_gguf.txt
hf download {repo} --local-dir {name}
python llama.cpp/convert_hf_to_gguf.py {name} --outfile {name}.gguf
llama.cpp/build/bin/{program} -m {name}.gguf {asked}
```

The converter must know the tokenizer, which is the teacher's own: where it converts the teacher, it
converts this.""",
    Runtime.OLLAMA: """\
```bash
echo 'FROM ./{name}.gguf' > Modelfile
ollama create {lower} -f Modelfile
ollama run {lower} "{prompt}"
```""",
}

_HEADS = {
    Runtime.TRANSFORMERS: "Transformers",
    Runtime.VLLM: "vLLM",
    Runtime.LLAMA_CPP: "llama.cpp",
    Runtime.OLLAMA: "Ollama, from the file made above",
}


def snippets(facts: Facts) -> str:
    """The section of a card on the programs that run this model."""
    prompt = "What is a boomerang?" if facts.chat else "In the beginning"
    names = {
        "repo": facts.repo_id,
        "name": facts.title,
        "lower": facts.title.lower(),
        "prompt": prompt,
        "program": "llama-cli" if facts.chat else "llama-completion",
        "asked": f'{"-st" if facts.chat else "-n 20 -no-cnv"} -p "{prompt}"',
    }
    parts = ["## Use", "While the repository is private, log in first (`hf auth login`)."]
    for runtime in facts.runtimes or (Runtime.TRANSFORMERS,):
        text = _TEMPLATES.get(runtime) or _transformers(facts)
        parts.append(f"{_HEADS[runtime]}:\n\n{text.format(**names)}")
    return "\n\n".join(parts)


def _transformers(facts: Facts) -> str:
    if facts.masked:
        return _MASKED
    return _CHAT if facts.chat else _PLAIN

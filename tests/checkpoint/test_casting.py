"""Casting against torch: every pair of dtypes, every bit pattern of the 16-bit ones."""

import itertools

import numpy as np
import pytest
import torch

from boomerang.checkpoint.casting import caster
from boomerang.checkpoint.header import ITEM_BYTES
from boomerang.errors import CorruptCheckpoint

TORCH = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
}  # fmt: skip
BITS = {"F64": torch.int64, "F32": torch.int32, "F16": torch.int16, "BF16": torch.int16}


def patterns(dtype: str) -> torch.Tensor:
    """All values of a 16-bit dtype; of a wider one random bits and the places where casts turn.

    Those are the values of the narrower dtypes, the middles between two of them (ties), and the
    neighbours of both, subnormal, infinite and NaN ones included.
    """
    if dtype in ("F16", "BF16"):
        return torch.arange(-(1 << 15), 1 << 15, dtype=torch.int16).view(TORCH[dtype])
    info = torch.iinfo(BITS[dtype])
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(info.min, info.max, (200_000,), dtype=BITS[dtype], generator=generator)
    found = [drawn.view(TORCH[dtype])]
    for narrow in ("F16", "BF16"):
        exact = patterns(narrow).to(TORCH[dtype])
        middles = (exact[:-1] + exact[1:]) / 2
        for values in (exact, middles):
            bits = values.contiguous().view(BITS[dtype])
            found += [(bits + step).view(TORCH[dtype]) for step in (-1, 0, 1)]
    return torch.cat(found)


def raw(tensor: torch.Tensor) -> bytes:
    return tensor.contiguous().view(torch.uint8).numpy().tobytes()


def read(data: bytes, dtype: str) -> torch.Tensor:
    return torch.frombuffer(bytearray(data), dtype=TORCH[dtype])


@pytest.mark.parametrize(("wide", "narrow"), list(itertools.product(TORCH, TORCH)))
def test_cast_is_torchs(wide: str, narrow: str) -> None:
    values = patterns(wide)
    ours = read(caster(wide, narrow)(raw(values)), narrow)
    theirs = values.to(TORCH[narrow])
    # torch writes different NaNs in its vectorised and its scalar loop: only that it is one counts.
    nan = theirs.isnan()
    assert torch.equal(ours.isnan(), nan)
    assert nan.any()
    assert theirs.isinf().any()
    same = ours.view(BITS[narrow]) == theirs.view(BITS[narrow])
    assert bool((same | nan).all())


def test_bfloat16_rounds_ties_to_even_and_overflows_to_infinity() -> None:
    bits = np.array([0x3F808000, 0x3F818000, 0x3F808001, 0x7F7FFFFF, 0x00008000], np.uint32)
    data = caster("F32", "BF16")(bits.tobytes())
    assert np.frombuffer(data, np.uint16).tolist() == [0x3F80, 0x3F82, 0x3F81, 0x7F80, 0x0000]


def test_nan_becomes_a_quiet_nan_of_its_sign_in_bfloat16() -> None:
    """A signalling NaN whose payload lies in the bits that fall away must not become infinite."""
    bits = np.array([0x7F800001, 0xFF800001, 0x7FFFFFFF, 0xFFFFFFFF], np.uint32)
    data = caster("F32", "BF16")(bits.tobytes())
    assert np.frombuffer(data, np.uint16).tolist() == [0x7FC0, 0xFFC0, 0x7FC0, 0xFFC0]


@pytest.mark.parametrize(("wide", "narrow"), list(itertools.product(TORCH, TORCH)))
def test_a_part_is_cast_as_it_is_in_the_whole(wide: str, narrow: str) -> None:
    """Lengths on both sides of a vector register, at odd places of a buffer that is not aligned."""
    data = raw(patterns(wide)[-3001:])
    whole, width = caster(wide, narrow)(data), ITEM_BYTES[wide]
    to = ITEM_BYTES[narrow]
    for start, length in itertools.product((0, 1, 2977), (0, 1, 2, 7, 8, 9, 15, 16, 17, 23)):
        held = bytearray(b"?" + data[start * width : (start + length) * width])
        part = caster(wide, narrow)(memoryview(held)[1:])
        assert part == whole[start * to : (start + length) * to]


def test_nothing_gives_nothing() -> None:
    assert caster("F32", "BF16")(b"") == b""


@pytest.mark.parametrize("pair", [("I64", "F32"), ("F32", "U8"), ("F8_E4M3", "BF16")])
def test_only_floats_are_cast(pair: tuple[str, str]) -> None:
    with pytest.raises(CorruptCheckpoint):
        caster(*pair)

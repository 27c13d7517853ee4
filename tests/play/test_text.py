"""Text is told as it is written: whole characters, and nothing of a string that stops it."""

from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from boomerang.play.text import Decoder, Said

TEXT = "Ein Käfer 🐞 — und naïve Zeichen: 日本語."


@pytest.fixture(scope="module")
def of_bytes() -> Any:
    """A tokenizer of which each byte is a token."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE({sign: i for i, sign in enumerate(alphabet)}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=made)


def test_characters_of_many_tokens_come_whole(of_bytes: Any) -> None:
    decoder = Decoder(of_bytes, of_bytes("Vorher 🐞").input_ids)
    pieces = [decoder.add(token) for token in of_bytes(TEXT).input_ids]
    assert "".join([*pieces, decoder.rest()]) == TEXT
    assert not any("�" in piece for piece in pieces)
    assert "🐞" in pieces


def test_a_long_text_is_the_same_in_pieces(of_bytes: Any) -> None:
    text = " ".join([TEXT] * 5)
    decoder = Decoder(of_bytes, [])
    pieces = [decoder.add(token) for token in of_bytes(text).input_ids]
    assert "".join(pieces) == text
    assert len(decoder._ids) < 40


def test_what_never_becomes_a_character_comes_all_the_same(of_bytes: Any) -> None:
    half = of_bytes("🐞").input_ids[:2]
    decoder = Decoder(of_bytes, of_bytes("a").input_ids)
    assert [decoder.add(token) for token in half] == ["", ""]
    assert decoder.rest() == "�"
    stuck = Decoder(of_bytes, of_bytes("a").input_ids)
    assert any(stuck.add(half[1]) for _ in range(20))


@pytest.mark.parametrize(
    ("pieces", "stops", "told", "stopped"),
    [
        (["one ", "two\n", "\nthree"], ["\n\n"], ["one ", "two"], True),
        (["one\n", "two"], ["\n\n"], ["one", "\ntwo"], False),
        (["one\n"], ["\n\n"], ["one", "\n"], False),
        (["abcab", "d"], ["abd", "ca"], ["ab"], True),
        (["one", " two"], [], ["one", " two"], False),
    ],
)
def test_a_stop_string_is_not_told(
    pieces: list[str], stops: list[str], told: list[str], stopped: bool
) -> None:
    heard: list[str] = []
    said = Said(heard.append, stops)
    for piece in pieces:
        said.add(piece)
    said.end()
    assert (heard, said.stopped) == (told, stopped)

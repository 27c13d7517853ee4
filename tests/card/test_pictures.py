"""The pictures of a card: PNG, the same for the same facts, and another one for another size."""

import io
from dataclasses import replace

import matplotlib as mpl
import pytest
from PIL import Image

from boomerang.card.card import card
from boomerang.card.facts import LAYERS, QUALITY
from boomerang.card.pictures import pictures
from tests.card.facts import BARE, MEMBER, SIZES, STUDENT


def test_the_same_facts_give_the_same_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    made = pictures(MEMBER)
    assert set(made) == {QUALITY, LAYERS}
    # Whatever the process has set, and none of it is left changed.
    monkeypatch.setitem(mpl.rcParams, "font.size", 30.0)
    monkeypatch.setitem(mpl.rcParams, "lines.color", "red")
    assert pictures(MEMBER) == made
    assert mpl.rcParams["font.size"] == 30.0
    for data in made.values():
        picture = Image.open(io.BytesIO(data))
        assert (picture.format, picture.width) == ("PNG", 1152)
        assert not {"Software", "Creation Time", "date"} & set(picture.info)
        assert len(data) < 100_000


def test_this_size_is_marked_and_its_layers_are_shown() -> None:
    made, student = pictures(MEMBER), pictures(STUDENT)
    assert made[QUALITY] != student[QUALITY]
    assert made[LAYERS] != student[LAYERS]


def test_errors_are_drawn() -> None:
    sizes = (replace(SIZES[0], errors={"perplexity": 1.0}), *SIZES[1:])
    assert pictures(replace(MEMBER, sizes=sizes))[QUALITY] != pictures(MEMBER)[QUALITY]


def test_without_figures_there_is_no_curve() -> None:
    assert set(pictures(BARE)) == {LAYERS}
    assert QUALITY not in card(replace(BARE, pictures=True))


def test_a_card_shows_its_pictures_and_says_what_they_show() -> None:
    text = card(replace(MEMBER, pictures=True))
    assert f"1.00B: 20.5 and 1.10B: 18.25.]({QUALITY})" in text
    assert "![Perplexity of each size of the family by its parameters, beside naive" in text
    assert (
        "![Of the 5 layers of this size, counted from 0, 0–2 are the student's 0–2 and 3–4 are the "
        f"teacher's 6–7; the teacher has 8 layers, the student 5.]({LAYERS})" in text
    )
    assert "![" not in card(MEMBER)

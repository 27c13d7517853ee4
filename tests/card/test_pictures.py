"""The pictures of a card: PNG, the same for the same facts, and another one for another size."""

from dataclasses import replace

from boomerang.card.card import card
from boomerang.card.facts import LAYERS, QUALITY
from boomerang.card.pictures import pictures
from tests.card.facts import BARE, MEMBER, SIZES, STUDENT
from tests.charts.test_raster import size_of


def test_the_same_facts_give_the_same_pictures() -> None:
    made = pictures(MEMBER)
    assert set(made) == {QUALITY, LAYERS}
    assert pictures(MEMBER) == made
    for data in made.values():
        assert size_of(data)[0] == 1440
        # Neither a date nor a program's name is written beside the pixels.
        assert not any(part in data for part in (b"tEXt", b"iTXt", b"zTXt", b"tIME"))
        assert len(data) < 100_000


def test_this_size_is_marked_and_its_layers_are_shown() -> None:
    made, student = pictures(MEMBER), pictures(STUDENT)
    assert made[QUALITY] != student[QUALITY]
    assert made[LAYERS] != student[LAYERS]


def test_errors_are_drawn_and_what_no_table_shows_is_not() -> None:
    def with_error(error: float) -> bytes:
        sizes = (replace(SIZES[0], errors={"perplexity": error}), *SIZES[1:])
        return pictures(replace(MEMBER, sizes=sizes))[QUALITY]

    assert with_error(1.0) != pictures(MEMBER)[QUALITY]
    assert with_error(1.0) == with_error(1.0001)


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

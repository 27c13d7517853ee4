"""What people see of members and orders: bars with a legend, and words in place of codes."""

from boomerang.family.composition import bar, legend
from boomerang.family.order_forms import ORDERS, order_in_words
from boomerang.quality.choosing.orders import MEASURED


def test_a_bar_has_a_square_for_each_student_layer() -> None:
    assert bar("ssbbf+stt") == "□□■■◧"


def test_the_legend_tells_of_the_rare_square_only_where_it_is_shown() -> None:
    assert "◧" not in legend(["□□", "■■"])
    assert "□" in legend(["■■"])
    assert "◧ the first layer of the teacher's block" in legend(["□□", "□◧"])


def test_every_order_that_has_a_name_has_words() -> None:
    assert set(ORDERS) == {*MEASURED, "auto"}
    assert order_in_words("best") == ORDERS["best"]
    for order in ("5,3,1", "sss,sbs,bbb", "given"):
        assert order_in_words(order) == "as it was asked for"

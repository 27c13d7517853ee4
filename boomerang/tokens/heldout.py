"""The text that is measured on: the first windows of a split, and no more read than they take."""

from collections.abc import Callable

from torch import Tensor

from boomerang.texts.texts import Split, Texts
from boomerang.tokens.packing import Tokeniser
from boomerang.tokens.windows import Stream


def first_windows(
    tokeniser: Tokeniser,
    texts: Texts,
    split: Split,
    tokens: int,
    length: int,
    tick: Callable[[], None] = lambda: None,
) -> Tensor:
    """About `tokens` tokens of a split from its beginning on: (W, length + 1), int64.

    `tick` is called now and then. Raises BadRecipe where there is not even one window, and as
    `Tokeniser.encode`.
    """
    # Windows begin one where the other ends, and the last one's last token is only predicted.
    most = max(1, tokens // length) * length + 1
    encoded = tokeniser.encode(texts, split, tick=tick, most=most)
    return Stream(encoded, length, split, begins=tokeniser.begins).head(tokens)

"""The range arithmetic against a slow reference that looks at every byte."""

from hypothesis import given, settings
from hypothesis import strategies as st

from app.serving.responses import MOST, Refused, asked, coalesced, names, same

SIZES = st.integers(1, 60)
SPECS = st.one_of(
    st.tuples(st.integers(0, 70), st.integers(0, 70)).map(lambda p: (min(p), max(p))),
    st.tuples(st.integers(0, 70), st.none()),
    st.tuples(st.none(), st.integers(0, 70)),
)


def wanted(specs: list[tuple[int | None, int | None]], size: int) -> list[set[int]]:
    """For each range the positions that it names, one by one (RFC 9110, 14.1.2)."""
    found = []
    for first, last in specs:
        if first is None:
            assert last is not None
            found.append({at for at in range(size) if at >= size - last})
        else:
            found.append({at for at in range(size) if at >= first and (last is None or at <= last)})
    return found


def written(specs: list[tuple[int | None, int | None]], zeros: int, gap: str) -> str:
    def number(value: int | None) -> str:
        return "" if value is None else "0" * zeros + str(value)

    return "bytes=" + f"{gap},{gap}".join(f"{number(a)}-{number(b)}" for a, b in specs)


@settings(max_examples=500)
@given(
    specs=st.lists(SPECS, min_size=1, max_size=8),
    size=SIZES,
    zeros=st.integers(0, 30),
    gap=st.sampled_from(["", " ", "\t", ",", " , "]),
)
def test_ranges_name_exactly_the_bytes_asked_for(
    specs: list[tuple[int | None, int | None]], size: int, zeros: int, gap: str
) -> None:
    found = asked(written(specs, zeros, gap), size)
    each = wanted(specs, size)
    if not any(each):
        assert found is Refused.OUTSIDE
        return
    assert isinstance(found, tuple)
    got = [set(range(start, stop)) for start, stop in found]
    assert all(0 <= start < stop <= size for start, stop in found)
    assert set.union(*got) == set.union(*each)
    assert sum(map(len, got)) == len(set.union(*got)), "no byte twice"
    for one in got:
        for other in got:
            assert one is other or max(one) + 1 not in other, "what touches is one part"
    # In the order of the first range that lies in each part.
    places = [min(i for i, want in enumerate(each) if want & one) for one in got]
    assert places == sorted(places)


@settings(max_examples=500)
@given(st.text(max_size=40) | st.text("bytes=0123456789-, \t", max_size=40).map("bytes=".__add__),
       st.integers(0, 1 << 50))  # fmt: skip
def test_any_header_is_answered_refused_or_ignored(header: str, size: int) -> None:
    found = asked(header, size)
    if isinstance(found, tuple):
        assert found
        assert all(0 <= start < stop <= size for start, stop in found)


def test_what_is_ignored() -> None:
    for header in (None, "", "bytes", "bytes=", "bytes=,", "bytes=-", "bytes=5-2", "bytes=0-1,5-2",
                   "bytes=a-b", "bytes=1-2-3", "bytes=--1", "bytes=+1-2", "bytes =0-1",
                   "bytes= 0 - 1", "bytes=٣-٤", "lines=0-1", "bytes=0-1;5-6"):  # fmt: skip
        assert asked(header, 100) is None, header
    # A file of no bytes has no range that could be written in a Content-Range.
    assert asked("bytes=0-", 0) is asked("bytes=-5", 0) is None


def test_numbers_beyond_every_file() -> None:
    assert asked(f"bytes=1-{'9' * 5000}", 10) == ((1, 10),)
    assert asked(f"bytes=-{'9' * 5000}", 10) == ((0, 10),)
    assert asked(f"bytes={'9' * 5000}-", 10) is Refused.OUTSIDE
    assert asked(f"BYTES={'0' * 5000}1-2", 10) == ((1, 3),)


def test_too_many_ranges_are_refused_and_as_many_as_one_likes_where_they_touch() -> None:
    apart = ",".join(f"{3 * i}-{3 * i}" for i in range(MOST + 1))
    assert asked(f"bytes={apart}", 10_000) is Refused.TOO_MANY
    touching = ",".join(f"{3 * i}-{3 * i + 2}" for i in range(MOST + 1))
    assert asked(f"bytes={touching}", 10_000) == ((0, 3 * MOST + 3),)
    assert coalesced([(5, 7), (0, 2), (1, 4), (7, 9)]) == ((5, 9), (0, 4))


def test_validators() -> None:
    for header in ('"x"', '"a", "x"', '"a","x"', "*", " * ", "x"):
        assert names(header, "x", strong=True), header
        assert names(header, "x", strong=False), header
    assert names('W/"x"', "x", strong=False)
    for header in ('W/"x"', '"X"', '"a,x"', '"xx"', '"*"', "", '"'):
        assert not names(header, "x", strong=True), header
    assert same(None, "x")
    assert same('"x"', "x")
    for header in ('W/"x"', "x", '"y"', "", "*", "Tue, 24 Nov 2026 00:00:00 GMT"):
        assert not same(header, "x"), header

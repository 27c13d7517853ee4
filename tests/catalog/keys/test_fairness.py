"""Whose turn it is: shares are equal, and nobody starves, whatever the others ask for."""

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from boomerang.catalog.keys.fairness import HEAD_START, Share, Waiting, fairest


class Machine:
    """One device: it does what is fairest, and remembers what each key had."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waiting: list[tuple[Waiting, float]] = []
        self.used: Counter[str] = Counter()
        self.turns: Counter[str] = Counter()
        self.served: dict[str, float] = {}

    def ask(self, owner: str, seconds: float) -> Waiting:
        one = Waiting(f"{len(self.waiting) + sum(self.turns.values()):06}", owner, self.now)
        self.waiting.append((one, seconds))
        return one

    def turn(self) -> Waiting:
        owners = {one.owner for one, _ in self.waiting}
        shares = {o: Share(0, self.used[o], self.served.get(o, 0.0)) for o in owners}
        chosen = fairest([one for one, _ in self.waiting], shares)
        assert chosen is not None
        (at,) = (i for i, (one, _) in enumerate(self.waiting) if one is chosen)
        seconds = self.waiting.pop(at)[1]
        self.now += seconds
        self.used[chosen.owner] += seconds
        self.turns[chosen.owner] += 1
        self.served[chosen.owner] = self.now
        return chosen


def test_nothing_waits() -> None:
    assert fairest([], {}) is None


def test_of_one_key_what_waits_longest_comes_first() -> None:
    waiting = [Waiting("b", "one", 2.0), Waiting("a", "one", 3.0), Waiting("c", "one", 1.0)]
    found = fairest(waiting, {})
    assert found is not None
    assert found.subject == "c"


@given(
    keys=st.integers(2, 8),
    turns=st.integers(1, 60),
    seconds=st.floats(1.0, 1e5),
    backlog=st.randoms(use_true_random=False),
)
def test_keys_that_always_want_more_have_turns_within_one_of_each_other(
    keys: int, turns: int, seconds: float, backlog: object
) -> None:
    """In whatever order they asked, and whatever they had asked for already."""
    machine = Machine()
    names = [f"key{i}" for i in range(keys)]
    for name in names:
        for _ in range(backlog.randint(turns, turns + 20)):  # type: ignore[attr-defined]
            machine.ask(name, seconds)
    for _ in range(turns):
        machine.turn()
        counts = [machine.turns[name] for name in names]
        assert max(counts) - min(counts) <= 1


@settings(max_examples=25)
@given(costs=st.lists(st.floats(20.0, 900.0), min_size=2, max_size=5))
def test_keys_with_jobs_of_other_lengths_have_the_devices_for_as_long(costs: list[float]) -> None:
    machine = Machine()
    names = [f"key{i}" for i in range(len(costs))]
    longest = max(costs)
    while machine.now < 30 * longest:
        for name, seconds in zip(names, costs, strict=True):
            while sum(one.owner == name for one, _ in machine.waiting) < 2:
                machine.ask(name, seconds)
        machine.turn()
    used = [machine.used[name] for name in names]
    assert max(used) - min(used) <= len(costs) * longest + HEAD_START * 0.1


@settings(max_examples=60)
@given(
    had=st.floats(0.0, 1e7),
    arrivals=st.lists(st.tuples(st.integers(0, 30), st.floats(1.0, 5000.0)), max_size=120),
)
def test_no_pattern_of_arrivals_starves_a_key(
    had: float, arrivals: list[tuple[int, float]]
) -> None:
    """However much it used, and though somebody who used nothing comes before every turn."""
    machine = Machine()
    machine.used["heavy"] += had
    machine.now = machine.served["heavy"] = had
    asked = machine.ask("heavy", 1.0)
    due, after = machine.now + HEAD_START, Counter[str]()
    pattern = iter(arrivals)
    for newcomer in range(2000):
        key, seconds = next(pattern, (1000 + newcomer, 60.0))
        machine.ask(f"key{key}", seconds)
        late = machine.now > due
        done = machine.turn()
        if done is asked:
            break
        if late:
            after[done.owner] += 1
    else:
        raise AssertionError("it was never its turn")
    assert all(count <= 1 for count in after.values()), after


@given(st.lists(st.integers(0, 5), min_size=2, max_size=6))
def test_fewest_devices_come_first(running: list[int]) -> None:
    names = [f"key{i}" for i in range(len(running))]
    shares = {n: Share(r, used=1e6 - r, served=1e6) for n, r in zip(names, running, strict=True)}
    found = fairest([Waiting(n, n, 0.0) for n in names], shares)
    assert found is not None
    assert shares[found.owner].running == min(running)

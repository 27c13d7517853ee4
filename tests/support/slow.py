"""Which tests are slow, and why: said at the end of every run, and asked of whoever adds one.

`@pytest.mark.slow("why")` is a test that takes seconds and is worth them in every run;
`@pytest.mark.long("why")` one that is left to the lane of long tests (`make test-long`).
"""

from collections import defaultdict

import pytest
from _pytest.terminal import TerminalReporter

SECONDS = 3.0
"""From here on a test is slow, on a machine that has nothing else to do."""
_SHOWN = 40


def note_reasons(items: list[pytest.Item]) -> None:
    """Have the reason of each slow test travel with its report, from other processes too."""
    for item in items:
        for name in ("slow", "long"):
            if (mark := item.get_closest_marker(name)) is not None:
                if not mark.args:
                    raise pytest.UsageError(f"{item.nodeid}: say why it is {name}")
                item.user_properties.append(("slow because", mark.args[0]))


def say_slow(reporter: TerminalReporter) -> None:
    """Print the tests above SECONDS, the longest first, with the reason that each gives."""
    took: defaultdict[str, float] = defaultdict(float)
    reasons: dict[str, str] = {}
    for reports in reporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                took[report.nodeid] += report.duration
                if (why := dict(report.user_properties).get("slow because")) is not None:
                    reasons[report.nodeid] = str(why)
    slow = sorted((node for node in took if took[node] > SECONDS), key=lambda node: -took[node])
    if not slow:
        return
    total = sum(took.values())
    share = sum(took[node] for node in slow) / total
    reporter.section(f"{len(slow)} tests above {SECONDS:g} s take {share:.0%} of {total:.0f} s")
    for node in slow[:_SHOWN]:
        why = reasons.get(node, "no reason is given: mark it slow or long, or make it fast")
        reporter.write_line(f"{took[node]:6.1f} s  {node}: {why}")
    if len(slow) > _SHOWN:
        reporter.write_line(f"and {len(slow) - _SHOWN} more")

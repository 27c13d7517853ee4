"""The figures as tables."""

from benchmarks.publishing.travel import Run

MB = 1e6


def travelled(runs: list[Run]) -> str:
    """A row for each size and lane, and one for each family."""
    rows = [
        "| lane | size | bytes, MB | never sent before | sent: weights | about them | small files "
        "| copied there | sent again of what was sent before |",
        "|---|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for run in runs:
        for size in run.sizes:
            lanes = size.lanes
            weights = lanes["lfs"] + lanes["xet"]
            again = f"{100 * size.again / size.known:.1f} %" if size.known else ""
            cells = (size.size, size.new, weights)
            rows.append(
                f"| {run.lane} | {size.name} | "
                + " | ".join(f"{cell / MB:.1f}" for cell in cells)
                + f" | {lanes['shard'] / MB:.2f} | {lanes['regular'] / MB:.2f} "
                f"| {lanes['copied'] / MB:.1f} | {again} |"
            )
        total = sum(size.size for size in run.sizes)
        rows.append(
            f"| {run.lane} | **all, {run.travelled / run.pair:.3f} × the pair of "
            f"{run.pair / MB:.0f} MB** | {total / MB:.1f} | | **{run.travelled / MB:.1f}** | | | "
            f"| **{100 * run.again:.1f} %** |"
        )
    return "\n".join(rows) + "\n"


def memory(runs: list[Run]) -> str:
    """A row for each lane."""
    rows = [
        "| lane | published, GB | resident before, MB | peak above that, MB "
        "| most ever on its disk, MB | largest shard, MB |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for run in runs:
        total = sum(size.size for size in run.sizes)
        rows.append(
            f"| {run.lane} | {total / 1e9:.2f} | {run.before / MB:.0f} "
            f"| {(run.peak - run.before) / MB:.0f} | {run.disk / MB:.0f} "
            f"| {max(size.size for size in run.sizes) / MB:.0f} |"
        )
    return "\n".join(rows) + "\n"

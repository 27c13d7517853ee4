"""Measures against the plain formulas, and orders by measure."""

import json
import math
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional

from boomerang.family.composition import Composition, first_to_last, last_to_first
from boomerang.family.layer_map import LayerMap
from boomerang.family.order_forms import members_of
from boomerang.modules.accelerator import Accelerator
from boomerang.modules.causal import Causal
from boomerang.modules.couple import Couple, couple
from boomerang.quality.__main__ import main
from boomerang.quality.choosing.orders import choose, klpatch
from boomerang.quality.choosing.search import Judge
from boomerang.quality.measure import FEW, growing, measure, naive_counterpart
from boomerang.quality.target import Target
from tests.distill.jobs import events, save_texts, save_tokenizer
from tests.distill.objective.test_divergence import Launches
from tests.support.devices import H100, PRECISE, described, pretend
from tests.support.models import KEPT, LAYERS, VOCABULARY, duo, model

pytestmark = pytest.mark.slow("the measurer as a process")

WINDOWS = torch.randint(VOCABULARY, (20, 13), generator=torch.Generator().manual_seed(3))


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Couple:
    made = duo(tmp_path_factory.mktemp("duo"), "qwen3-tied")
    for one in (made.teacher, made.student):
        one.requires_grad_(False)
    return couple(Causal(made.teacher), Causal(made.student), LayerMap(KEPT, LAYERS))


@pytest.mark.parametrize("logits", [PRECISE.unkept, VOCABULARY * 30])
def test_perplexity_and_kl_are_the_formulas(
    both: Couple, logits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Accelerator, "unkept", logits)
    monkeypatch.setattr(Accelerator, "compared", logits // 4)
    members = members_of(both.layermap, last_to_first(both.layermap))
    members += [Composition.of(both.layermap, "sfbsb"), Composition.of(both.layermap, "fbsbs")]
    inputs, labels = WINDOWS[:, :-1], WINDOWS[:, 1:]
    teacher = both.teacher.model(inputs).logits.double().log_softmax(-1)
    for member, found in zip(members, measure(both, WINDOWS, members), strict=True):
        logs = both.logits(member, inputs).double().log_softmax(-1)
        perplexity = math.exp(functional.nll_loss(logs.flatten(0, 1), labels.flatten()))
        kl = (teacher.exp() * (teacher - logs)).sum(-1).mean()
        assert found.perplexity == pytest.approx(perplexity, rel=1e-4)
        assert found.kl == pytest.approx(float(kl), rel=1e-4, abs=1e-9)
        ce = -logs.gather(-1, labels[..., None])[..., 0].mean(1).numpy()
        error = perplexity * statistics.stdev(ce) / math.sqrt(len(ce))
        assert found.perplexity_error == pytest.approx(error, rel=1e-3)
        error = statistics.stdev(found.windows) / math.sqrt(len(found.windows))
        assert found.kl_error == pytest.approx(error, rel=1e-4, abs=1e-9)
    assert measure(both, WINDOWS, members)[len(both.layermap.long)].kl == 0


@pytest.mark.parametrize("rows", [PRECISE.rows, VOCABULARY * 5])
def test_likeness_is_the_formulas(both: Couple, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Accelerator, "rows", rows)
    monkeypatch.setattr(Accelerator, "compared", VOCABULARY * 17)
    members = members_of(both.layermap, first_to_last(both.layermap))
    beside = [naive_counterpart(member) for member in members[:-1]]
    *_, (_, found) = growing(both, WINDOWS, [*members, *beside], closer=members)
    inputs, labels = WINDOWS[:, :-1], WINDOWS[:, 1:]
    logs = [both.logits(member, inputs).double().log_softmax(-1) for member in members]
    student, teacher = logs[0], logs[-1]
    for here, quality in zip(logs, found, strict=False):
        likeness = quality.likeness
        assert likeness is not None
        same = (here.argmax(-1) == teacher.argmax(-1)).double().mean()
        assert likeness.agreement == pytest.approx(float(same))
        for other, share in ((teacher, likeness.acceptance), (student, likeness.drafted)):
            accepted = torch.minimum(here.exp(), other.exp()).sum(-1).mean()
            assert share == pytest.approx(float(accepted), rel=1e-5)
        # Twelve tokens in eight parts: the first four are of two.
        ce = -here.gather(-1, labels[..., None])[..., 0]
        parts = [float(part.mean().exp()) for part in ce.tensor_split(8, dim=1)]
        assert likeness.by_position == pytest.approx(parts, rel=1e-5)
    assert found[-1 - len(beside)].likeness.agreement == 1
    assert found[0].likeness.drafted == pytest.approx(1)
    assert [quality.likeness for quality in found[len(members) :]] == [None] * len(beside)
    plain = measure(both, WINDOWS, members)
    assert [(q.perplexity, q.kl, q.likeness) for q in plain] == [
        (q.perplexity, q.kl, None) for q in found[: len(members)]
    ]


def test_looked_at_closer_a_batch_has_half_the_windows(
    both: Couple, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Accelerator, "unkept", 12 * VOCABULARY * 8)
    seen: list[int] = []
    embed = both.teacher.model.model.embed_tokens
    handle = embed.register_forward_hook(lambda _, given, __: seen.append(len(given[0])))
    members = members_of(both.layermap, last_to_first(both.layermap))
    measure(both, WINDOWS[:16], members)
    [*growing(both, WINDOWS[:16], members, closer=members)]
    handle.remove()
    assert max(seen[: len(seen) // 2]) == 8
    assert max(seen[-3:]) == 4


def test_a_member_is_few_launches_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """65,536 tokens in windows of 256 and a vocabulary of 151,936, in bfloat16."""
    with monkeypatch.context() as patch:
        card = described(H100, patch)
    together = {PRECISE: 1, card: 6}
    launches = {}
    for on, windows in together.items():
        pretend(on, monkeypatch)
        assert on.windows(FEW, 256, 151936) == windows
        with FakeTensorMode(), Launches() as launched:
            head = torch.nn.Linear(64, 151936, bias=False, dtype=torch.bfloat16)
            hidden = torch.empty(windows, 256, 64, dtype=torch.bfloat16)
            with torch.no_grad():
                target = Target(head(hidden), torch.empty(windows, 256, dtype=torch.long))
                before = launched.count
                target.compare(hidden, head)
        launches[on] = (launched.count - before) * -(-256 // windows)
    assert launches[card] < 1000 < launches[PRECISE] / 10


class Counted:
    """How many layers of either model are run, however they are called."""

    def __init__(self, both: Couple) -> None:
        self.rows = 0
        layers = [layer for side in (both.teacher, both.student) for layer in side.layers]
        self.handles = [layer.register_forward_hook(self._count) for layer in layers]

    def _count(self, _: object, arguments: tuple[torch.Tensor], __: object) -> None:
        self.rows += len(arguments[0])

    def per_window(self) -> float:
        for handle in self.handles:
            handle.remove()
        return self.rows / len(WINDOWS)


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("order", ["last", "first"])
def test_a_family_costs_what_its_members_do_not_share(
    order: str, frozen: bool, tmp_path: Path
) -> None:
    """By layer arithmetic: the teacher once; of every member what no other has before it."""
    made = duo(tmp_path, "llama", frozen=frozen)
    both = couple(Causal(made.teacher), Causal(made.student), LayerMap(KEPT, LAYERS))
    named = {"last": last_to_first, "first": first_to_last}[order](both.layermap)
    members = members_of(both.layermap, named)
    counted = Counted(both)
    measure(both, WINDOWS, members)
    # Kept 0, 2, 3, 5, 7 of 8. The teacher's 8 and the student's 5 layers; `last`: teacher 5-7
    # after three student layers, 2-7 after one. `first`: student layers 2-4 after the teacher's
    # own states, 3-4 after later ones.
    shared = {"last": 8 + 5 + 3 + 6, "first": 8 + 5 + 3 + 2}
    apart = sum(len(member.layers) for member in members)
    assert counted.per_window() == shared[order]
    assert shared[order] < apart


def test_the_naive_counterpart_has_the_depth_and_no_student_in_it(both: Couple) -> None:
    order = last_to_first(both.layermap)
    for member in members_of(both.layermap, order):
        naive = naive_counterpart(member)
        assert len(naive.layers) == len(member.layers)
        assert {side.value for side in naive.sides} == {"teacher"}
    assert naive == member


def graded(gains: tuple[float, float, float]) -> Couple:
    """A student that is the teacher but for the second layers of the blocks, which do `gains`."""
    teacher = model("llama", 1, num_hidden_layers=6)
    student = model("llama", 1, num_hidden_layers=3)
    parts = Causal(teacher), Causal(student)
    with torch.no_grad():
        for j, gain in enumerate(gains):
            second = parts[0].layers[2 * j + 1]
            second.self_attn.o_proj.weight.mul_(gain)
            second.mlp.down_proj.weight.mul_(gain)
            parts[1].layers[j].load_state_dict(parts[0].layers[2 * j].state_dict())
        for to, of in zip(parts[1].ends, parts[0].ends, strict=True):
            to.load_state_dict(of.state_dict())
    return couple(*parts, LayerMap((0, 2, 4), 6))


def test_klpatch_patches_first_what_is_missed_most() -> None:
    order = klpatch(Judge(graded((0.3, 1.0, 0.0)), WINDOWS))
    assert order == (1, 0, 2)


def test_auto_takes_the_order_with_the_lowest_kl_between_the_ends() -> None:
    chosen = choose(graded((0.3, 1.0, 0.0)), WINDOWS, "auto")
    assert (chosen.name, chosen.order) == ("klpatch", (1, 0, 2))
    inner = {name: sum(kls[1:-1]) for name, kls in chosen.calibration_kl.items()}
    assert inner["klpatch"] < min(inner["last"], inner["first"])
    simpler = choose(graded((0.0, 0.3, 1.0)), WINDOWS, "auto")
    assert (simpler.name, simpler.order) == ("last", (2, 1, 0))


@pytest.fixture
def job(tmp_path: Path) -> dict[str, object]:
    made = duo(tmp_path, "gpt2", frozen=True)
    save_tokenizer(made.teacher_folder)
    return {
        "teacher": str(made.teacher_folder),
        "student": str(made.student_folder),
        "data": str(save_texts(tmp_path / "texts")),
        "order": "auto",
        "sequence_length": 16,
        "calibration_tokens": 128,
        "heldout_tokens": 256,
        "naive": True,
    }


def told(job: dict[str, object], folder: Path, capsys: pytest.CaptureFixture[str]):
    (folder / "job.json").write_text(json.dumps(job))
    status = main([str(folder / "job.json")])
    return status, events(capsys.readouterr().out)


PROGRESS = ("choosing", "measuring", "writing")


def test_the_process_tells_order_and_members(
    job: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, all_said = told(job, tmp_path, capsys)
    # How far the choice has come is said now and then, on a busy machine.
    said = [event for event in all_said if event["event"] not in PROGRESS]
    assert (status, said[0]["event"], said[-1]) == (0, "order", {"event": "done"})
    assert set(said[0]["calibration_kl"]) == {"last", "first", "klpatch", "best"}
    assert said[0]["evaluations"] > 0
    assert (said[0]["unfinished"], said[0]["note"]) == ([], None)
    early, members = said[1:-5], said[-5:-1]
    assert {m["event"] for m in early} == {"early"}
    assert [m["k"] for m in members] == [0, 1, 2, 3]
    # Figures of every member from one window on, each time of twice as many as before.
    assert [m["tokens"] for m in early] == [n for n in (16, 32, 64, 128) for _ in range(4)]
    assert {m["tokens"] for m in members} == {m["of"] for m in [*early, *members]} == {256}
    assert [m["k"] for m in early] == [0, 1, 2, 3] * 4
    assert not any(m["flags"] for m in early)
    assert all(m["kl"] > 0 for m in early if m["k"] < 3)
    of = {event["event"]: event for event in all_said if event["event"] in PROGRESS}
    assert of["measuring"] == {"event": "measuring", "tokens": 256, "of": 256, "eta_s": 0}
    assert of["writing"] == {"event": "writing", "written": 4, "of": 4, "eta_s": 0}
    assert 0 < of["choosing"]["spent"] <= of["choosing"]["of"]
    assert (members[0]["layers"], members[-1]["layers"]) == (len(KEPT), LAYERS)
    assert members[0]["code"] == "sssss+sss"
    assert members[-1]["kl"] == members[-1]["naive_kl"] == 0
    assert members[0]["kl"] > 0
    assert members[0]["naive_kl"] > 0
    assert {len(m["by_position"]) for m in [*early, *members]} == {8}
    # Of one window nobody knows how sure it is.
    assert early[0]["errors"]["perplexity"] is None
    assert 0 < members[0]["errors"]["kl"] < members[0]["kl"]
    assert 0 < members[0]["errors"]["naive_perplexity"] < members[0]["naive_perplexity"]
    assert {(m["errors"]["windows"], m["errors"]["tokens"]) for m in members} == {(16, 256)}
    assert (members[-1]["agreement"], members[-1]["acceptance"]) == (1, 1)
    assert members[-1]["drafted"] == members[0]["acceptance"] < members[0]["drafted"] == 1


def test_first_figures_do_not_wait_for_what_members_write(
    job: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, said = told({**job, "order": "last"}, tmp_path, capsys)
    said = [event for event in said if event["event"] not in ("choosing", "measuring")]
    assert status == 0
    at = [i for i, event in enumerate(said) if event["event"] == "writing"]
    assert [(said[at[i]]["written"], said[at[i]]["of"]) for i in (0, -1)] == [(1, 4), (4, 4)]
    before, after = said[1 : at[0]], said[at[-1] + 1 : -1]
    assert [(e["event"], e["k"], e["tokens"]) for e in before] == [
        ("early", k, 16) for k in range(4)
    ]
    assert {e["generation"] for e in before} == {None}
    assert all(set(e["generation"]) == {"repetition", "empty", "agreement"} for e in after)
    # One window of text: the first figures are the last, and are judged with what is written.
    status, said = told({**job, "order": "last", "heldout_tokens": 16}, tmp_path, capsys)
    assert [e["event"] for e in said if e["event"] not in PROGRESS] == [
        "order", *["member"] * 4, "done"
    ]  # fmt: skip
    assert said[-2]["generation"]["agreement"] == 1


@pytest.mark.long("the command line with torch, once")
def test_the_command_line_measures_on_as_many_tokens_as_asked(job: dict[str, object]) -> None:
    asked = ["--text", str(job["data"]), "--order", "last", "--tokens", "512", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "boomerang", "measure", job["teacher"], job["student"], *asked],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    said = [line.split("  ") for line in done.stderr.splitlines() if "  " in line]
    first = {title: note for title, note, *_ in reversed(said)}
    assert first["choosing the order"].endswith(" of at most 4 measurements")
    assert first["what sizes write"] == "1 of 4 sizes"
    assert first["measuring"].endswith(" of 512 tokens")
    members = json.loads(done.stdout)["members"]
    assert [(m["k"], m["tokens"], m["of"]) for m in members] == [(k, 512, 512) for k in range(4)]


def test_a_given_order_is_kept_and_a_wrong_one_refused(
    job: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, said = told({**job, "order": [2, 0, 3], "naive": False}, tmp_path, capsys)
    assert (status, said[0]["patch_order"]) == (0, [2, 0, 3])
    assert said[-2]["naive_kl"] is None
    status, said = told({**job, "order": [0, 1]}, tmp_path, capsys)
    assert (status, said[-1]["slug"]) == (1, "bad-composition")


def test_a_text_too_short_and_a_student_of_another_are_refused(
    job: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = save_texts(tmp_path / "short", documents=1)
    status, said = told({**job, "data": str(short), "sequence_length": 60}, tmp_path, capsys)
    assert (status, said[-1]["slug"]) == (1, "bad-recipe")
    other = duo(tmp_path / "other", "gpt2", n_embd=8)
    status, said = told({**job, "student": str(other.student_folder)}, tmp_path, capsys)
    assert (status, said[-1]["slug"]) == (1, "student-mismatch")

"""Tasks of the evaluation harness for members by reference, against its own model of the built."""

import json
import math
import random
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from boomerang.cli.show import emit, measures_view
from boomerang.errors import BadRecipe, BadTask
from boomerang.face.members import assemble
from boomerang.family.composition import last_to_first
from boomerang.family.order_forms import members_of
from boomerang.modules.couple import couple
from boomerang.modules.load import load
from boomerang.quality.measure import measure
from boomerang.texts.task_names import check, harness_version
from boomerang.texts.texts import LocalFile, Texts
from boomerang.tokens.packing import Tokeniser
from boomerang.tokens.windows import Stream
from tests.distill.jobs import WORDS, save_texts, save_tokenizer
from tests.quality.jobs import EXAMPLES, save_tasks
from tests.support.cli_stub import told
from tests.support.models import VOCABULARY, Duo, duo

pytest.importorskip("lm_eval", reason="lm-eval is not installed: make test-tasks")
pytest.importorskip("accelerate", reason="lm-eval's own model needs it: make test-tasks")

from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager

from boomerang.quality.tasks.harness import MemberLM
from boomerang.quality.tasks.run import Result, TaskRequest, run_tasks
from boomerang.quality.tasks.scoring import Scorer

pytestmark = pytest.mark.filterwarnings("default")
LENGTH = 64


class Made:
    """A couple in memory, and its members as folders that the harness's own model loads."""

    def __init__(self, folder: Path, begin: str | None = None) -> None:
        self.pair: Duo = duo(folder, "llama-tied")
        save_tokenizer(self.pair.teacher_folder, begin=begin)
        models = [load(f, dtype=torch.float32) for f in self.folders]
        self.both = couple(*models, self.pair.pair.layermap)
        self.members = members_of(self.both.layermap, last_to_first(self.both.layermap))
        self.folder, self.tasks = folder, save_tasks(folder / "tasks")

    @property
    def folders(self) -> tuple[Path, Path]:
        return self.pair.teacher_folder, self.pair.student_folder

    @property
    def tokeniser(self) -> Tokeniser:
        return Tokeniser(self.pair.teacher_folder, VOCABULARY)

    def ours(self, k: int) -> MemberLM:
        scorer = Scorer(self.both, self.members, LENGTH)
        return MemberLM(scorer, self.members[k], self.tokeniser)

    def theirs(self, k: int) -> HFLM:
        out = self.folder / f"member{k}"
        if not out.exists():
            assemble(self.folders, None, out, patch=k)
        return HFLM(pretrained=str(out), device="cpu", dtype="float32", batch_size=4)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("made"))


def asked(kind: str, *arguments: tuple[Any, ...]) -> list[Instance]:
    return [Instance(kind, {}, one, at) for at, one in enumerate(arguments)]


def drawn(count: int, seed: int) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=count))


def test_the_measures_and_the_harness_read_a_text_from_the_same_beginning(tmp_path: Path) -> None:
    """One document of 16 words: the token that its tokenizer puts first, both put there."""
    made = Made(tmp_path, "<s>")
    (tmp_path / "heldout.jsonl").write_text(json.dumps({"text": drawn(16, 1)}))
    texts = Texts("t", "", {"heldout": (LocalFile(tmp_path / "heldout.jsonl"),)}, dealt=False)
    encoded = made.tokeniser.encode(texts, "heldout")
    windows = Stream(encoded, 16, "heldout", begins=made.tokeniser.begins).head(99)
    for k, found in enumerate(measure(made.both, windows, made.members)):
        ((score, _),) = made.ours(k).loglikelihood(asked("loglikelihood", ("", drawn(16, 1))))
        assert found.perplexity == pytest.approx(math.exp(-score / 16), rel=1e-4)


CONTEXTS = [
    "",
    "<s> w1 w2",
    "w1 w2 ",
    *(drawn(count, count) for count in (1, 7, 7, 30, 63, 64, 200)),
]


def test_likelihoods_are_those_of_the_harness_itself(made: Made) -> None:
    pairs = [(context, " " + drawn(k, k)) for context in CONTEXTS for k in (1, 2, 20)]
    texts = [(drawn(count, count),) for count in (1, 40, 64, 65, 300)]
    for k in (0, 2):
        ours, theirs = made.ours(k), made.theirs(k)
        assert ours.max_length == theirs.max_length == LENGTH
        requests = asked("loglikelihood", *pairs)
        for found, expected in zip(
            ours.loglikelihood(requests), theirs.loglikelihood(requests), strict=True
        ):
            assert found[0] == pytest.approx(expected[0], abs=1e-4)
            assert found[1] == expected[1]
        rolling = asked("loglikelihood_rolling", *texts)
        totals = theirs.loglikelihood_rolling(rolling)
        assert ours.loglikelihood_rolling(rolling) == pytest.approx(totals, abs=1e-3, rel=1e-6)


def test_what_is_written_is_what_the_harness_itself_writes(made: Made) -> None:
    options = [
        {"until": ["w7", "w11 w3"], "max_gen_toks": 12, "do_sample": False},
        {"until": [], "max_gen_toks": 3},
    ]
    contexts = [context for context in CONTEXTS if context]
    requests = asked("generate_until", *((c, o) for c in contexts for o in options))
    for k in (0, 2):
        assert made.ours(k).generate_until(requests) == made.theirs(k).generate_until(requests)


def ran(made: Made, *names: str, limit: int | None = None) -> dict[tuple[int, str], Result]:
    members = {k: made.members[k] for k in (0, 2)}
    wanted = [TaskRequest(name=name, limit=limit) for name in names]
    found = run_tasks(made.both, members, made.tokeniser, wanted, made.tasks)
    return {(k, result.name): result for k, result in found}


def test_a_task_gives_the_figures_of_the_harness_itself(made: Made) -> None:
    from lm_eval import simple_evaluate

    names = ["tiny_choice", "tiny_text", "tiny_write"]
    found = ran(made, *names)
    manager = TaskManager(include_path=str(made.tasks), include_defaults=False)
    theirs = simple_evaluate(model=made.theirs(2), tasks=names, task_manager=manager)
    assert theirs is not None
    for name in names:
        result = found[2, name]
        assert (result.failed, result.harness) == (None, harness_version())
        for one in result.metrics:
            reported = theirs["results"][name]
            assert one.value == pytest.approx(reported[f"{one.metric},none"], rel=1e-4)
            error = reported[f"{one.metric}_stderr,none"]
            assert one.stderr == (None if error == "N/A" else pytest.approx(error, abs=1e-5))
            assert (one.version, one.samples, one.shots) == ("1.5", EXAMPLES, 0)
    assert [one.metric for one in found[2, "tiny_choice"].metrics] == ["acc", "acc_norm"]
    assert found[0, "tiny_text"].metrics != found[2, "tiny_text"].metrics
    limited = ran(made, "tiny_choice", limit=2)[0, "tiny_choice"]
    assert (limited.limit, limited.metrics[0].samples) == (2, 2)


def test_a_task_that_cannot_be_run_says_why_and_gives_no_figure(made: Made) -> None:
    found = ran(made, "tiny_lost", "tiny_sampled", "tiny_choice")
    for name, why in (("tiny_lost", "lost.jsonl"), ("tiny_sampled", "greedily")):
        assert why in str(found[0, name].failed)
        assert found[0, name].metrics == ()
    assert found[2, "tiny_choice"].failed is None


def test_a_member_that_has_the_result_is_not_measured_again(made: Made) -> None:
    known = frozenset({made.members[0].code})
    members = {0: made.members[0], 2: made.members[2]}
    wanted = [
        TaskRequest(name="tiny_choice", known=known),
        TaskRequest(name="tiny_lost", known=known),
    ]
    found = run_tasks(made.both, members, made.tokeniser, wanted, made.tasks)
    assert [(k, result.name) for k, result in found] == [(2, "tiny_choice"), (2, "tiny_lost")]


def test_a_task_by_path_is_no_task(made: Made) -> None:
    path = str(made.tasks / "tiny_choice.yaml")
    assert "no task" in str(ran(made, path)[0, path].failed)


def without(folder: Path, *keys: str) -> Path:
    """The tokenizer of a folder without some of its special tokens."""
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    changed = {key: value for key, value in settings.items() if key not in keys}
    (folder / "tokenizer_config.json").write_text(json.dumps(changed))
    return folder


def test_a_tokenizer_without_bos_or_without_eos_still_has_a_prefix(
    made: Made, tmp_path: Path
) -> None:
    requests = asked("loglikelihood", ("", "w1 w2"), ("w3", " w4"))
    scores = {}
    for gone, token in (("bos_token", 2), ("eos_token", 1)):
        save_tokenizer(tmp_path / gone)
        tokeniser = Tokeniser(without(tmp_path / gone, gone), VOCABULARY)
        assert tokeniser.tokenizer.pad_token is None
        lm = MemberLM(Scorer(made.both, made.members, LENGTH), made.members[0], tokeniser)
        assert (lm.prefix_token_id, lm.eot_token_id) == (token, token)
        scores[gone] = lm.loglikelihood(requests)
        assert all(score < 0 for score, _ in scores[gone])
        assert lm.generate_until(asked("generate_until", ("w1", {"max_gen_toks": 3})))[0]
    assert scores["bos_token"][0] != scores["eos_token"][0]
    assert scores["bos_token"][1] == scores["eos_token"][1]
    save_tokenizer(tmp_path / "neither")
    folder = without(tmp_path / "neither", "bos_token", "eos_token")
    with pytest.raises(BadRecipe, match="end-of-text"):
        Tokeniser(folder, VOCABULARY)


def test_an_empty_continuation_is_refused(made: Made) -> None:
    with pytest.raises(BadTask, match="empty"):
        made.ours(0).loglikelihood(asked("loglikelihood", ("", "")))


def test_the_command_line_runs_tasks_for_the_sizes_that_are_named(
    made: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    teacher, student = made.folders
    sizes = [one["size"] for one in told("plan", teacher, "--student", student)["members"]]
    found = told(
        "measure", teacher, student, "--text", save_texts(made.folder / "texts", documents=200),
        "--order", "last", "--tasks", "tiny_choice, tiny_lost", "--tasks-folder", made.tasks,
        "--limit", 3, "--member", sizes[2], "--member", sizes[0],
    )  # fmt: skip
    assert [bool(member.get("tasks")) for member in found["members"]] == [True, False, True, False]
    choice, lost = found["members"][2]["tasks"]
    assert choice == ran(made, "tiny_choice", limit=3)[2, "tiny_choice"].json()
    assert (lost["name"], lost["metrics"], lost["limit"]) == ("tiny_lost", [], 3)
    assert "lost.jsonl" in lost["failed"]
    assert all(member["perplexity"] > 1 for member in found["members"])
    capsys.readouterr()
    emit(found, as_json=False, show=measures_view)
    shown = capsys.readouterr().out
    assert shown.count(" acc ") == shown.count(" acc_norm ") == 2
    assert shown.count("failed: FileNotFoundError") == 2


def test_data_that_the_hub_does_not_give_fail_their_task_alone(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("huggingface_hub.constants", "datasets.config"):
        monkeypatch.setattr(f"{module}.HF_HUB_OFFLINE", True)
    elsewhere = {
        "task": "tiny_remote", "dataset_path": "nobody/nothing", "test_split": "test",
        "output_type": "loglikelihood_rolling", "doc_to_text": "", "doc_to_target": "{{text}}",
    }  # fmt: skip
    made.tasks.joinpath("tiny_remote.yaml").write_text(yaml.safe_dump(elsewhere))
    found = ran(made, "tiny_remote", "tiny_choice")
    assert found[0, "tiny_remote"].metrics == ()
    assert "nobody/nothing" in str(found[0, "tiny_remote"].failed)
    assert found[0, "tiny_choice"].failed is None


def test_names_are_all_that_the_harness_knows() -> None:
    known = TaskManager().all_tasks
    check(known, None)
    with pytest.raises(BadTask, match="hellaswagg") as caught:
        check(["arc_easy", "hellaswagg"], None)
    assert "hellaswag," in caught.value.fix
    assert caught.value.value == "hellaswagg"

"""Likelihoods and continuations of members against transformers' own, loaded from disk."""

import pytest
import torch
from transformers import AutoModelForCausalLM

from boomerang.errors import BadTask, CorruptCheckpoint
from boomerang.face.members import assemble
from boomerang.family.composition import Composition, last_to_first
from boomerang.family.order_forms import members_of
from boomerang.modules.accelerator import Accelerator
from boomerang.modules.couple import Couple, couple
from boomerang.modules.load import load
from boomerang.quality.tasks.scoring import Request, Scorer, write
from tests.support.devices import H100, PRECISE, described, pretend
from tests.support.models import VOCABULARY, duo

pytestmark = pytest.mark.slow("members are written and scored by transformers beside ours")

LENGTH = 24


def drawn() -> list[Request]:
    """Contexts and continuations of many lengths, several after the same context."""
    draw = torch.Generator().manual_seed(5)

    def tokens(count: int) -> tuple[int, ...]:
        return tuple(torch.randint(VOCABULARY, (count,), generator=draw).tolist())

    contexts = [tokens(count) for count in (1, 3, 3, 11, LENGTH - 1, LENGTH, 3 * LENGTH)]
    return [(context, tokens(count)) for context in contexts for count in (1, 1, 2, 5, LENGTH)]


@pytest.fixture(scope="module", params=["gpt2", "gemma2"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """A couple in memory, its members, and the same members as models from disk."""
    folder = tmp_path_factory.mktemp(request.param)
    pair = duo(folder, request.param)
    models = [load(f, dtype=torch.float32) for f in (pair.teacher_folder, pair.student_folder)]
    both = couple(*models, pair.pair.layermap)
    members = members_of(both.layermap, last_to_first(both.layermap))
    built = []
    for k in range(len(members)):
        out = folder / str(k)
        assemble((pair.teacher_folder, pair.student_folder), None, out, patch=k)
        built.append(AutoModelForCausalLM.from_pretrained(out).eval())
    return both, members, built


@torch.no_grad()
def plain(model: torch.nn.Module, request: Request) -> tuple[float, bool]:
    """One request alone, in one pass, truncated from the left."""
    context, continuation = request
    ids = torch.tensor([(*context, *continuation)[-(LENGTH + 1) :]])
    logs = model(ids[:, :-1]).logits[0].float().log_softmax(-1)[-len(continuation) :]
    wanted = torch.tensor(continuation)
    total = logs.gather(-1, wanted[:, None]).sum()
    return float(total), bool((logs.argmax(-1) == wanted).all())


@pytest.mark.parametrize("gathered", [0, 30 * VOCABULARY, PRECISE.unkept])
@pytest.mark.parametrize("tokens", [PRECISE.tokens, 40])
def test_scores_are_those_of_the_members_on_disk(
    made: tuple[Couple, list[Composition], list],
    tokens: int,
    gathered: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Accelerator, "tokens", tokens)
    monkeypatch.setattr(Accelerator, "gathered", gathered)
    both, members, built = made
    requests = drawn()
    scorer = Scorer(both, members, LENGTH)
    for member, model in zip(members, built, strict=True):
        for (found, greedy), request in zip(scorer.score(member, requests), requests, strict=True):
            expected, exactly = plain(model, request)
            assert found == pytest.approx(expected, abs=1e-4)
            assert greedy is exactly
    likely = int(built[0](torch.tensor([[3, 4]])).logits[0, -1].argmax())
    assert Scorer(both, members[:1], LENGTH).score(members[0], [((3, 4), (likely,))])[0][1]


def test_one_walk_serves_every_member(made: tuple[Couple, list[Composition], list]) -> None:
    both, members, _ = made
    passes: list[int] = []
    hook = both.teacher.layers[-1].register_forward_hook(lambda *_: passes.append(1))
    scorer = Scorer(both, members, LENGTH)
    first = scorer.score(members[0], drawn())
    batches = len(passes)
    assert batches > 0
    for member in members:
        scorer.score(member, drawn())
    assert len(passes) == batches
    hook.remove()
    assert first == scorer.score(members[0], drawn())


def test_a_gpu_makes_the_logits_of_many_rows_together(
    made: tuple[Couple, list[Composition], list], monkeypatch: pytest.MonkeyPatch
) -> None:
    both, members, _ = made
    with monkeypatch.context() as patch:
        card = described(H100, patch)
    products = {}
    for on in (PRECISE, card):
        pretend(on, monkeypatch)
        calls: list[int] = []
        heads = [side.model.lm_head for side in (both.teacher, both.student)]
        hooks = [head.register_forward_hook(lambda *_, to=calls: to.append(1)) for head in heads]
        Scorer(both, members, LENGTH).score(members[0], drawn())
        for hook in hooks:
            hook.remove()
        products[on] = len(calls)
    assert products[card] == len(members) < products[PRECISE] / 10
    # A vocabulary of 151,936: beginnings of 64 tokens, and continuations of 8.
    assert (card.tokens // 64, card.gathered // 151936 // 8) == (256, 220)


def test_what_is_written_is_what_transformers_writes(
    made: tuple[Couple, list[Composition], list], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Accelerator, "tokens", 60)
    both, members, built = made
    prompts = [context[:12] for context, _ in drawn()[::5]]
    for member, model in zip(members, built, strict=True):
        found = write(both, member, prompts, 8, lambda tokens: tokens[-1] in (1, 2))
        for prompt, tokens in zip(prompts, found, strict=True):
            ids = torch.tensor([prompt])
            expected = model.generate(
                ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=8,
                eos_token_id=[1, 2], pad_token_id=0,
            )  # fmt: skip
            assert tokens == expected[0, len(prompt) :].tolist()


@pytest.mark.parametrize(
    ("request_", "error", "said"),
    [
        (((1,), ()), BadTask, "0 tokens"),
        (((), (1,)), BadTask, "after 0"),
        (((1,), (1,) * (LENGTH + 1)), BadTask, f"can see {LENGTH}"),
        (((1,), (VOCABULARY,)), CorruptCheckpoint, str(VOCABULARY)),
        (((VOCABULARY + 3,), (1,)), CorruptCheckpoint, str(VOCABULARY + 3)),
    ],
)
def test_what_cannot_be_scored_is_refused(
    made: tuple[Couple, list[Composition], list],
    request_: Request,
    error: type[Exception],
    said: str,
) -> None:
    both, members, _ = made
    with pytest.raises(error, match=said):
        Scorer(both, members, LENGTH).score(members[0], [request_])

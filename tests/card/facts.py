"""Facts of models that there are not: what the cards of the tests are made of."""

from dataclasses import replace

from boomerang.architecture.runtimes import Runtime
from boomerang.card.facts import Facts, Inherited, Size, StudentFacts, Task, Training
from boomerang.family.composition import Composition
from boomerang.family.layer_map import LayerMap

MAP = LayerMap((0, 2, 4, 6, 7), 8)
SIZES = (
    Size("1.00B", 1_000_000_000, 5, 20.5, 0.5, 99.0, 2.0, "family/Teacher-1.00B"),
    Size("1.10B", 1_100_000_000, 6, 18.25, 0.25, 88.0, 1.5),
    Size("1.30B", 1_300_000_000, 8),
)
ORIGIN = {
    "teacher": "org/Teacher",
    "teacher_commit": "a" * 40,
    "inherited": Inherited("other", "teacher-terms: 'x'", "LICENSE", "LICENSE", ("en", "no")),
    "datasets": ("org/corpus",),
    "text": "org/corpus",
    "recipe": {
        "name": "custom",
        "steps": 2000,
        "batch_tokens": 4096,
        "sequence_length": 256,
        "learning_rate": 3e-4,
        "ce_weight": 0.1,
        "kl_weight": 1.0,
        "cosine_weight": 0.0,
        "note": "a|b\nc",
        "phases": [{"until": 0.5, "instruction_share": 0.0}, {"until": 1.0, "share": 1.0}],
    },
    "training": Training(2000, 8_192_000, loss=2.5, ce=3.25, kl=0.5),
    "context": 4096,
    "runtimes": tuple(Runtime),
}
MEMBER = Facts(
    repo_id="family/Teacher-1.10B",
    size=SIZES[1],
    composition=Composition.of(MAP, "sssbb"),
    order="last",
    student="family/Teacher-1.00B",
    student_key="c" * 32,
    sizes=SIZES,
    **ORIGIN,
)
STUDENT = replace(
    MEMBER, repo_id="family/Teacher-1.00B", size=SIZES[0], composition=Composition.of(MAP, "sssss")
)
BARE = Facts(
    repo_id="me/Model-1.30B",
    size=SIZES[2],
    composition=Composition.of(MAP, "bbbsb"),
    teacher="local",
    teacher_commit="c",
    order="first",
)
BY_ITSELF = StudentFacts(
    repo_id="me/boomerang-student-cc",
    key="c" * 32,
    layermap=MAP,
    parameters=1_000_000_000,
    sizes=SIZES,
    **ORIGIN,
)
TASKS = (
    Task("arc_easy", "acc", 0.5125, 0.0125, samples=400, shots=0, harness="0.4.13", limited=True),
    Task("gsm8k", "exact_match", 0.25, 0.01, "strict-match", "3.0", 1319, 5, "0.4.13"),
)

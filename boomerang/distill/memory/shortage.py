"""What is said and done where memory does not suffice."""

from boomerang.distill.memory.estimate import MemoryEstimate
from boomerang.errors import TrainingFailed
from boomerang.recipes.recipe import Recipe

_GIB = 1 << 30


def refuse_what_cannot_fit(estimate: MemoryEstimate, recipe: Recipe, available: int) -> None:
    """Raise TrainingFailed, with the figures, where not even one sequence at a time fits.

    A larger micro-batch that does not fit is halved when it comes to that.
    """
    least = estimate.bytes(1)
    if least > available:
        raise TrainingFailed(
            f"This distillation needs at least {least / _GIB:.2f} GiB of memory "
            f"({estimate.state / _GIB:.2f} for weights and optimiser, "
            f"{(least - estimate.state) / _GIB:.2f} for one sequence), and "
            f"{available / _GIB:.2f} GiB are free.",
            value=least,
            fix=f"Use a machine with more memory, {_saving(recipe)}a sequence_length below "
            f"{recipe.sequence_length}, or a smaller teacher.",
        )


def _saving(recipe: Recipe) -> str:
    """The settings that take less memory and are not on yet, each with a comma."""
    saving = []
    if not recipe.activation_checkpointing:
        saving.append("activation_checkpointing = true, ")
    if recipe.optimiser == "adamw":
        saving.append('optimiser = "adamw8bit", ')
    return "".join(saving)


def halve(micro_batch: int, error: Exception) -> int:
    """The next smaller micro-batch after an error of memory; any other error is raised again.

    Raises TrainingFailed where there is none smaller.
    """
    if not is_memory(error):
        raise error
    if micro_batch == 1:
        raise TrainingFailed(
            "One sequence at a time does not fit into memory.",
            value=micro_batch,
            fix="Use a machine with more memory, or a recipe with a shorter sequence_length.",
        ) from error
    return micro_batch // 2


def is_memory(error: Exception) -> bool:
    """Whether an error says that memory has run out."""
    return isinstance(error, MemoryError) or "out of memory" in str(error).lower()

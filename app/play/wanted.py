"""What OpenAI's clients ask for, as a question of ours; what is not done here is refused."""

from typing import Any

from pydantic import ValidationError

from app.schemas.play import ChatRequest, CompletionRequest
from boomerang.errors import BadRequest
from boomerang.service.playing.asked import Question

_NEUTRAL: dict[str, tuple[Any, ...]] = {
    "n": (None, 1),
    "best_of": (None, 1),
    "echo": (None, False),
    "suffix": (None, ""),
    "logprobs": (None, False),
    "top_logprobs": (None, 0),
    "presence_penalty": (None, 0),
    "frequency_penalty": (None, 0),
    "logit_bias": (None, {}),
    "tools": (None, []),
    "functions": (None, []),
    "tool_choice": (None, "none", "auto"),
    "function_call": (None, "none", "auto"),
    "response_format": (None, {"type": "text"}),
    "modalities": (None, ["text"]),
    "audio": (None,),
    "prediction": (None,),
}
"""What would make the answer another one, with the values for which it does not."""


def question_of(asked: CompletionRequest | ChatRequest) -> Question:
    """The question that a client asks. Raises BadRequest, whose value is the field's name."""
    given = asked.model_dump()
    for field, neutral in _NEUTRAL.items():
        if given.get(field) not in neutral:
            raise refused(field, f"{field!r} is not done here", "Leave it out.")
    values: dict[str, Any] = {
        "temperature": 1.0 if asked.temperature is None else asked.temperature,
        "top_p": asked.top_p or 1.0,
        "seed": asked.seed,
        "max_tokens": asked.max_tokens,
        "stop": [asked.stop] if isinstance(asked.stop, str) else asked.stop or [],
        "draft": asked.draft,
    }
    if isinstance(asked, ChatRequest):
        values["max_tokens"] = asked.max_completion_tokens or asked.max_tokens
        values["messages"] = [
            {"role": "system" if said.role == "developer" else said.role, "content": text_of(said)}
            for said in asked.messages
        ]
    else:
        values["prompt"] = _only(asked.prompt)
    try:
        return Question.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        field = str(first["loc"][0]) if first["loc"] else "prompt"
        raise refused(field, f"{field}: {first['msg']}", "Ask for less.") from None


def text_of(said: Any) -> str:
    """The text of a message, which may come in parts."""
    content = said.content
    return content if isinstance(content, str) else "".join(part.text for part in content)


def _only(prompt: str | list[str]) -> str:
    if isinstance(prompt, str):
        return prompt
    if len(prompt) != 1:
        raise refused("prompt", f"{len(prompt)} prompts at once", "Ask for one.")
    return prompt[0]


def refused(field: str, why: str, fix: str) -> BadRequest:
    """The error about a field."""
    return BadRequest(f"{why}.", value=field, fix=fix)

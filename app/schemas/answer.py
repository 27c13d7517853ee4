"""What the models of all answers share. They describe what is sent; nothing is sent by them."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Redact = Callable[[Any], Any]
"""Takes this machine's folders out of what records say; addresses of ours come after it."""

Figure = Annotated[
    float | Literal["inf", "-inf", "nan"],
    Field(description="a number, or its name where JSON has none"),
]


class Answer(BaseModel):
    """An object with these fields and no others; built when the description is asked for."""

    model_config = ConfigDict(extra="forbid", defer_build=True)

    @classmethod
    def examples(cls) -> dict[str, Any]:
        """What its schema says of examples."""
        extra = cls.model_config.get("json_schema_extra")
        return extra if isinstance(extra, dict) else {}


def fields_of(record: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """Those fields of a record that clients see."""
    return {name: getattr(record, name) for name in names}

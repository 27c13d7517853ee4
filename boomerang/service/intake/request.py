"""What a request for a family may say: `POST /families`, and what the catalog keeps of it."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from boomerang.family.budget import Budget


class PublishTo(BaseModel):
    """Where members are pushed once they can be: one repository for each size."""

    model_config = ConfigDict(extra="forbid")

    namespace: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,95}$")
    private: bool = True
    collection: str | None = Field(default=None, max_length=200)
    force: bool = Field(default=False, description="also members that did not pass the gates")


class HubText(BaseModel):
    """A dataset on the Hub: `text` is the column that holds the documents."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(min_length=3, max_length=200)
    revision: str | None = Field(default=None, max_length=200)
    text: str | None = Field(default=None, max_length=200)


Source = Annotated[str, Field(max_length=300)]
Sources = Annotated[list[Source | HubText], Field(min_length=1, max_length=8)]


class FamilyRequest(BaseModel):
    """`POST /families`: a teacher, and what is wanted of its family."""

    model_config = ConfigDict(extra="forbid")

    teacher: str = Field(min_length=1, max_length=300, description="Hub repo id, or a folder")
    revision: str | None = Field(default=None, max_length=200)
    budget: str | int | float | dict[str, Any] | None = Field(
        default=None, description='"2.9B", 2900000000, {"memory": "6GB", "dtype": "bfloat16"}'
    )
    sizes: list[str] | None = Field(default=None, max_length=500, description="sizes to build")
    student: str | None = Field(default=None, max_length=300, description="a student there is")
    kept: list[int] | None = Field(
        default=None, min_length=1, max_length=2000,
        description="teacher layers that the student keeps, where it or the recipe does not say",
    )  # fmt: skip
    order: str = Field(default="auto", max_length=2000)
    recipe: str | dict[str, Any] | None = None
    data: Source | HubText | Sources | None = Field(
        default=None, description="folder of texts, a dataset on the Hub, or several of them"
    )
    base: str | None = Field(
        default=None,
        max_length=300,
        description="what the teacher was fine-tuned from, whose student is ready; auto: as its "
        "card says",
    )
    publish: PublishTo | None = None
    tasks: list[Annotated[str, Field(min_length=1, max_length=200)]] | None = Field(
        default=None, max_length=50, description="tasks of lm-eval to run for every member"
    )
    task_limit: int | None = Field(
        default=None, ge=1, le=10**9, description="examples of each task; all without it"
    )

    @field_validator("budget", mode="before")
    @classmethod
    def _a_budget(cls, value: Any) -> Any:
        # Before pydantic makes a number of `true`. Raises BadBudget.
        if value is not None:
            Budget.parse(value)
        return value

    @field_validator("teacher", "student", "data", "base")
    @classmethod
    def _one_spelling(cls, value: Any) -> Any:
        if isinstance(value, list):
            return [cls._one_spelling(one) for one in value]
        return (value.rstrip("/") or "/") if isinstance(value, str) else value

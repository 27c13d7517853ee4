"""What an operator can set, each with what it means; read once from the environment."""

import base64
import ipaddress
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from boomerang.catalog.setbacks import Limits
from boomerang.checkpoint.folders import Folders
from boomerang.errors import BadRequest
from boomerang.service.allowances.settings import AllowanceSettings
from boomerang.service.playing.settings import PlaySettings
from boomerang.service.upkeep.settings import UpkeepSettings
from boomerang.service.watching.settings import WatchingSettings


class Settings(PlaySettings, AllowanceSettings, WatchingSettings, UpkeepSettings):
    """Settings of the service: environment variables with the prefix `BOOMERANG_`.

    A few of them are also read under the name that the rest of the world gives them.
    """

    model_config = SettingsConfigDict(
        env_prefix="BOOMERANG_",
        env_ignore_empty=True,
        frozen=True,
        extra="ignore",
        populate_by_name=True,
    )

    home: Path = Field(
        default=Path("~/.boomerang"),
        description="Folder of everything the service keeps: catalog, students, members, logs.",
    )
    models: Path | None = Field(
        default=None,
        description="The only folder below which local teachers, students and data may lie; "
        "without it local folders are refused.",
    )
    database_url: str = Field(
        default="",
        validation_alias=AliasChoices("BOOMERANG_DATABASE_URL", "DATABASE_URL"),
        description="SQLAlchemy address of the catalog: SQLite (the default, a file under home) "
        "or PostgreSQL.",
    )
    redis_url: str = Field(
        default="",
        validation_alias=AliasChoices("BOOMERANG_REDIS_URL", "REDIS_URL"),
        description="Address of Redis or Valkey; without it `boomerang serve` starts its own.",
    )
    host: str = Field(default="127.0.0.1", description="Address the front end listens on.")
    port: int = Field(default=8000, ge=0, le=65535, description="Port the front end listens on.")
    public_url: str = Field(
        default="", description="Address under which clients reach the front end, if another."
    )
    api_keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        default=(),
        description="Keys that clients must show, separated by commas; each may be written "
        "`scope:key` (read, build, publish or admin). On any address but loopback these or keys "
        "of the catalog are required.",
    )
    webhook_secret: SecretStr = Field(
        default=SecretStr(""),
        description="What the Hub must send with POST /webhooks/hub; without it nobody may.",
    )
    notify_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="Hosts that a request's `notify` may name, separated by commas: `HOST`, "
        "`HOST:PORT`, or `*.DOMAIN` for those with public addresses; without it none.",
    )
    notify_secret: SecretStr = Field(
        default=SecretStr(""),
        description="What notices are signed with: `whsec_` and 24 bytes or more in base64.",
    )
    follow: Literal["mark", "rebuild"] = Field(
        default="mark",
        description="What a teacher's new commit does to its families: they are marked as "
        "outdated, or also made anew, which may distil.",
    )
    secret: SecretStr = Field(
        default=SecretStr(""),
        description="Seals the Hub tokens that requesters send (X-Hub-Token) and the sessions of "
        "browsers; the same for front ends and workers, of at least 32 characters. Without it such "
        "tokens are refused.",
    )
    readers_of_gated: bool = Field(
        default=False,
        description="Whether a key that may only read is given members of gated and private "
        "teachers, too.",
    )
    recipe: str = Field(default="default", description="Recipe of a request that names none.")
    data: Path | None = Field(
        default=None, description="Texts to distil and measure with where a request names none."
    )
    namespace: str = Field(
        default="", description="Hub namespace that members are published to by default."
    )
    namespaces: str = Field(
        default="",
        description="The only Hub namespaces that members may be published to, separated by "
        "commas; without it any that the token may write to.",
    )
    students: str = Field(
        default="",
        description="Hub namespace where students are kept, each in a private repository, and "
        "looked for before one is distilled; empty: they stay in the folder of home.",
    )
    hub_endpoint: str = Field(
        default="https://huggingface.co",
        validation_alias=AliasChoices("BOOMERANG_HUB_ENDPOINT", "HF_ENDPOINT"),
        description="Address of the Hub.",
    )
    hub_seconds: float = Field(
        default=10.0,
        gt=0,
        description="How long a request waits for a Hub that is silent, or for its turn to ask it; "
        "then it is told to come again. Workers wait longer.",
    )
    hour_cost: str = Field(
        default="",
        pattern=r"^(\d{1,7}(\.\d{1,4})? \S{1,8})?$",
        description="What an hour of the machine that distils costs, as `2.50 USD`, for estimates.",
    )
    shard_size: int = Field(
        default=5_000_000_000, gt=0, description="Largest weight file of a member, in bytes."
    )
    lease_seconds: float = Field(
        default=30.0, gt=0, description="How long a worker that fell silent keeps its job."
    )
    reap_seconds: float = Field(
        default=5.0, gt=0, description="How often workers look for jobs that nobody holds."
    )
    requeue_seconds: float = Field(
        default=60.0, gt=0, description="How long a queued job may wait before it is sent again."
    )
    max_attempts: int = Field(
        default=5,
        ge=1,
        description="How often in a row, with nothing achieved in between, a job may lose its "
        "worker or its process before it fails.",
    )
    outage_seconds: float = Field(
        default=3600.0,
        ge=0,
        description="How long something that a job needs (the Hub, the database) may be away "
        "before the job fails.",
    )
    event_days: float = Field(
        default=30.0,
        gt=0,
        description="How long how far a distillation, a measuring or an upload was stays in the "
        "event stream, and all that happened to families that are gone.",
    )
    stop_seconds: float = Field(
        default=20.0, gt=0, description="How long a process may take to stop before it is killed."
    )
    trainer: tuple[str, ...] = Field(
        default=(),
        description="Command that distils, as a JSON list, in place of the worker's own; the job "
        "file is its last argument.",
    )
    trainer_devices: int = Field(
        default=0,
        ge=0,
        description="On how many devices of its machine a worker distils; 0 is all that it sees, "
        "and one process on a CPU.",
    )
    measurer: tuple[str, ...] = Field(
        default=(), description="Command that measures, as a JSON list; the job file comes last."
    )
    checkpoint_seconds: float = Field(
        default=120.0, ge=0, description="How often, at most, a distillation keeps where it is."
    )

    @field_validator("home", "models", "data", mode="after")
    @classmethod
    def _absolute(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()

    @field_validator("models", "data", mode="before")
    @classmethod
    def _empty_is_none(cls, value: Any) -> Any:
        return value or None

    @field_validator("secret")
    @classmethod
    def _long(cls, value: SecretStr) -> SecretStr:
        # What is sealed lies in the catalog: a short one could be found by trying.
        if 0 < len(value.get_secret_value()) < 32:
            raise ValueError("a secret has at least 32 characters: openssl rand -hex 32")
        return value

    @field_validator("api_keys", "notify_hosts", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        if isinstance(value, str):
            return tuple(one.strip() for one in value.split(",") if one.strip())
        return value

    @field_validator("notify_hosts", mode="after")
    @classmethod
    def _lower(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(host.lower() for host in value)

    @model_validator(mode="before")
    @classmethod
    def _default_database(cls, values: dict[str, Any]) -> dict[str, Any]:
        names = ("database_url", "BOOMERANG_DATABASE_URL", "DATABASE_URL")
        if not any(values.get(name) for name in names):
            home = Path(values.get("home") or cls.model_fields["home"].default)
            values = {k: v for k, v in values.items() if k not in names}
            values["database_url"] = f"sqlite:///{home.expanduser().absolute() / 'catalog.sqlite'}"
        return values

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the front end."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def check(self, *, keys: bool = False) -> None:
        """Refuse settings that must not be served; `keys`: whether the catalog has any that live.

        Raises BadRequest.
        """
        if not self.loopback and not self.api_keys and not keys:
            raise BadRequest(
                f"Listening on {self.host} without API keys would open the service to anyone.",
                value=self.host,
                fix="`boomerang keys create NAME --scope admin` makes one. Or set "
                "BOOMERANG_API_KEYS, or listen on 127.0.0.1.",
            )
        if self.notify_hosts and not self.signs:
            raise BadRequest(
                "Notices would be sent that nobody can tell from others'.",
                value=self.notify_hosts,
                fix="Set BOOMERANG_NOTIFY_SECRET: whsec_ and what `openssl rand -base64 32` says.",
            )

    @property
    def signs(self) -> bool:
        """Whether there is a key to sign notices with."""
        secret = self.notify_secret.get_secret_value().removeprefix("whsec_")
        try:
            return len(base64.b64decode(secret, validate=True)) >= 24
        except ValueError:
            return False

    @property
    def allowed_namespaces(self) -> tuple[str, ...]:
        """The namespaces that alone may be published to; none named is no such limit."""
        return tuple(name.strip() for name in self.namespaces.split(",") if name.strip())

    @property
    def limits(self) -> Limits:
        """How many setbacks a job may have."""
        return Limits(self.max_attempts, self.outage_seconds)

    @property
    def logs(self) -> Path:
        """Folder of log files."""
        return self.home / "logs"

    @property
    def members(self) -> Path:
        """Folder of members that were built."""
        return self.home / "members"

    @property
    def folders(self) -> Folders:
        """The folders that a request may name."""
        return Folders(self.models, "BOOMERANG_MODELS")

    def teacher_folder(self, commit: str) -> Path:
        """Where a teacher of the Hub is kept."""
        return self.home / "teachers" / commit

    def student_folder(self, key: str) -> Path:
        """Where a student is kept."""
        return self.home / "students" / key

    def run_folder(self, key: str) -> Path:
        """Where a distillation keeps its checkpoints."""
        return self.home / "runs" / key

    def member_folder(self, digest: str) -> Path:
        """Where a member is built."""
        return self.members / digest


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process, read from the environment at the first call."""
    return Settings()

"""The command line: `boomerang …`. A command's module is loaded when it runs or shows its help."""

import sys
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from boomerang.errors import BoomerangError

COMMANDS = {
    "plan": ("sizes", "Show the ladder of sizes, from headers alone."),
    "distill": ("distill", "Distil a student."),
    "heal": ("distill", "Train one size for some steps, by itself."),
    "measure": ("distill", "Measure every size on held-out text."),
    "assemble": ("sizes", "Write one size to a folder."),
    "chat": ("chat", "Have any size write or answer, all of them from one pair in memory."),
    "publish": ("distill", "Push one size to the Hub, private unless told otherwise."),
    "verify": ("verify", "Prove that every tensor of a size is its teacher's or its student's."),
    "request": ("service.asking", "Ask a running service for a size."),
    "families": ("service.families", "List the families of a running service."),
    "show": ("service.families", "Show a family of a running service."),
    "cancel": ("service.families", "Stop what a running service makes of a family."),
    "delete": ("service.families", "Have a running service forget a family."),
    "events": ("service.following", "Say what happened to a family, and what happens."),
    "download": ("service.downloading", "Download a size from a running service."),
    "rebuild": ("service.rebuilding", "Look at all that is there of families, and mend it."),
    "usage": ("service.usage", "Say what a key used of late, and what it may use."),
    "serve": ("service.running", "Run everything on this machine until ^C."),
    "worker": ("service.running", "Run one worker, of a service that has a Redis of its own."),
    "backup": ("upkeep.copies", "Copy what cannot be made again: the catalog and the students."),
    "restore": ("upkeep.copies", "Put a backup into an empty home and an empty database."),
    "keys": ("upkeep.keys", "Make, list and revoke the keys of a service."),
    "audit": ("upkeep.keys", "Say what was done with which key."),
    "migrate": ("upkeep.migrating", "Bring the catalog of a service up to date."),
    "doctor": ("upkeep.doctor", "Look at a set-up, and say what to mend."),
    "gc": ("upkeep.gc", "Take away what nobody needs: never a student."),
    "demo": ("demo.demo", "Distil the small teacher of the examples and show every size."),
}
"""In which module of this package a command is the function of its name, and what it does."""


class Lazy(TyperGroup):
    """Commands of which only names and short help are known before one of them is wanted."""

    def __init__(self, **attrs: Any) -> None:
        known = [TyperCommand(name, short_help=about) for name, (_, about) in COMMANDS.items()]
        super().__init__(commands=known, **attrs)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command that is meant, as its module has it."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command and loaded(args[0]), rest


def loaded(name: str) -> Any:
    """The whole command of this name: a function of its module, or a group of commands."""
    module = import_module(f"boomerang.cli.{COMMANDS[name][0]}")
    if isinstance(group := getattr(module, name), typer.Typer):
        return typer.main.get_command(group)
    alone = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
    alone.command(name)(getattr(module, name))
    return typer.main.get_command(alone)


def main() -> None:
    """Run the command line. An error is one line on stderr and status 1; wrong usage is 2."""
    help_ = "Any size between: distil a teacher once, then have every size up to the teacher."
    try:
        Lazy(name="boomerang", help=help_, no_args_is_help=True, rich_markup_mode=None)(
            prog_name="boomerang"
        )
    except BrokenPipeError:
        # The reader of a pipe went away, which is no error; nothing more can be said to it.
        sys.stderr.close()
        raise SystemExit(1) from None
    except (BoomerangError, OSError) as error:
        line = " ".join(str(error).split()) or type(error).__name__
        sys.stderr.write(f"error: {line}\n")
        raise SystemExit(1) from None

"""Answering a question: find the member, have its pair in memory, and say what is written."""

import logging
import threading
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from redis.exceptions import RedisError

from boomerang.catalog.leases import this_holder
from boomerang.catalog.records.states import StudentState
from boomerang.catalog.records.students import Student
from boomerang.checkpoint.folders import commit_of
from boomerang.errors import BoomerangError, NotReady
from boomerang.retries import passes
from boomerang.service.models import pairs
from boomerang.service.playing.answering import Answer, connect, say_present
from boomerang.service.playing.asked import Question
from boomerang.service.playing.store import failed
from workers.context import Context
from workers.leases import Over, holding
from workers.models.folders import check_pair, fetch_student, fetch_teacher
from workers.outages import said
from workers.play.player import PairInMemory, Player

log = logging.getLogger("boomerang.workers")

_PRESENT_SECONDS = 2.0


class Playing:
    """What a worker that tries sizes has besides its context: a player, and a way to answer."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.client: Any = connect(context.settings.redis_url)
        self.player = Player(context.settings, context.stopping)

    def answer(self, id_: str, family: str, k: int) -> str:
        """Answer a question; return what was done, in a word. Of what was asked nothing is kept."""
        answer = Answer(self.client, id_, self.context.stopping)
        try:
            question = answer.take()
            if question is None:
                return "nobody waits"
            return self._answer(answer, family, k, question)
        except RedisError as error:
            log.warning("a question was not answered: %s", type(error).__name__)
            return "lost"
        finally:
            answer.close()

    def _answer(self, answer: Answer, family_id: str, k: int, question: Question) -> str:
        catalog, stopping = self.context.catalog, self.context.stopping
        try:
            member = catalog.member(family_id, k)
            student = catalog.student(catalog.family(family_id).student)
            pair = self._pair(student, answer.ended)

            def tell(event: dict[str, Any]) -> None:
                if event.get("finish_reason") == "cancelled" and stopping.is_set():
                    # Not an end that its reader wanted.
                    event = failed("the worker was stopped", "Ask again.", again=True)
                answer.say(event)

            how = self.player.answer(pair, member.code, answer.id, question, tell, answer.ended)
        except Over:
            how = "left"
        except RedisError:
            raise
        except Exception as error:
            if not isinstance(error, BoomerangError | OSError):
                # Never with its traceback: what is asked stands in one.
                log.error("a question about %s failed: %s", family_id, type(error).__name__)
            fix = error.fix if isinstance(error, BoomerangError) else ""
            reason = error.detail if isinstance(error, BoomerangError) else said(error)
            answer.say(failed(reason, fix, again=passes(error) or isinstance(error, NotReady)))
            return "failed"
        if how in ("left", "killed") and stopping.is_set():
            answer.say(failed("the worker was stopped", "Ask again.", again=True))
        return how

    def _pair(self, student: Student, ended: threading.Event) -> PairInMemory:
        """A pair in folders, fetched where it is not there, and checked unless it is in memory.

        Raises NotReady, Over once nobody waits, and whatever keeps it from being a pair.
        """
        if student.state is not StudentState.READY:
            raise NotReady(
                f"The student is {student.state}.", value=student.key, fix="Wait for it."
            )
        settings = self.context.settings
        made = student.revision_commit or commit_of((student.files or {}).items())
        pair = PairInMemory(
            str(pairs.teacher_folder(settings, student)),
            str(pairs.student_folder(settings, student)),
            tuple(student.kept),
            f"{student.key} {made}",
        )
        if self.player.holds(pair):
            return pair
        with holding(self.context, f"play:{this_holder()}", ended.is_set) as held:
            if held is None:
                raise NotReady("Another question is at it.", fix="Ask again.")
            teacher = fetch_teacher(self.context, student, held)
            check_pair(self.context, student, teacher, fetch_student(self.context, student, held))
        return pair


@lru_cache(maxsize=1)
def playing(context: Context) -> Playing:
    """What this worker process tries sizes with."""
    return Playing(context)


def play(context: Context, id_: str, family: str, k: int) -> str:
    """Answer a question about a member of a family."""
    return playing(context).answer(id_, family, k)


def start_keeper(context: Context) -> threading.Thread:
    """Say again and again that somebody is here, and let go of what nobody asks for."""
    here = playing(context)
    thread = threading.Thread(target=_keep, args=(here,), name="keeper", daemon=True)
    say_present(here.client)
    thread.start()
    return thread


def _keep(here: Playing) -> None:
    stopping = here.context.stopping
    steps: tuple[Callable[[], None], ...] = (lambda: say_present(here.client), here.player.look)
    while not stopping.wait(min(_PRESENT_SECONDS, here.context.settings.play_idle)):
        for step in steps:
            try:
                step()
            except Exception:
                log.exception("keeping the player failed")
    here.player.close()

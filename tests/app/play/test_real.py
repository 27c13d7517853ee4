"""From the socket to the model and back: what a size writes is what it writes loaded alone."""

from pathlib import Path

import pytest

from tests.app.play.conftest import staged
from tests.support.models import Duo

pytestmark = pytest.mark.long("a pair is loaded by a worker's child")


def test_every_size_writes_what_it_writes_alone(
    tmp_path_factory: pytest.TempPathFactory, originals: Duo, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    for stage in staged(tmp_path_factory, originals, player=()):
        front, prompt = stage.front, "in the beginning"
        for member in (front.catalog.members(stage.family)[k] for k in (0, 2)):
            asked = {"model": member.size, "prompt": prompt, "max_tokens": 8, "temperature": 0}
            for draft in (False, True):
                answer = front.client.post("/v1/completions", json=asked | {"draft": draft})
                assert answer.status_code == 200, answer.text
                said = answer.json()["choices"][0]["text"]
                alone = written_alone(front.client, stage.family, member.size, tmp_path)
                tokenizer = AutoTokenizer.from_pretrained(alone)
                model = AutoModelForCausalLM.from_pretrained(alone, dtype=torch.float32)
                begun = tokenizer(prompt, return_tensors="pt")
                written = model.generate(**begun, max_new_tokens=8, do_sample=False)
                expected = tokenizer.decode(written[0], skip_special_tokens=True)
                assert (prompt + said).split() == expected.split()
        log = stage.worker.log.read_text()
        assert prompt not in log
        assert said.strip() not in log


def written_alone(client: object, family: str, size: str, folder: Path) -> Path:
    """The member as the service serves it, in a folder."""
    import io
    import tarfile

    found = folder / size
    if not found.exists():
        answer = client.get(f"/models/{size}?family={family}", headers={"Accept": "*/*"})  # type: ignore[attr-defined]
        with tarfile.open(fileobj=io.BytesIO(answer.content)) as tar:
            tar.extractall(found, filter="data")
    return next(path.parent for path in found.rglob("config.json"))

"""Where a request may publish to and as whom, said before anything is done for it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.app.conftest import Front, problem
from tests.local_hub.accounts import GUEST, OWNER
from tests.local_hub.fixture import LocalHub
from tests.support.models import Duo

pytestmark = pytest.mark.slow("front ends with settings of their own")

ASKED = {"teacher": "teacher", "student": "student", "order": "last"}
TOKEN = {"X-Hub-Token": GUEST}


def test_a_namespace_and_a_token_are_checked_before_anything_is_done(
    make_front: Callable[..., Front], hub: LocalHub, originals: Duo, tmp_path: Path
) -> None:
    front = make_front(
        HF_ENDPOINT=hub.url, HF_TOKEN=OWNER, BOOMERANG_NAMESPACES="me, stranger",
        BOOMERANG_READERS_OF_GATED="true", BOOMERANG_API_KEYS="publish:owner,read:reader",
    )  # fmt: skip

    def refused(publish: object, status: int, slug: str, headers: object = None) -> str:
        body = {**ASKED} if publish is None else {**ASKED, "publish": publish}
        answer = front.client.post("/families", json=body, headers=headers)
        said = problem(answer, status, slug)
        assert GUEST not in answer.text
        return f"{said['value']} {said['detail']} {said['fix']}"

    assert "BOOMERANG_NAMESPACE" in refused({}, 422, "bad-request")
    assert "me, stranger" in refused({"namespace": "team"}, 403, "namespace")
    said = refused({"namespace": "stranger"}, 403, "namespace")
    assert "'tester'" in said
    assert "me" in said
    assert "BOOMERANG_SECRET" in refused({"namespace": "me"}, 422, "bad-request", TOKEN)
    assert "publishes nothing" in refused(None, 422, "bad-request", TOKEN)
    both = {"namespace": "me", "private": True, "gated": "auto"}
    assert "either private or gated" in refused(both, 422, "bad-request")
    assert front.catalog.families() == ()
    answer = front.post(**ASKED, publish={"namespace": "me"})
    assert answer.status_code == 202
    # A licence without derivatives is one, whichever of the two models has it.
    student = tmp_path / "nd"
    shutil.copytree(originals.student_folder, student)
    (student / "README.md").write_text("---\nlicense: cc-by-nd-4.0\n---\n")
    hub.add_repo("org/nd", student)
    given = front.post(**{**ASKED, "student": "org/nd"}, publish={"namespace": "me"})
    assert "cc-by-nd-4.0" in problem(given, 422, "unusable")["detail"]
    # Gated: for all, behind a gate; and for who may read, where the service says so.
    hub.add_repo("org/gated", originals.teacher_folder, gated=True)
    asked = {"teacher": "org/gated", "order": "last"}
    open_to_all = front.post(**ASKED | asked, publish={"namespace": "me", "private": False})
    assert "gated" in problem(open_to_all, 422, "bad-request")["fix"]
    front.settings = front.settings.model_copy(update={"hub_endpoint": hub.url})
    with pytest.MonkeyPatch.context() as here:
        here.setenv("HF_TOKEN", OWNER)
        family = front.ready(**asked, publish={"namespace": "me", "gated": "auto"})
    (request,) = front.catalog.requests(family.id)
    assert (request.options["private"], request.options["gated"]) == (False, "auto")
    size = front.catalog.members(family.id)[0].size
    headers = {"Authorization": "Bearer reader"}
    path = f"/models/{size}/config.json?family={family.id}"
    assert front.client.get(path, headers=headers).status_code == 200
    # A Hub that is away keeps nobody from a family.
    hub.fail("whoami", 503, times=99)
    away = make_front(HF_ENDPOINT=hub.url, HF_TOKEN=OWNER)
    assert away.post(**ASKED, publish={"namespace": "stranger"}).status_code == 202

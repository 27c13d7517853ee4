"""Errors cross from one process to another as JSON."""

import json

from boomerang.errors import BadRecipe, HubFailure, TrainingFailed, as_json, from_json


def test_an_error_is_the_same_on_the_other_side() -> None:
    for error in (HubFailure("Silent.", value=503), BadRecipe("No.", value=[1], fix="Ask again.")):
        heard = from_json(json.loads(json.dumps(as_json(error))))
        assert (type(heard), str(heard)) == (type(error), str(error))
        assert heard.value in (error.value, str(error.value))


def test_one_of_an_unknown_kind_ends_the_training() -> None:
    heard = from_json({**as_json(HubFailure("Silent.")), "kind": "Strange"})
    assert (type(heard), heard.detail) == (TrainingFailed, "Silent.")

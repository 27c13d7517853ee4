"""What is known of a model beside its weights: from its card, and from its licence without one."""

from pathlib import Path

import pytest

from boomerang.errors import Unusable
from boomerang.hub.about import About
from boomerang.hub.find import find
from tests.support.models import model

CARD = "---\nlicense: other\nlicense_name: terms\nlanguage:\n- en\n- no\ndatasets: org/text\n---\nX"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model("llama", 1).save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def told(folder: Path, **files: str) -> About:
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return find(str(folder)).about


def test_a_folder_says_what_its_card_says(folder: Path) -> None:
    assert told(folder) == About()
    assert told(folder, README__md="---\nlicense: [mit\n---\n") == About()
    found = told(folder, README__md=CARD, LICENSE="MIT License\n\nAnybody may.")
    assert (found.license, found.license_name) == ("other", "terms")
    assert (found.language, found.datasets) == (("en", "no"), ("org/text",))
    assert About.of_json(found.json()) == found
    assert not found.chat
    assert told(folder, chat_template__jinja="{{ messages }}").chat


@pytest.mark.parametrize(
    ("text", "license"),
    [
        ("\n   Apache License\n   Version 2.0, January 2004\n", "apache-2.0"),
        ("MIT License\n\nCopyright", "mit"),
        ("Attribution-NonCommercial-NoDerivatives 4.0 International\n", "cc-by-nc-nd-4.0"),
        ("Attribution-ShareAlike 4.0 International\n", "cc-by-sa-4.0"),
    ],
)
def test_a_licence_is_known_by_its_title(folder: Path, text: str, license: str) -> None:
    assert told(folder, LICENSE=text).license == license


def test_another_licence_is_named_by_its_first_line(folder: Path) -> None:
    found = told(folder, LICENSE__txt="TERMS OF THE MAKER\n\nYou may.")
    assert (found.license, found.license_name) == ("other", "TERMS OF THE MAKER")
    assert found.license_link == "LICENSE.txt"


def test_a_licence_that_forbids_derived_works_is_refused_in_a_folder_too(folder: Path) -> None:
    from boomerang.checkpoint.folders import refuse_without_derivatives

    (folder / "LICENSE").write_text("Attribution-NoDerivatives 4.0 International\n")
    with pytest.raises(Unusable, match="forbids derived works"):
        refuse_without_derivatives("model", find(str(folder)).license)

"""What a catalog says of itself, on both databases."""

from boomerang.catalog.catalog import Catalog
from tests.catalog.conftest import new_family, new_student, rungs

KEY = "k" * 32


def test_counts_and_ping(catalog: Catalog) -> None:
    catalog.ping()
    catalog.create_family(new_family(), new_student(), rungs())
    counts = catalog.counts()
    assert (counts["families"], counts["students_queued"], counts["students_ready"]) == (1, 1, 0)

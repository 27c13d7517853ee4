"""Digests of files, known for as long as the files are the same."""

import os
from pathlib import Path

from boomerang.catalog.catalog import Catalog


def test_a_hash_is_known_while_the_file_is_the_same(catalog: Catalog, tmp_path: Path) -> None:
    path = tmp_path / "weights"
    path.write_bytes(b"one")
    assert catalog.known_hash(path) is None
    catalog.remember_hash(path, "a" * 64)
    assert catalog.known_hash(path) == "a" * 64
    path.write_bytes(b"two")
    os.utime(path, ns=(1, 1))
    assert catalog.known_hash(path) is None
    catalog.remember_hash(path, "b" * 64)
    assert catalog.known_hash(path) == "b" * 64

"""Make the corpus of the small teacher: the King James Bible, one chapter a document.

Reads the text from Debian's `bible` command (packages `bible-kjv` and `bible-kjv-text`; the text
itself is in the public domain) and writes three files beside this script, each line a JSON object
`{"text": chapter}`:

    train.jsonl.xz         nine chapters in ten
    calibration.jsonl.xz   one chapter in twenty: choosing (patch order, when to stop)
    heldout.jsonl.xz       one chapter in twenty: reporting, and nothing else

The files are in the repository; this script says where they come from and makes them again.
"""

import json
import lzma
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
BOOKS = [
    "Genesis", "Exodus", "Leviticus", "Numbers", "Deuteronomy", "Joshua", "Judges", "Ruth",
    "1 Samuel", "2 Samuel", "1 Kings", "2 Kings", "1 Chronicles", "2 Chronicles", "Ezra",
    "Nehemiah", "Esther", "Job", "Psalms", "Proverbs", "Ecclesiastes", "Song of Solomon",
    "Isaiah", "Jeremiah", "Lamentations", "Ezekiel", "Daniel", "Hosea", "Joel", "Amos",
    "Obadiah", "Jonah", "Micah", "Nahum", "Habakkuk", "Zephaniah", "Haggai", "Zechariah",
    "Malachi", "Matthew", "Mark", "Luke", "John", "Acts", "Romans", "1 Corinthians",
    "2 Corinthians", "Galatians", "Ephesians", "Philippians", "Colossians", "1 Thessalonians",
    "2 Thessalonians", "1 Timothy", "2 Timothy", "Titus", "Philemon", "Hebrews", "James",
    "1 Peter", "2 Peter", "1 John", "2 John", "3 John", "Jude", "Revelation",
]  # fmt: skip
VERSE = re.compile(r"^(\S+?)(\d+):(\d+) (.*)$")


def chapters() -> Iterator[str]:
    """Yield each chapter as a heading and one verse a line, in the order of the Bible."""
    printed = subprocess.run(
        ["bible", "-f", "Gen1:1-Rev22:21"], capture_output=True, text=True, check=True
    ).stdout
    abbreviations: list[str] = []
    heading: tuple[int, int] | None = None
    verses: list[str] = []
    for line in printed.splitlines():
        match = VERSE.match(line)
        if match is None:
            raise ValueError(f"not a verse: {line!r}; is this the `bible` of package bible-kjv?")
        abbreviation, chapter, _, text = match.groups()
        if abbreviation not in abbreviations:
            abbreviations.append(abbreviation)
        here = (abbreviations.index(abbreviation), int(chapter))
        if here != heading and heading is not None:
            yield "\n".join([f"{BOOKS[heading[0]]} {heading[1]}", *verses])
            verses = []
        heading = here
        verses.append(text.strip())
    if heading is not None:
        yield "\n".join([f"{BOOKS[heading[0]]} {heading[1]}", *verses])


def main() -> None:
    """Write the three splits."""
    splits: dict[str, list[str]] = {"train": [], "calibration": [], "heldout": []}
    for number, chapter in enumerate(chapters()):
        split = {5: "heldout", 15: "calibration"}.get(number % 20, "train")
        splits[split].append(json.dumps({"text": chapter}, ensure_ascii=False))
    for name, lines in splits.items():
        raw = ("\n".join(lines) + "\n").encode()
        (HERE / f"{name}.jsonl.xz").write_bytes(lzma.compress(raw, preset=9 | lzma.PRESET_EXTREME))
        print(f"{name}: {len(lines)} chapters, {len(raw):,} bytes")


if __name__ == "__main__":
    main()

"""Write the digest beside every tag that an image is built from or that compose and Kubernetes run.

A tag can be moved by whoever may push it; a digest is the bytes. Tags stay where they are, for
people to read, and a later run moves the digests to what the tags are then. All or nothing: where a
registry does not answer, no file is changed.

The registries' interface: https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

import argparse
import hashlib
import os
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx

ROOT = Path(__file__).parents[1]
FILES = ("docker/*.Dockerfile", "docker-compose.yml", "docker/kubernetes/**/*.yaml")
USED = re.compile(r"^(?P<before>FROM +| *(?:- )?image: +)(?P<image>[^\s#]+)", re.MULTILINE)
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
INDEX = "application/vnd.oci.image.index.v1+json"
KINDS = (
    INDEX,
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
)
"""Of an image for many processors first: its digest is the same whoever asks."""
OURS = "boomerang-"
"""Images that are built here have no registry."""
HUB, HUB_AT = "docker.io", "https://registry-1.docker.io"


class Away(Exception):
    """A registry does not answer, or not with an image: for whom, and how."""


@dataclass(frozen=True)
class Image:
    """An image by tag: where its registry is, its name there, its tag."""

    registry: str
    name: str
    tag: str

    @classmethod
    def of(cls, text: str) -> "Image":
        """Read `[registry/]name:tag[@digest]`. Raises Away where it has no tag."""
        name, _, tag = text.partition("@")[0].rpartition(":")
        if not name or "/" in tag:
            raise Away(f"{text} has no tag: name a version")
        first, _, rest = name.partition("/")
        if rest and ("." in first or ":" in first or first == "localhost"):
            return cls(first, rest, tag)
        return cls(HUB, name if rest else f"library/{name}", tag)


def images(text: str) -> list[str]:
    """Every image of others that a file uses, as it is written there."""
    found = (match["image"].strip("\"'") for match in USED.finditer(text))
    return [image for image in found if not image.startswith(OURS) and ":" in image]


def pinned(text: str, digests: dict[str, str]) -> str:
    """The text with the digest of each image behind its tag."""

    def with_digest(match: re.Match[str]) -> str:
        image = match["image"]
        tag = image.partition("@")[0]
        return match["before"] + (f"{tag}@{digests[image]}" if image in digests else image)

    return USED.sub(with_digest, text)


def digest_of(client: httpx.Client, image: Image, at: str) -> str:
    """The digest of what a tag is now, from the registry at an address. Raises Away."""
    url = f"{at}/v2/{image.name}/manifests/{image.tag}"
    headers = {"Accept": ", ".join(KINDS)}
    try:
        answer = client.get(url, headers=headers)
        if answer.status_code == 401:
            headers["Authorization"] = f"Bearer {_token(client, answer, image)}"
            answer = client.get(url, headers=headers)
        answer.raise_for_status()
    except httpx.HTTPStatusError as error:
        said = error.response.status_code
        raise Away(f"{image.registry} answered {said} for {image.name}:{image.tag}") from None
    except httpx.HTTPError as error:
        raise Away(f"{image.registry} cannot be reached ({type(error).__name__})") from None
    # What was read is what is named: a header alone could be another's word.
    found = f"sha256:{hashlib.sha256(answer.content).hexdigest()}"
    told = answer.headers.get("Docker-Content-Digest", found)
    if told != found:
        raise Away(f"{image.registry} calls {image.name}:{image.tag} {told}, and sent {found}")
    return found


def _token(client: httpx.Client, refused: httpx.Response, image: Image) -> str:
    """The token that a registry's answer says is had elsewhere, for anybody who asks to read."""
    kind, _, rest = refused.headers.get("WWW-Authenticate", "").partition(" ")
    said = dict(re.findall(r'(\w+)="([^"]*)"', rest))
    realm = urlsplit(said.get("realm", ""))
    plain = realm.hostname == refused.url.host and refused.url.scheme == "http"
    if kind.lower() != "bearer" or (realm.scheme != "https" and not plain):
        raise Away(f"{image.registry} asks for a login that is none of anybody's")
    asked = {"service": said.get("service", ""), "scope": f"repository:{image.name}:pull"}
    answer = client.get(said["realm"], params=asked)
    answer.raise_for_status()
    found = answer.json()
    return str(found.get("token") or found.get("access_token"))


def pin(root: Path, registries: dict[str, str]) -> list[str]:
    """Pin every file below a folder; what was changed, a line each. Raises Away, changing nothing.

    `registries` has addresses of registries that are not at `https://` and their name.
    """
    files = [path for pattern in FILES for path in sorted(root.glob(pattern))]
    texts = {path: path.read_text() for path in files}
    used = sorted({image for text in texts.values() for image in images(text)})
    with httpx.Client(timeout=15, follow_redirects=True) as client:
        digests = {text: _found(client, text, registries) for text in used}
    changed = {path: pinned(text, digests) for path, text in texts.items()}
    for path, text in changed.items():
        if text != texts[path]:
            making = path.with_name(f".{path.name}.making")
            making.write_text(text)
            making.chmod(path.stat().st_mode)
            os.replace(making, path)
    return list(_changes(digests))


def _found(client: httpx.Client, text: str, registries: dict[str, str]) -> str:
    image = Image.of(text)
    at = registries.get(image.registry)
    if at is None:
        at = HUB_AT if image.registry == HUB else f"https://{image.registry}"
    return digest_of(client, image, at)


def _changes(digests: dict[str, str]) -> Iterable[str]:
    for text, digest in digests.items():
        tag, _, before = text.partition("@")
        if before != digest:
            yield f"{tag} is {digest}" + (f", was {before}" if before else "")


def main() -> None:
    """Pin this repository's files; exits with one line where a registry does not answer."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--root", type=Path, default=ROOT, help="The folder of the repository.")
    parser.add_argument(
        "--registry", action="append", default=[], metavar="NAME=URL",
        help="Where a registry is, for a mirror of it: docker.io=https://mirror.example.org.",
    )  # fmt: skip
    given = parser.parse_args()
    registries = dict(one.split("=", 1) for one in given.registry)
    try:
        changes = pin(given.root, registries)
    except Away as away:
        sys.exit(f"Nothing was changed: {away}.")
    print("\n".join(changes) or "Every digest is what its tag is now.")


if __name__ == "__main__":
    main()

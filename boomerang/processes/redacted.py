"""No token or password in anything that is said or logged, whoever quoted it."""

import logging
import re
import traceback
from typing import Any

_TOKEN = re.compile(r"\bhf_(?:(?:oauth|jwt)_[\w.-]+|[A-Za-z0-9]{30,})")


_KEY = re.compile(r"\bbmr_[A-Za-z0-9]+_[\w-]{16,}")
_PASSWORD = re.compile(r"(\b[a-z][a-z0-9+.-]{0,20}://[^\s:/@]*):[^\s/@]+@", re.IGNORECASE)


def without_tokens(text: str) -> str:
    """A text, with dots for tokens of the Hub, keys of ours, and passwords in addresses."""
    if "hf_" in text:
        text = _TOKEN.sub("hf_…", text)
    if "bmr_" in text:
        text = _KEY.sub("bmr_…", text)
    return _PASSWORD.sub(r"\1:…@", text) if "://" in text else text


class _Record(logging.LogRecord):
    """A record that every handler of the process writes without tokens."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        if self.exc_info and self.exc_info[0] is not None:
            # A formatter writes what stands here, and makes it of the error where nothing does.
            lines = traceback.format_exception(*self.exc_info)
            self.exc_text = without_tokens("".join(lines).rstrip("\n"))

    def getMessage(self) -> str:  # noqa: N802 - logging's own name
        """The message with its arguments."""
        return without_tokens(super().getMessage())


def redact_logs() -> None:
    """Have this process log no token from here on."""
    logging.setLogRecordFactory(_Record)

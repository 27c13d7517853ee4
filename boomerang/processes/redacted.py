"""No token of the Hub in anything that is said or logged, whoever quoted it."""

import logging
import re
import traceback
from typing import Any

_TOKEN = re.compile(r"\bhf_(?:(?:oauth|jwt)_[\w.-]+|[A-Za-z0-9]{30,})")


def without_tokens(text: str) -> str:
    """A text, with dots for the tokens in it."""
    return _TOKEN.sub("hf_…", text) if "hf_" in text else text


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

"""What a model card may say, by the validators of the real client."""

import yaml
from huggingface_hub import ModelCard
from huggingface_hub._eval_results import parse_eval_result_entries

from tests.local_hub.repos import HubError

RELATIONS = ("adapter", "merge", "quantized", "finetune")


def faults_of_card(text: str) -> tuple[list[str], list[str]]:
    """Errors and warnings about the metadata of a card."""
    parts = text.split("---\n", 2)
    try:
        metadata = yaml.safe_load(parts[1]) if len(parts) == 3 else None
        if not metadata:
            return [], ["empty or missing yaml metadata"]
        ModelCard(text)
    except (yaml.YAMLError, ValueError, TypeError, KeyError) as error:
        return [str(error)], []
    if metadata.get("base_model_relation", "finetune") not in RELATIONS:
        return [f'"base_model_relation" must be one of {", ".join(RELATIONS)}'], []
    return [], []


def check(path: str, data: bytes) -> None:
    """Refuse a card or results that the Hub would not take in a commit."""
    errors: list[str] = []
    if path == "README.md":
        errors, _ = faults_of_card(data.decode())
    elif path.startswith(".eval_results/"):
        try:
            parse_eval_result_entries(yaml.safe_load(data))
        except (yaml.YAMLError, ValueError, TypeError, KeyError) as error:
            errors = [str(error)]
    if errors:
        raise HubError(400, "", f"Invalid metadata in {path}", errors=errors)

"""Models of the Hugging Face hub: a name there, or a folder on disk, and its settings as JSON."""

import json
import logging
from pathlib import Path
from typing import Any

from rcvd.errors import UserError
from rcvd.optional import required

logger = logging.getLogger(__name__)

WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")


def cached_weights(name: str) -> list[Path]:
    """The weight files of a hub model in the local cache; never asks the network."""
    try:
        hub = required("huggingface_hub", name)
    except UserError:
        return []
    found = [hub.try_to_load_from_cache(name, file) for file in WEIGHT_FILES]
    return [Path(path) for path in found if isinstance(path, str)]


def load_model(kind: str, source: Path | str, what: str) -> Any:
    """A transformers model by its auto class, in evaluation mode, float32.

    kind: such as AutoModelForDepthEstimation. source: a folder made by save_pretrained, or a name
    on the hub. what: the backend, for errors.

    Raises:
        UserError: transformers is missing, no network, no such model, or weights that do not fit.
    """
    transformers = required("transformers", what)
    name = str(source)
    if isinstance(source, Path) and not (source / "config.json").is_file():
        raise UserError(f"{source}: no config.json there; give a folder made by save_pretrained")
    auto = getattr(transformers, kind)
    try:
        model, report = _loaded(auto, source)
    except (OSError, ValueError, RuntimeError) as error:
        advice = (
            ""
            if isinstance(source, Path)
            else (
                f"; without a network: hf download {name} elsewhere, or name a folder made by "
                "save_pretrained as weights"
            )
        )
        raise UserError(f"{what}: cannot load {name}: {_first_line(error)}{advice}") from error
    except Exception as error:
        if type(error).__name__ != "SafetensorError":
            raise
        raise UserError(f"{what}: {name}: damaged or truncated weights ({error})") from error
    _check(report, name, what)
    return model.eval()


def _loaded(auto: Any, source: Path | str) -> tuple[Any, dict[str, Any]]:
    """The model and what did not fit; a hub model from the cache, and only without it by network.

    Only safetensors and tensors-only pickles are read (transformers' own rule).
    """
    options = {"output_loading_info": True, "dtype": "float32"}
    if isinstance(source, str) and not cached_weights(source):
        logger.info("downloading %s from the Hugging Face hub", source)
        return auto.from_pretrained(source, **options)
    return auto.from_pretrained(str(source), local_files_only=True, **options)


def read_settings(source: Path | str, file: str) -> dict[str, Any]:
    """A JSON file beside the model's weights; empty where the model has none."""
    if isinstance(source, Path):
        path = source / file
    else:
        cached = required("transformers.utils", source).cached_file(
            source, file, _raise_exceptions_for_missing_entries=False
        )
        path = Path(cached or "")
    return json.loads(path.read_text()) if path.is_file() else {}


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else repr(error)


def _check(report: dict[str, Any], name: str, what: str) -> None:
    from rcvd.weights import named

    problems = [
        f"{word} {named(sorted(str(key) for key in report[field]))}"
        for word, field in (("missing", "missing_keys"), ("wrong shape of", "mismatched_keys"))
        if report.get(field)
    ]
    if problems:
        raise UserError(f"{what}: {name}: not a checkpoint of this network: {'; '.join(problems)}")

"""Packages that only some backends need."""

from importlib import import_module, metadata
from types import ModuleType

from rcvd.errors import UserError

OPENCV = (
    "opencv-python",
    "opencv-python-headless",
    "opencv-contrib-python",
    "opencv-contrib-python-headless",
)


def opencv_packages() -> list[str]:
    """Packages of OpenCV that are installed; more than one overwrite each other's files."""
    found = []
    for name in OPENCV:
        try:
            metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        found.append(name)
    return found


def required(module: str, what: str, install: str = "pip install 'rcvd[models]'") -> ModuleType:
    """The module, imported; `what` needs it.

    Raises:
        UserError: it is not installed, or does not fit the torch beside it.
    """
    try:
        return import_module(module)
    except (ImportError, OSError, RuntimeError) as error:
        package = module.partition(".")[0]
        reason = [*str(error).strip().splitlines(), repr(error)][0]
        raise UserError(
            f"{what} needs {package}, which cannot be imported ({reason}); "
            f"install it with: {install}"
        ) from error

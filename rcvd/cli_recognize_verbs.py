"""All verbs of `rcvd recognize`: each module adds its own to the one app."""

from rcvd import (
    cli_recognize_action,
    cli_recognize_data,
    cli_recognize_generate,
    cli_recognize_geometry,
    cli_recognize_judge,
    cli_recognize_motion,
    cli_recognize_track,
    cli_recognize_visualise,
)
from rcvd.cli_recognize import app

MODULES = (
    cli_recognize_action,
    cli_recognize_data,
    cli_recognize_generate,
    cli_recognize_geometry,
    cli_recognize_judge,
    cli_recognize_motion,
    cli_recognize_track,
    cli_recognize_visualise,
)

__all__ = ["MODULES", "app"]

"""The one exception a user is meant to read."""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """Something the user has to mend; its text is one line that names what is wrong and how.

    The command line prints the text and exits with code 2; nothing else is caught there.
    """


def unknown(kind: str, name: str, known: Iterable[str]) -> UserError:
    """The error for a name that is in no table, with the nearest one that is."""
    names = list(known)
    near = get_close_matches(name, names, n=1)
    advice = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(names)}"
    return UserError(f"{name or repr(name)}: no such {kind}; {advice}")

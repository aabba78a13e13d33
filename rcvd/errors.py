"""The one exception a user is meant to read."""


class UserError(Exception):
    """Something the user has to mend; its text is one line that names what is wrong and how.

    The command line prints the text and exits with code 2; nothing else is caught there.
    """

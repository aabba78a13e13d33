"""The documentation keeps up with the program: messages, formats, settings it names."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
RAISED = ("UserError", "unknown")


def wording(node: ast.expr) -> str:
    """The text of an expression with NUL for what is filled in."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(wording(part) for part in node.values)
    if isinstance(node, ast.BinOp):
        return wording(node.left) + wording(node.right)
    return "\0"


def messages() -> Iterator[tuple[str, str]]:
    """Where each UserError is raised, and its text."""
    for path in sorted((ROOT / "rcvd").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "UserError":
                text = wording(node.args[0])
                if any(map(str.isalpha, text)):  # else it is somebody else's text, passed on
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", text


def patterns() -> list[re.Pattern[str]]:
    """The messages on the page; `...` matches anything."""
    cells = [
        line.split(" | ")[0].removeprefix("| ")
        for line in (DOCS / "failures.md").read_text().splitlines()
        if line.startswith("| ")
    ]
    texts = [text for cell in cells for text in re.findall(r"`((?:[^`]|`\w[^`]*`(?=`))+)`", cell)]
    return [re.compile(".*".join(map(re.escape, text.split("..."))), re.DOTALL) for text in texts]


def test_every_message_is_on_the_page_of_failures() -> None:
    known = patterns()
    assert len(known) > 100
    missing = [f"{at}: {text}" for at, text in messages() if not any(p.search(text) for p in known)]
    readable = "\n".join(missing).replace("\0", "...")
    assert not missing, f"add a row to docs/failures.md for:\n{readable}"


def test_no_row_is_about_a_message_that_is_gone() -> None:
    texts = [text for _, text in messages()]
    idle = [p.pattern for p in patterns() if not any(p.search(text) for text in texts)]
    assert not idle, f"no message matches these rows of docs/failures.md: {idle}"


@pytest.mark.parametrize("page", ["tutorial.md", "conventions.md", "failures.md"])
def test_links_between_pages_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)#:]+?)(?:#[^)]*)?\)", (DOCS / page).read_text()):
        assert (DOCS / target).exists(), target


def test_the_conventions_page_has_every_export_format() -> None:
    from rcvd.export_formats import FORMATS

    page = (DOCS / "conventions.md").read_text()
    missing = [name for name in FORMATS if f"`{name}`" not in page]
    assert not missing


def test_settings_and_verbs_that_the_pages_name_exist() -> None:
    from rcvd import cli
    from rcvd.pipeline import make_settings
    from rcvd.settings import parse_overrides

    text = "".join(page.read_text() for page in DOCS.glob("*.md"))
    named = re.findall(r"--set ([a-z_.]+=\w[\w.]*)", text)
    assert named
    for setting in set(named):
        if not setting.startswith("classes"):
            make_settings(Path("clip.mp4"), None, parse_overrides([setting]))
    verbs = {command.name or command.callback.__name__ for command in cli.app.registered_commands}  # pyright: ignore[reportOptionalMemberAccess]
    verbs |= {str(group.name) for group in cli.app.registered_groups}
    assert set(re.findall(r"(?:^    |`)rcvd ([a-z]+)", text, re.MULTILINE)) <= verbs


def commands() -> Iterator[tuple[str, list[str]]]:
    """The rcvd commands that README and the pages show, whole and in words."""
    for page in (ROOT / "README.md", *DOCS.glob("*.md")):
        text = page.read_text()
        shown = re.findall(r"^    (rcvd [^#\n]+)", text, re.MULTILINE)
        for line in shown + re.findall(r"`(rcvd [^`\n]+)`", text):
            yield line, re.split(r"\s+", line.strip())[1:]


def test_flags_that_the_pages_name_exist() -> None:
    from typer.main import get_command

    from rcvd import cli

    wrong, seen = [], 0
    for line, words in commands():
        command: Any = get_command(cli.app)
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]
        known = {flag for p in command.params for flag in (*p.opts, *p.secondary_opts)}
        flags = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        seen += len(flags)
        wrong += [f"{line}: {flag}" for flag in flags - known - {"--help"}]
    assert seen > 30
    assert not wrong


def test_readmes_architecture_names_every_module_package_and_tool() -> None:
    section = (ROOT / "README.md").read_text().partition("## Architecture")[2].partition("\n## ")[0]
    named = set(re.findall(r"`([^`]+)`", section))
    top = [path for path in (ROOT / "rcvd").iterdir() if not path.name.startswith("_")]
    modules = {path.name for path in top if path.suffix == ".py"}
    packages = {f"{path.name}/" for path in top if (path / "__init__.py").exists()}
    wildcards = {name for name in modules if name.startswith("cli") and "cli*.py" in named}
    assert modules | packages <= named | wildcards
    assert {name for name in named if re.fullmatch(r"[a-z_]+\.py", name)} <= modules
    assert {name for name in named if re.fullmatch(r"[a-z_]+/", name)} <= packages
    files = {path.name for path in (ROOT / "tools").iterdir()}
    benches = {f"tools/bench {name[6:-3]}" for name in files if name.startswith("bench_")}
    parts = {name for name in files if name.startswith(("bench", "solver_", "_"))}  # of a bench
    assert benches | {f"tools/{name}" for name in files - parts} <= named

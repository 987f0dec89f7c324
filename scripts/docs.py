"""Documentation that is made from the code: method table and pages, reference of every option. There is no list to keep by hand.

As a hook of mkdocs (see mkdocs.yml) it adds the pages to the site. As a script, `python scripts/docs.py write` writes docs/claims.md.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]

PARTS = {
    "views": "How related observations of an item are made.",
    "encoders": "Networks, heads, teachers, queues.",
    "pairs": "Who is positive to whom.",
    "losses": "Functions of similarities and pairs.",
    "terms": "What is not a contrast.",
    "data": "How items are drawn.",
    "core.values": "Numbers that move over a run.",
}


def cell(text: object) -> str:
    return str(text).replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def table(heads: list[str], rows: list[list[object]]) -> str:
    lines = ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    return "\n".join(lines + ["| " + " | ".join(map(cell, row)) + " |" for row in rows])


def code(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


# ---- methods ---------------------------------------------------------------------------------------------------------------


def method_table(link: str | None = None) -> str:
    """The methods with what each changes, computed from its recipe. link: a pattern for the address of its page."""
    from counterpoint.core import registry

    rows: list[list[object]] = []
    for found in registry.methods():
        name = f"[`{found.slug}`]({link.format(found.slug)})" if link else f"`{found.slug}`"
        start = f"`{found.baseline}` with another {code(found.changes())}" if found.baseline else ""
        paper = "" if found.paper is None else f"{found.paper:03d}"
        rows.append([name, paper, found.title.rstrip("."), start, ", ".join(found.needs() or found.kinds)])
    return table(["method", "paper", "what it is", "starts from", "data"], rows)


def kind_table(link: str | None = None) -> str:
    """Which method runs on which kind of data, as its registration says and its recipe shows that it builds. link: as in `method_table`."""
    from counterpoint import checks
    from counterpoint.core import registry
    from counterpoint.core.errors import CounterpointError

    def runs(found: registry.Method, kind: str) -> bool:
        if not found.runs_on(kind):
            return False
        try:
            found(registry.example_spec(kind, {"label": (10, 1.0)}))
        except CounterpointError:
            return False
        return True

    kinds = [*checks.KINDS, "paired"]
    rows: list[list[object]] = []
    for found in registry.methods():
        name = f"[`{found.slug}`]({link.format(found.slug)})" if link else f"`{found.slug}`"
        rows.append([name, *("•" if runs(found, kind) else "" for kind in kinds)])
    return table(["method", *kinds], rows)


def method_page(found: Any) -> str:
    from counterpoint.core import options

    title, _, body = found.doc.partition("\n")
    module = found.build.__module__.replace(".", "/")
    lines = [f"# {found.slug}", "", title, "", "```text", body.strip(), "```", ""]
    facts = {
        "Runs on": ", ".join(found.kinds) + " data",
        "Needs": ", ".join(found.needs()) or "nothing but the data",
        "Starts from": f"[`{found.baseline}`]({found.baseline}.md)" if found.baseline else "itself",
        "Changes": (code(found.changes()) or "nothing") + " (computed from the two recipes)" if found.baseline else "nothing",
        "File": f"`{module}.py`",
    }
    label = " --label NAME" if any("label" in need for need in found.needs()) else ""
    lines += [f"- **{name}:** {fact}" for name, fact in facts.items()]
    lines += ["", "```sh", f"counterpoint fit DATA --method {found.slug}{label}", "```", ""]
    rows = options.describe(found.build)
    if rows:
        lines += ["## Options", "", option_table(rows), ""]
    if found.claim:
        claim = found.claim
        put = f"Put small: `{claim.metric}` on `{claim.data}`: `counterpoint claim {found.slug}`"
        there = ROOT / "claims" / "results" / f"{found.slug}.json"
        put += f"; [what it gave](../claims.md#{found.slug.replace('_', '-')})" if there.exists() else ""
        lines += ["## What the paper claims", "", claim.paper.rstrip(".") + ".", "", put, ""]
    from counterpoint.cli.words import settable

    recipe = "\n".join(f"{path} = {value}" for path, value in settable(found(found.example)))
    lines += [
        "## Recipe",
        "",
        f"On small {found.example.kind} data. Each path can be set with `--set path=value`.",
        "",
        "```text",
        recipe,
        "```",
    ]
    return "\n".join(lines)


# ---- references --------------------------------------------------------------------------------------------------------------


def default(value: object) -> str:
    from counterpoint.core import options

    if value is inspect.Parameter.empty:
        return "must be given"
    return f"`{options.name_of(value)}`" if inspect.isfunction(value) or inspect.isclass(value) else f"`{value!r}`"


def option_table(rows: list[tuple[str, str, Any, str]]) -> str:
    return table(["option", "type", "default", "what it is"], [[f"`{n}`", kind, default(value), text] for n, kind, value, text in rows])


def functions(package: ModuleType, seen: set[int]) -> Iterator[tuple[str, Callable[..., Any]]]:
    """The public functions and classes with options that a package offers, through the modules it offers too."""
    from counterpoint.core import options

    names = getattr(package, "__all__", None) or [n for n in vars(package) if not n.startswith("_")]
    for name in names:
        value = getattr(package, name)
        if inspect.ismodule(value) and value.__name__.startswith("counterpoint.") and id(value) not in seen:
            seen.add(id(value))
            yield from functions(value, seen)
        elif (
            (inspect.isfunction(value) or inspect.isclass(value))
            and value.__module__.startswith(package.__name__)
            and id(value) not in seen
        ):
            seen.add(id(value))
            try:
                has_options = bool(options.parameters(value))
            except ValueError:  # a builtin base without a signature
                has_options = False
            if has_options and (inspect.isfunction(value) or hasattr(value, "forward")):
                yield options.name_of(value), value


def part_page(name: str, sentence: str) -> str:
    from counterpoint.core import options

    package = importlib.import_module(f"counterpoint.{name}")
    lines = [f"# {name}", "", sentence, "", inspect.getdoc(package) or "", ""]
    for full, make in functions(package, set()):
        doc = (inspect.getdoc(make) or "").split("\n\n")
        known = set(options.parameters(make))
        told = [block for block in doc if block.split(":")[0].strip() not in known]
        lines += [f"## {full}", "", told[0].replace("\n", " ") if told else "", ""]
        if told[1:]:
            lines += ["```text", "\n\n".join(told[1:]), "```", ""]
        lines += [option_table(options.describe(make)), ""]
    return "\n".join(lines)


def training_page() -> str:
    import dataclasses
    import typing

    from counterpoint.core import options
    from counterpoint.training.settings import Settings

    hints = typing.get_type_hints(Settings, include_extras=True)
    told = options._sentences(inspect.getdoc(Settings) or "", set(hints))
    rows = [(f.name, options.type_name(hints[f.name]), f.default, told.get(f.name, "")) for f in dataclasses.fields(Settings)]
    return "\n".join(
        [
            "# Options of training",
            "",
            "They belong to `fit`, whatever the method: `--set lr=0.01`, `cp.fit(…, lr=0.01)`.",
            "",
            option_table(rows),
        ]
    )


def command_page() -> str:
    """The help texts of the command, as they are printed."""
    import click
    from typer.main import get_command

    from counterpoint.cli.commands import app

    lines = ["# The command", "", "Exit codes: 0; 2 for a mistake in what was asked; 1 for a fault of ours; 130 after Ctrl-C.", ""]

    def add(command: Any, path: list[str], parent: Any) -> None:
        context = command.make_context(path[-1], [], parent=parent, resilient_parsing=True)
        context.terminal_width = context.max_content_width = 100
        inner = getattr(command, "commands", {})
        if path[1:]:
            text = "\n".join(line.rstrip() for line in click.unstyle(command.get_help(context)).splitlines())
            lines.extend([f"## {' '.join(path)}", "", "```text", text.strip(), "```", ""])
        for name, sub in inner.items():
            add(sub, [*path, name], context)

    add(get_command(app), ["counterpoint"], None)
    return "\n".join(lines)


# ---- the hook ----------------------------------------------------------------------------------------------------------------


def pages() -> dict[str, dict[str, str]]:
    """section of nav → {address: content} of everything that is made."""
    from counterpoint.core import registry

    by_kind = "\n\n## Which method runs on which kind of data\n\nGeneral methods are tested on every kind they are marked for.\n\n"
    first = "# Methods\n\nWhat each changes is computed from its recipe.\n\n" + method_table("{}.md") + by_kind + kind_table("{}.md")
    methods = {"methods/index.md": first}
    methods |= {f"methods/{found.slug}.md": method_page(found) for found in registry.methods()}
    reference = {"reference/command.md": command_page(), "reference/training.md": training_page()}
    reference |= {f"reference/{name.split('.')[-1]}.md": part_page(name, sentence) for name, sentence in PARTS.items()}
    return {"Methods": methods, "Reference": reference}


_made: dict[str, dict[str, str]] = {}


def on_config(config: Any) -> Any:
    _made.clear()
    _made.update(pages())
    decisions = sorted(p.relative_to(ROOT / "docs").as_posix() for p in (ROOT / "docs" / "decisions").glob("*.md"))
    for entry in config["nav"]:
        for section in entry:
            if section in _made:
                entry[section] = list(_made[section])
            elif section == "Decisions":
                entry[section] = decisions
    return config


def on_files(files: Any, config: Any) -> Any:
    from mkdocs.structure.files import File

    for section in _made.values():
        for address, content in section.items():
            files.append(File.generated(config, address, content=content))
    return files


# ---- the script --------------------------------------------------------------------------------------------------------------


def fresh() -> dict[Path, str]:
    """Files that are committed and made: their content as it should be today."""
    import claims_page

    return {ROOT / "docs" / "claims.md": claims_page.page()}


def main(arguments: list[str]) -> int:
    if arguments != ["write"]:
        print("usage: python scripts/docs.py write", file=sys.stderr)
        return 2
    for path, text in fresh().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"{path.relative_to(ROOT)}: written")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

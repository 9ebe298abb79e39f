"""The command line: it parses, calls the verb of `mirror.api`, and prints what came of it."""

from __future__ import annotations

import os
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from types import FrameType

    from mirror.report.model import Report

FAILURE, USAGE, MISSED, INTERRUPTED, TERMINATED = 1, 2, 3, 130, 143

# Without rich, help takes a third of the time, and names in it are never read as markup.
app = typer.Typer(
    name="mirror",
    help="Fill test databases with new rows that look, join and add up like the originals.",
    epilog="Begin with `mirror demo`, or with `mirror init URL` for a database of your own.",
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

ConfigFile = Annotated[Path, typer.Option("-c", "--config", metavar="FILE", help="The configuration.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON, for machines.")]
DEFAULT = Path("mirror.toml")


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"mirror {version('dbmirror')}")  # noqa: T201
        raise typer.Exit


@app.callback()
def _root(
    *,
    debug: Annotated[
        bool, typer.Option("--debug", help="Say where an error comes from; may follow a verb as well.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


@app.command()
def init(
    urls: Annotated[list[str], typer.Argument(metavar="URL...", help="A database to learn from.")],
    config: Annotated[Path, typer.Option("-c", "--config", metavar="FILE", help="The file to write.")] = DEFAULT,
    as_json: Json = False,
) -> None:
    """Write a configuration that works as it is.

    Connects to the databases and proposes targets that need no server. A URL with a password is not written down: the
    file refers to a variable. A reference such as '${CRM_URL}' may be given in its place.

    Example: mirror init postgresql://reader@localhost/crm sqlite:///support.db
    """
    from dataclasses import asdict

    from mirror import api, terminal

    with terminal.progress() as tell:
        done = api.init(urls, folder=config.parent, name=config.name, progress=tell)
    if as_json:
        terminal.print_json({**asdict(done), "path": str(done.path)})
        return
    terminal.print_lines(terminal.init_lines(done, "" if config == DEFAULT else f" -c {config}"))


@app.command()
def check(config: ConfigFile = DEFAULT, as_json: Json = False) -> None:
    """Look whether a run could begin.

    Configuration, connections, rights, links, drift, room in the targets. Writes nothing.

    Example: mirror check -c shop.toml
    """
    from dataclasses import asdict

    from mirror import api, terminal

    result = api.check(config)
    if as_json:
        terminal.print_json({"passed": result.passed, **asdict(result)})
    else:
        terminal.print_lines(terminal.check_lines(result))
    if not result.passed:
        raise typer.Exit(MISSED if result.drift else FAILURE)


@app.command()
def inspect(
    config: ConfigFile = DEFAULT,
    save: Annotated[Path | None, typer.Option("--save", metavar="FILE", help="Write the schema as JSON.")] = None,
    discover: Annotated[
        bool, typer.Option("--discover", help="Show keys, foreign keys and links that nobody declared.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show the schema of the sources, or save it.

    With --discover, what looks like a key, a foreign key or a link without being declared, how sure that is, and why.

    Example: mirror inspect --save schema.json
    """
    import json

    from mirror import api, terminal
    from mirror_connectors.schema import dump_schema

    if discover:
        if save is not None:
            raise typer.BadParameter("--save writes the schema, and --discover shows what is not in it; ask for one")
        with terminal.progress() as tell:
            found = api.discover(config, progress=tell)
        if as_json:
            terminal.print_json(terminal.discoveries_tree(found))
        else:
            terminal.print_tables(terminal.discovery_tables(found), found.findings)
        return
    schema = api.inspect(config)
    if save is not None:
        terminal.write(save, dump_schema(schema) + b"\n")
        terminal.print_lines([f"wrote {save}: {len(schema.relations)} relations"])
    elif as_json:
        terminal.print_json(json.loads(dump_schema(schema)))
    else:
        terminal.print_tables(terminal.schema_tables(schema), schema.findings)


@app.command()
def profile(
    config: ConfigFile = DEFAULT,
    show: Annotated[bool, typer.Option("--show", help="Show the saved profile, and measure nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Measure the sources and save what was learned.

    Example: mirror profile, then mirror profile --show
    """
    from mirror import api, terminal
    from mirror.config import load
    from mirror_profiles.profile import load as load_profile

    path = load(config, needs=()).profile_path
    if show:
        found = load_profile(path)
    else:
        with terminal.progress() as tell:
            found = api.profile(config, progress=tell)
    if as_json:
        terminal.print_json(terminal.profile_tree(found))
    elif show:
        terminal.print_tables(terminal.profile_tables(found), found.findings)
    else:
        rows = sum(relation.rows for relation in found.relations)
        terminal.print_lines([f"wrote {path}: {len(found.relations)} relations, {rows:,} rows; mirror profile --show"])


@app.command()
def privacy(config: ConfigFile = DEFAULT, as_json: Json = False) -> None:
    """Show whom the saved profile protects, and whom not.

    The unit of privacy and how many there are, what is promised, what profiles have spent and what is left, what was
    withheld, and what is not protected. Asks no source.

    Example: mirror privacy
    """
    from dataclasses import asdict

    from mirror import api, terminal

    found = api.privacy(config)
    if as_json:
        terminal.print_json(asdict(found))
    else:
        terminal.print_tables(terminal.card_tables(found))


@app.command()
def plan(config: ConfigFile = DEFAULT, as_json: Json = False) -> None:
    """Show what a run would do, column by column.

    The order of relations, their row counts, the generator of every column and what decided on it.

    Example: mirror plan --json
    """
    from mirror import api, terminal

    with terminal.progress() as tell:
        found = api.plan(config, progress=tell)
    if as_json:
        terminal.print_json(terminal.plan_tree(found))
    else:
        terminal.print_tables(terminal.plan_tables(found), found.findings)


@app.command()
def run(
    config: ConfigFile = DEFAULT,
    no_source: Annotated[
        bool, typer.Option("--no-source", help="Use the saved profile, and connect to no source.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Fill the targets with new rows, and compare.

    Profiles the sources first when there is no profile yet. Ends with exit code 3 when the sources have drifted from
    the profile, or when a promise or a threshold is missed.

    Example: mirror run -c shop.toml
    """
    from mirror import api, terminal

    with terminal.progress() as tell:
        report = api.run(config, no_source=no_source, progress=tell)
    _end_with(report, as_json=as_json)


@app.command()
def compare(
    config: ConfigFile = DEFAULT,
    privacy: Annotated[
        bool, typer.Option("--privacy", help="Attack the mirror's privacy as well; reads the sources.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Score the targets against the profile.

    With --privacy, look for rows of the sources in the targets, and mirror half of the sources in memory to see whether
    one can tell which half it was. Costs about what a run costs. What is found is evidence, not proof; it is written
    nowhere but into this report, which tells of the sources and should stay where they are. Ends with exit code 3 when
    an attack reaches more than chance does.

    Example: mirror compare --json
    """
    from mirror import api, terminal

    with terminal.progress() as tell:
        report = api.compare(config, privacy=privacy, progress=tell)
    _end_with(report, as_json=as_json)


@app.command()
def watch(config: ConfigFile = DEFAULT) -> None:
    """Run on the schedule, in the foreground.

    Ends with SIGTERM or Ctrl-C; the run that is under way is undone then.

    Example: mirror watch -c shop.toml
    """
    from mirror import api, terminal

    terminal.log_to_stderr()
    api.watch(config)


@app.command()
def runs(config: ConfigFile = DEFAULT, as_json: Json = False) -> None:
    """Show the last runs and how they ended.

    Example: mirror runs
    """
    from dataclasses import asdict

    from mirror import api, terminal

    found = api.runs(config)
    if as_json:
        terminal.print_json([asdict(record) for record in found])
    elif found:
        terminal.print_tables(terminal.run_tables(found))
    else:
        terminal.print_lines(["no run yet"])


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the databases are made.")] = Path(
        "mirror-demo"
    ),
    as_json: Json = False,
) -> None:
    """Mirror three databases made on the spot.

    They are linked, they are those of a small company, and need no server.

    Example: mirror demo
    """
    from mirror import api, terminal

    with terminal.progress() as tell:
        report = api.demo(folder, progress=tell)
    if not as_json:
        terminal.print_lines(terminal.demo_lines(folder))
    _end_with(report, as_json=as_json)


def _end_with(report: Report, *, as_json: bool) -> None:
    from mirror import terminal

    terminal.print_report(report, as_json=as_json)
    if not report.passed:
        raise typer.Exit(MISSED)


# --- Errors -----------------------------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code: 0 fine, 1 failure, 2 usage, 3 drift or a missed threshold."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    # Must be known before anything is parsed, and may stand anywhere.
    debug = "--debug" in given
    # What is under way is undone then, as it is by Ctrl-C.
    before = signal.signal(signal.SIGTERM, _terminate)
    _leave_no_core()
    try:
        code = app(args=[word for word in given if word != "--debug"] or ["--help"], standalone_mode=False)
        sys.stdout.flush()
        if not given:
            return USAGE
        return code if isinstance(code, int) else 0
    except BrokenPipeError:
        # The reader has seen enough. What is left in the buffer must not fail again when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    except KeyboardInterrupt:
        _say("interrupted")
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001  # the last door: nothing leaves by it but our own words
        return _explain(error, debug=debug)
    finally:
        signal.signal(signal.SIGTERM, before)


def _leave_no_core() -> None:
    """Let a crash write no image of memory, in which rows of a source may be."""
    try:
        import resource
    except ImportError:  # not on this system
        return
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))


def _terminate(_: int, __: FrameType | None) -> None:
    raise SystemExit(TERMINATED)


def _explain(error: Exception, *, debug: bool) -> int:
    from mirror_connectors.errors import ConfigError, MirrorError

    if debug:
        from mirror.terminal import traceback_lines

        for line in traceback_lines(error):
            _say(line)
    if isinstance(error, MirrorError):
        from mirror.refresh import DriftError

        _say(f"mirror: {error}")
        return USAGE if isinstance(error, ConfigError) else MISSED if isinstance(error, DriftError) else FAILURE
    if isinstance(error, (typer.Abort, EOFError)):
        _say("interrupted")
        return INTERRUPTED
    # What the parser of the command line raises: a message of its own, and an exit code.
    message = getattr(error, "format_message", None)
    if message is not None:
        shown = message()
        _say(f"mirror: {shown[:1].lower()}{shown[1:]}\ntry mirror --help")
        return getattr(error, "exit_code", USAGE)
    _say(f"mirror: unexpected error: {type(error).__name__}; {'see above' if debug else 'run with --debug'}")
    return FAILURE


_PASSWORD = re.compile(r"(\w://[^\s:/@]*:)\S*@")
_SECRET = re.compile(r"([?&][^=&\s]*(?:pass|secret|token|key)[^=&\s]*=)[^&\s]*", re.IGNORECASE)


def _say(text: str) -> None:
    """Print to stderr. No message of ours has a password; those that quote the command line may."""
    text = _SECRET.sub(r"\1***", _PASSWORD.sub(r"\1***@", text))
    print("".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text), file=sys.stderr)  # noqa: T201

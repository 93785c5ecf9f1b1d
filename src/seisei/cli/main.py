"""The program: from words on a command line to a verb, and from what goes wrong to one line and an exit code.

Nothing here loads torch: a verb does, when it runs, and so does the help of one recipe.
"""

from __future__ import annotations

import errno
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from cyclopts import App, Group
from cyclopts.config import Dict
from cyclopts.exceptions import CycloptsError

import seisei
from seisei.cli import check, compare, runs, train, verbs
from seisei.cli.config import Settings, read_config
from seisei.cli.errors import error_json, error_line, only_offered, translate, unknown
from seisei.cli.options import everywhere, execution_options, run_options
from seisei.cli.signature import Command, command, description
from seisei.cli.streams import console, secure, switch_off, write
from seisei.cli.terminal import echo, echo_json, tell
from seisei.data.options import GROUPS as GROUPS_OF_DATA
from seisei.data.options import RARE, data_options, options_in
from seisei.errors import ResourceError, SeiseiError, Stopped, UserError, did_you_mean
from seisei.paths import shortened
from seisei.recipes import DATA, RECIPES, recipe
from seisei.spec import argument_help, parameters
from seisei.verbs import VERBS as MODEL_VERBS

ABOUT = """Train a generative model on your own data, and put it to use.

  seisei check photos/                  inspect data, suggest recipes
  seisei train vae photos/ --latent 64  train: a run with samples, scores, a report
  seisei sample RUN -n 64 --seed 1      a grid of new images
"""
# Verbs by group; those of `seisei.verbs` have no function here.
GROUPS: dict[str, dict[str, Callable[..., None] | None]] = {
    "Train": {"check": check.check, "train": train.train, "resume": train.resume},
    "Use a trained model": {**dict.fromkeys(MODEL_VERBS), "compare": compare.compare},
    "Runs": {"list": runs.list_, "report": runs.report},
}
VERBS = [verb for group in GROUPS.values() for verb in group]
# Help of a recipe with all options; without it these are left out, and options of data that it does not read.
ALL = "--help-all"
RARE_OF_RUNS = frozenset({"keep", "on_disk_full", "auto_remedy", "backend_tuning", "compile", "sharded"})
INTERRUPTED, BROKEN_PIPE, OURS = 130, 141, 1
# A full or broken disk, or a terminal that is gone, under the redirected output.
OUTPUT_LOST = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG}


def main(tokens: Sequence[str] | None = None) -> None:
    """Run a command line.

    Arguments:
        tokens: its words; those of this process by default.

    Raises:
        SystemExit: with the exit code, unless all went well.
    """
    secure()
    words = list(sys.argv[1:] if tokens is None else tokens)
    verb = words[0] if words and words[0] in VERBS else ""
    debug = "--debug" in words
    try:
        with warnings.catch_warnings():
            if not debug:
                # Libraries warn on stderr, which is for what a person can act on.
                warnings.simplefilter("ignore")
            _dispatch(verb, words)
        if sys.stdout is not None:
            sys.stdout.flush()
    except SeiseiError as error:
        _fail(error, verb, error.exit_code, words)
    except BrokenPipeError:
        # The reader of our output has gone; what Python flushes at exit must go nowhere.
        switch_off(sys.stdout)
        raise SystemExit(BROKEN_PIPE) from None
    except KeyboardInterrupt:
        tell(f"seisei {verb}: stopped".replace(" :", ":"))
        raise SystemExit(INTERRUPTED) from None
    except OSError as error:
        if error.errno in OUTPUT_LOST and error.filename is None:
            # Files are written by functions that say which one it was: this is the result itself.
            switch_off(sys.stdout)
            problem = f"cannot be written ({error.strerror})"
            _fail(ResourceError("E-GEN-19", "standard output", problem, "free some space"), verb, 3, words)
        if debug or error.errno not in (errno.ENAMETOOLONG, errno.ELOOP):
            _ours(error, verb, debug)
        where = shortened(str(error.filename or verb or "seisei"))
        _fail(UserError("E-GEN-06", where, f"is no path ({error.strerror})", "check the path"), verb, 2, words)
    except MemoryError as error:
        out = UserError("E-GEN-18", verb or "seisei", "ran out of memory", "use a smaller --batch, --size or -n")
        out.__cause__ = error
        _fail(out, verb, 3, words)
    except Exception as error:
        _ours(error, verb, debug)


def _ours(error: Exception, verb: str, debug: bool) -> NoReturn:
    """A fault of the program itself."""
    if debug:
        raise error
    said = " ".join(f"{type(error).__name__}: {error}".split())
    ours = UserError("E-GEN-99", "bug in seisei", said, "run it again with --debug and report what it prints")
    tell(error_line(ours, verb))
    raise SystemExit(OURS) from None


def _fail(error: SeiseiError, verb: str, code: int, words: Sequence[str]) -> None:
    if "--debug" in words:
        write("".join(traceback.format_exception(error)), end="")
    if "--json" in words:
        echo_json(error_json(error, verb), to=sys.stderr)
    elif isinstance(error, Stopped):
        tell(f"seisei {verb}: {error}")
    else:
        tell(error_line(error, verb))
    raise SystemExit(code) from None


def _dispatch(verb: str, words: list[str]) -> None:
    first = words[0] if words else ""
    if verb == "train":
        app, known = _train_app(words)
    else:
        if first and not verb and first not in ("--help", "-h", "--version"):
            raise unknown(
                "option" if first.startswith("-") else "verb",
                first,
                ["--help", "--version"] if first.startswith("-") else VERBS,
            )
        app, commands = build()
        known = commands.get(verb, Command("", {}))
    try:
        asked = ["--help" if word == ALL else word for word in words]
        function, bound, _ = app.parse_args(asked or ["--help"], exit_on_error=False, print_error=False)
    except CycloptsError as error:
        raise translate(error, known) from error
    try:
        function(*bound.args, **bound.kwargs)
    except UserError as error:
        only_offered(error, known)
        raise


def build() -> tuple[App, dict[str, Command]]:
    """The program, and each of its commands by name."""
    app = App(name="seisei", console=console(), help=ABOUT, help_format="plaintext", version=seisei.__version__)
    app["--help"].group = app["--version"].group = Group("Everywhere", sort_key=9)
    commands = {}
    parts: list[tuple[str, Callable[..., Any]]]
    for number, (title, group_verbs) in enumerate(GROUPS.items()):
        group = Group(title, sort_key=number + 1)
        for place, (name, function) in enumerate(group_verbs.items()):
            if function is None:
                options, text = verbs.declared(name)
                parts = [("Options", options), ("Everywhere", everywhere)]
                commands[name] = command(
                    app, name, partial(verbs.run_verb, name), parts, text=text, group=group, place=place
                )
                continue
            run: Callable[[dict[str, Any]], None] = partial(_call, function)
            text = description(function)
            parts = [("Options", without(function, "json")), ("Everywhere", everywhere)]
            if name == "train":
                run, text = _list_recipes, f"{description(_recipe_argument)}\n\n{_recipe_list()}"
                parts = [("Options", _recipe_argument), *_TRAIN_PARTS]
            elif name == "check":
                parts = [
                    ("Options", _only(function, {"path", "seed"})),
                    ("Data", data_options),
                    ("Everywhere", everywhere),
                ]
            commands[name] = command(app, name, run, parts, text=text, group=group, place=place)
    return app, commands


_TRAIN_PARTS: list[tuple[str, Callable[..., Any]]] = [
    ("Data", data_options), ("Run", run_options), ("Execution", execution_options), ("Everywhere", everywhere),
]  # fmt: skip


def _recipe_argument(recipe: str | None = None, data: str | None = None, *, list: bool = False) -> None:
    """Train a model.

    As in: seisei train vae photos/ --latent 64
    The hyperparameters of a recipe are listed by: seisei train vae --help

    Arguments:
        recipe: A recipe of the list above.
        data: A folder of images, a table (.csv, .tsv, .parquet), a .txt file, a .npz, .npy or idx file, digits, or
            hub:owner/name.
        list: List the recipes.
    """


def _recipe_list() -> str:
    width = max(map(len, RECIPES))
    return "\n".join(["Recipes:", *(f"  {name.ljust(width)}  {summary}" for name, (_, summary) in RECIPES.items())])


def _list_recipes(values: dict[str, Any]) -> None:
    if not values.get("list"):
        names = ", ".join(sorted(RECIPES))
        raise UserError("E-TRN-01", "RECIPE", "is missing", f"choose from: {names}; as in: seisei train vae digits")
    if values.get("json"):
        echo_json({name: summary for name, (_, summary) in RECIPES.items()})
    else:
        echo(*_recipe_list().splitlines()[1:])


def _train_app(words: list[str]) -> tuple[App, Command]:
    """The program with one recipe for its verb `train`; only that recipe's module is loaded."""
    name = next((word for word in words[1:2] if not word.startswith("-")), None)
    if name is None:
        if len(words) > 1 and not {"--help", "-h", "--list"} & set(words):
            given = next((word for word in words[2:] if word in RECIPES), "RECIPE")
            remedy = f"write: seisei train {given} DATA {words[1]} …"
            raise UserError("E-TRN-01", words[1], "stands where the recipe is wanted", remedy)
        app, commands = build()
        return app, commands["train"]
    if name not in RECIPES:
        raise UserError(
            "E-TRN-01", name, "no such recipe", did_you_mean(name, RECIPES), found=name, wanted=sorted(RECIPES)
        )
    app, inner = App(name="seisei", console=console()), App(name="train")
    app.command(inner)
    function = recipe(name)
    settings = Settings()

    def carry_out(values: dict[str, Any]) -> None:
        train.train(name, values, settings.overrides, words)

    parts: list[tuple[str, Callable[..., Any]]] = [
        ("", train.data_argument),
        (f"Hyperparameters of {name}", without(function, "condition")),
        *_TRAIN_PARTS,
    ]
    hidden, text = set[str](), description(function)
    if ALL not in words:
        read = {*options_in(DATA[name])} - RARE
        hidden = ({*options_in(GROUPS_OF_DATA)} - read) | RARE_OF_RUNS
        text += f"\n\nLess common options: seisei train {name} {ALL}"
    known = command(inner, name, carry_out, parts, text=text, hidden=hidden)
    file = _config_of(words)
    if file is not None:
        settings = read_config(file, known)
        plain = {key: value for key, value in settings.values.items() if value is not None}
        app.config = (Dict(plain, source=str(file), use_commands_as_keys=False),)
    return app, Command(f"train {name}", known.annotations, known.required, known.app)


def _config_of(words: Sequence[str]) -> Path | None:
    for place, word in enumerate(words):
        if word.startswith("--config="):
            return Path(word.partition("=")[2])
        if word == "--config" and place + 1 < len(words):
            return Path(words[place + 1])
    return None


def _call(function: Callable[..., None], values: dict[str, Any]) -> None:
    known = parameters(function)
    takes_all = any(p.kind is p.VAR_KEYWORD for p in known.values())
    function(**{k: v for k, v in values.items() if k != "debug" and (k in known or takes_all)})


def without(function: Callable[..., Any], *names: str) -> Callable[..., None]:
    """The same signature and help, less some options that are declared elsewhere."""
    return _only(function, {n for n in parameters(function) if n not in names})


def _only(function: Callable[..., Any], names: set[str]) -> Callable[..., None]:
    import inspect

    kept = {n: p for n, p in parameters(function).items() if n in names}
    helps = argument_help(function)

    def declared() -> None: ...

    declared.__signature__ = inspect.Signature(list(kept.values()))  # type: ignore[attr-defined]
    declared.__annotations__ = {n: p.annotation for n, p in kept.items()}
    declared.__doc__ = "Options.\n\nArguments:\n" + "\n".join(f"    {n}: {helps.get(n, '')}" for n in kept)
    return declared

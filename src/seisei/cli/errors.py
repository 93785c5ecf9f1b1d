"""What goes wrong, as one line: where, what, the remedy; and the code that stays the same."""

from __future__ import annotations

import re
from typing import Any

from cyclopts.exceptions import (
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    RepeatArgumentError,
    UnknownOptionError,
    UnusedCliTokensError,
    ValidationError,
)

from seisei.cli.signature import Command, dashed
from seisei.errors import RENAMED, SeiseiError, UserError, did_you_mean, nearest, renamed
from seisei.recipes import RECIPES, recipe
from seisei.spec import checked, parameters

# Faults of images and checkpoints are found by parts that serve every verb; each verb has its own numbers for them.
_READ = {
    "01": "09",
    "02": "14",
    "03": "10",
    "05": "11",
    "06": "12",
    "07": "10",
    "08": "12",
    "09": "13",
    "11": "13",
    "14": "11",
    "21": "12",
}
_STORED = {"01": "02", "03": "04", "04": "04", "11": "07", "12": "03", "13": "07", "19": "04", "25": "04"}
_RESUMED = {"03": "12", "04": "05", "05": "05", "06": "05", "07": "13"}
READERS = {"reconstruct", "impute", "interpolate", "encode", "decode", "translate", "stylize", "predict", "score"}


def code_of(error: UserError, verb: str) -> str:
    """The code of an error, in the numbers of the verb that met it.

    Example:
        >>> code_of(UserError("E-CHK-01", "x", "absent", "check the path"), "encode")
        'E-ENC-09'
    """
    _, family, number = error.code.split("-")
    if verb == "resume" and family == "*" and number in _RESUMED:
        return f"E-RES-{_RESUMED[number]}"
    if family == "TRN" and number in ("02", "06", "07") and verb != "train":
        return f"E-GEN-{number}"
    if family == "SMP" and verb == "interpolate":
        return "E-INT-24" if number in ("13", "14") else f"E-INT-{number}"
    if verb not in ("train", "resume", "check") and family == "RES":
        family, number = "*", _STORED.get(number, "06")
    elif verb in READERS and (family == "CHK" or (family, number) == ("TRN", "13")):
        family, number = "*", _READ.get(number, "14") if family == "CHK" else "14"
    if family == "*" and (verb == "evaluate" or (verb == "sample" and number == "08")):
        number = f"{int(number) + 30}"  # these verbs have entries of their own under that number
    return UserError(f"E-{family}-{number}", "", "", "").code_for(verb)


def error_line(error: BaseException, verb: str) -> str:
    """The one line that a person sees."""
    text = re.sub(r"\s*\n\s*", " · ", str(error).strip()) or type(error).__name__
    return f"seisei {verb}: error: {text}" if verb else f"seisei: error: {text}"


def error_json(error: SeiseiError, verb: str) -> dict[str, Any]:
    """The same for programs."""
    if isinstance(error, UserError):
        said: dict[str, Any] = {**error.to_json(verb), "code": code_of(error, verb)}
        if notes := getattr(error, "__notes__", None):
            said["more"] = list(notes)
    else:
        said = {"code": "E-GEN-75", "problem": str(error)}
    return {"error": {**said, "exit_code": error.exit_code}}


def translate(error: CycloptsError, known: Command) -> UserError:
    """What the parser found, in our words."""
    names = {known.option(name): name for name in known.annotations}
    if isinstance(error, UnknownOptionError):
        word = error.token.keyword or error.token.value
        spelled = sorted(n for n in names if n.startswith("-"))
        return UserError("E-TRN-02", word, "no such option", _nearest_option(word, spelled, known.verb), found=word)
    if isinstance(error, UnusedCliTokensError):
        words = " ".join(error.unused_tokens or [])
        remedy = "remove it, or quote a name that has spaces"
        return UserError("E-GEN-04", words, "one argument too many", remedy, found=words)
    argument = error.argument
    name = str(argument.field_info.names[0]) if argument is not None else ""
    option = known.option(name) if name in known.annotations else name
    if isinstance(error, MissingArgumentError):
        if name in known.required and not error.keyword:
            return UserError("E-GEN-03", option, "is missing", f"give it, as in: {usage(known)}")
        return UserError("E-GEN-03", dashed(name), "needs a value", f"see: seisei {known.verb} --help")
    if isinstance(error, RepeatArgumentError):
        return UserError("E-GEN-05", error.token.keyword or option, "is given twice", "keep one")
    if isinstance(error, (CoercionError, ValidationError)) and name in known.annotations:
        for token in argument.tokens if argument is not None else ():
            try:
                checked(option, token.value, known.annotations[name])
            except UserError as better:
                return better
    return UserError(
        "E-GEN-02", option or known.verb, str(error).splitlines()[0].rstrip("."), f"see: seisei {known.verb} --help"
    )


def only_offered(error: UserError, known: Command) -> None:
    """Leave out of a remedy the alternatives that name an option which this command does not have."""
    offered = {known.option(name) for name in known.annotations} | {dashed(name) for name in known.annotations}
    kept = [part for part in error.remedy.split(" or ") if all(o in offered for o in re.findall(r"--[a-z-]+", part))]
    if kept and " or ".join(kept) != error.remedy and "seisei " not in error.remedy:
        error.remedy = " or ".join(kept)
        error.args = (f"{error.where}: {error.problem}; {error.remedy}",)


def usage(known: Command) -> str:
    """How a command is typed, with what it requires."""
    return " ".join(["seisei", known.verb, *(n.upper() for n in known.required)])


def _nearest_option(word: str, options: list[str], verb: str) -> str:
    if now := renamed(word, options):
        return f"it is called {now}"
    plain = word.lstrip("-").replace("-", "_")
    plain = RENAMED.get(plain, plain)
    if owners := [name for name in RECIPES if plain in parameters(recipe(name))] if verb.startswith("train ") else []:
        return f"it is an option of {', '.join(owners)}; see: seisei {verb} --help"
    # Without dashes, which all options have in common.
    close = nearest(word.lstrip("-"), [option.lstrip("-") for option in options], 0.6)
    known = next((option for option in options if close and option.lstrip("-") == close), None)
    return f"did you mean {known}?" if known else f"see: seisei {verb} --help"


def unknown(kind: str, word: str, known: list[str]) -> UserError:
    """A verb that is none."""
    return UserError("E-GEN-01", word, f"no such {kind}", did_you_mean(word, known), found=word, wanted=known)

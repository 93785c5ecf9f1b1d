"""What goes wrong, said to a person: one line, what was found and what was wanted, the remedy.

Every error that a user can cause is a `UserError` with a stable code such as ``E-CHK-06``. Entries that several verbs
share are written ``E-*-06``; the command line puts the verb's own three letters in place of the star.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

VERB_CODES = {
    "check": "CHK",
    "train": "TRN",
    "resume": "RES",
    "sample": "SMP",
    "reconstruct": "RCN",
    "impute": "IMP",
    "interpolate": "INT",
    "encode": "ENC",
    "decode": "DEC",
    "translate": "TRL",
    "stylize": "TRL",
    "score": "SCO",
    "predict": "PRD",
    "compare": "CMP",
    "evaluate": "EVA",
    "list": "LST",
    "report": "REP",
}


class SeiseiError(Exception):
    """Anything this program raises on purpose; `exit_code` is what a process ends with."""

    exit_code = 1


class UserError(SeiseiError, ValueError):
    """Bad input or usage, found before any work starts.

    Arguments:
        code: a stable code, ``E-<verb>-<entry>`` or ``E-*-<entry>`` for an entry shared by several verbs.
        where: the file, folder or option at fault, as the user typed it.
        problem: what is wrong, with what was found and what was wanted.
        remedy: an imperative: what to do about it.
        found: the value found, for ``--json``.
        wanted: the value wanted, for ``--json``.

    Example:
        >>> str(UserError("E-CHK-07", "x.png", "0 bytes", "re-copy or remove it"))
        'x.png: 0 bytes; re-copy or remove it'
    """

    exit_code = 2

    def __init__(
        self,
        code: str,
        where: object,
        problem: str,
        remedy: str,
        *,
        found: object = None,
        wanted: object = None,
    ) -> None:
        self.code, self.where, self.problem = code, printable(str(where)), printable(problem)
        self.remedy = printable(remedy)  # it may name columns and classes, which are other people's
        self.found, self.wanted = found, wanted
        super().__init__(f"{self.where}: {self.problem}; {self.remedy}")

    def code_for(self, verb: str) -> str:
        """The code with the verb's letters in place of the star."""
        return self.code.replace("*", VERB_CODES.get(verb, "GEN"))

    def to_json(self, verb: str) -> dict[str, object]:
        """What ``--json`` prints under ``error``."""
        return {
            "code": self.code_for(verb),
            "where": self.where,
            "problem": self.problem,
            "found": self.found,
            "wanted": self.wanted,
            "remedy": self.remedy,
        }


class ResourceError(UserError):
    """Disk, memory or file handles ran out (exit code 3)."""

    exit_code = 3


class DivergenceError(UserError):
    """Training diverged and the policy for non-finite values is exhausted (exit code 4)."""

    exit_code = 4


class Stopped(SeiseiError):
    """Training stopped early at a good checkpoint: after SIGINT (130), SIGTERM (143) or for another reason (75)."""

    def __init__(self, message: str, exit_code: int = 75) -> None:
        self.exit_code = exit_code
        super().__init__(message)


class PeerLost(SeiseiError):
    """Another process of a distributed run died (exit code 75: the run can be resumed)."""

    exit_code = 75


# Options, and values of options, by other names: those of before, and those of other programs.
RENAMED = {
    "reach": "max_shift",
    "gaps": "mask_prob",
    "sharp": "gan_weight",
    "untold": "cond_dropout",
    "borrowed": "pseudo_count",
    "average": "ema_decay",
    "importance": "importance_samples",
    "samples": "importance_samples",
    "codes": "codebook_size",
    "quantiser": "quantizer",
    "slots": "quantizers",
    "together": "quantizer_mode",
    "dim": "code_dim",
    "factor": "downsample",
    "halvings": "downsample",
    "regression": "l1_weight",
    "adversarial": "gan_weight",
    "matching": "feature_matching",
    "penalty": "r1_gamma",
    "twin": "l1_baseline",
    "critic": "discriminator",
    "mirror": "flip",
    "priors": "per_level_priors",
    "pixels": "pixels_per_token",
    "maps": "feature_levels",
    "kernels": "max_points",
    "balance": "class_balance",
    "strength": "l2",
    "normalise": "spectral_norm",
    "window": "block_size",
    "frames": "first_frame",
    "unlabelled": "unlabeled",
    "tuned": "backend_tuning",
    "resize": "fit",
    "conditions": "condition",
    "most": "limit",
    "thorough": "cas",
    "reject": "min_confidence",
    "rounds": "iterations",
    "averaged": "ema",
    "learned": "gradient",
    "mapped": "simvq",
    "finite_scalar": "fsq",
    "lookup_free": "lfq",
    "grouped": "product",
    "patches": "patchgan",
    "regions": "oasis",
    "found": "auto",
    "beside": "side_by_side",
    # What other programs call them.
    "lr": "learning_rate",
    "epochs": "steps",
    "iters": "steps",
    "num_steps": "steps",
    "max_steps": "steps",
    "batch_size": "batch",
    "bs": "batch",
    "latent_dim": "latent",
    "z_dim": "latent",
    "num_codes": "codebook_size",
    "codebook": "codebook_size",
    "hidden": "width",
    "out": "output",
    "output_dir": "output",
    "num_samples": "n",
    "ema": "ema_decay",
    "image_size": "size",
    "resolution": "size",
}


def renamed(word: str, known: Iterable[str]) -> str | None:
    """What an option or a value is called here, in the form in which the known ones are written, or None.

    Example:
        >>> renamed("--reach", ["--latent", "--max-shift"]), renamed("lookup-free", ["ema", "lfq"])
        ('--max-shift', 'lfq')
    """
    now = RENAMED.get(word.lstrip("-").replace("-", "_"), "")
    dashed = now.replace("_", "-")
    return next((form for form in (now, dashed, f"--{dashed}") if form and form in set(known)), None)


def nearest(word: str, known: Iterable[str], cutoff: float = 0.5) -> str | None:
    """The known word nearest to a mistyped one, or None when none is near.

    Example:
        >>> nearest("laten", ["latent", "width"])
        'latent'
    """
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=cutoff)
    return close[0] if close else None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """An imperative remedy for a mistyped word: the nearest right one, else the whole list.

    Example:
        >>> did_you_mean("vaee", ["vae", "autoencoder"])
        "did you mean 'vae'? choose from: autoencoder, vae"
    """
    names = sorted(known)
    if now := renamed(word, names):
        return f"it is called {now!r}; choose from: {', '.join(names)}"
    close = nearest(word, names)
    return (f"did you mean '{close}'? " if close else "") + f"choose from: {', '.join(names)}"


def half_character(text: str) -> str | None:
    r"""The first half of a surrogate pair that stands alone, as JSON writes it: no file in UTF-8 can hold it.

    Example:
        >>> half_character("a\ud800b"), half_character("ab")
        ('\\ud800', None)
    """
    found = next((c for c in text if "\ud800" <= c <= "\udfff"), None)
    return None if found is None else f"\\u{ord(found):04x}"


def printable(text: str) -> str:
    """The text with control characters and undecodable bytes escaped, so that a file name cannot forge a line of a log.

    Example:
        >>> printable("a\\nb")
        'a\\\\nb'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii") for c in text)

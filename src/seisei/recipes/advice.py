"""Which recipe and dials suit a data set: said by `check`, in the form of commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from seisei.data.dataset import Dataset
from seisei.data.options import option_name
from seisei.data.tables.column_roles import MOST_CLASSES
from seisei.modalities.conditions import Conditions
from seisei.modalities.image import Image
from seisei.modalities.label import Label
from seisei.modalities.label_map import LabelMap
from seisei.modalities.table import Table
from seisei.modalities.text import Text
from seisei.shell import joined

Advice = list[dict[str, str]]
# The words of a command, without the program and the data, and why.
Suggestion = tuple[list[str], str]
Suggestions = Iterator[Suggestion]
CLASS_NAMES = ("class", "diagnosis", "label", "outcome", "species", "target", "y")


# Images that are too few to learn to generate from.
HANDFUL = 20
# Bytes of a piece of running text, and how few of them are no advice.
WINDOW, FEWEST_PIECES = 256, 4
# Options of data that only some recipes heed, and which; the target is named by each command itself.
HEEDED = {
    "conditions": ("cgan", "prior", "vqvae+prior"),
    "categorical": ("cgan", "prior", "vqvae+prior"),
    "unlabeled": ("check", "generative"),
    "style": ("stylize",),
    "pairs": ("pix2pix",),
}


def advice(data: Dataset, said: Mapping[str, Any] | None = None, *, in_memory: bool = False) -> Advice:
    """Commands to start with, each with its reason.

    Arguments:
        data: what was looked at.
        said: options of reading that are not what they are by default; the commands repeat them.
        in_memory: whether the data have no path: the advice is then calls of the library.

    Returns:
        Dictionaries with ``command`` and ``why``.
    """
    styled = "styles" in data.report
    paired = getattr(data.schema.y, "noun", None) == "image"
    adviser = _for_styles if styled else _for_pairs if paired else ADVISERS[type(data.schema.x)]
    where, found = str(data.report["root"]), []
    for words, why in adviser(data):
        verb, recipe, rest = words[0], words[1] if words[0] == "train" else "check", words[1 + (words[0] == "train") :]
        # Rows without a class are of no use to what learns from those that have one.
        if "unlabeled" in (said or {}) and recipe in ("discriminant", "discriminative"):
            continue
        options = [*rest, *_repeated(recipe, said or {})]
        if in_memory:
            command = _in_python(verb, recipe, options)
        else:
            command = joined(["seisei", verb, *([recipe] if verb == "train" else []), where, *options])
        found.append({"command": command, "why": why})
    return found


def _in_python(verb: str, recipe: str, options: list[str]) -> str:
    """A command as a call of the library, for data that are in memory.

    Example:
        >>> _in_python("train", "vae", ["--latent", "16", "--condition", "label", "--label-map"])
        "seisei.train('vae', data, latent=16, condition='label', label_map=True)"
    """
    arguments = [repr(recipe), "data"] if verb == "train" else ["data"]
    for place, word in enumerate(options):
        if word.startswith("--"):
            value = options[place + 1] if options[place + 1 :] and not options[place + 1].startswith("--") else "True"
            plain = value == "True" or value.replace(".", "", 1).lstrip("-").isdigit()
            arguments.append(f"{word[2:].replace('-', '_')}={value if plain else repr(value)}")
    return f"seisei.{verb}({', '.join(arguments)})"


def _repeated(recipe: str, said: Mapping[str, Any]) -> list[str]:
    """The options as they are typed, less those that this recipe would refuse."""
    words: list[str] = []
    for name, value in said.items():
        of_table = name == "categorical" and "conditions" not in said
        if name == "target" or (name in HEEDED and recipe not in HEEDED[name] and not of_table):
            continue
        for each in value if isinstance(value, list) else [value]:
            words += [option_name(name)] + ([] if each is True else [str(each)])
    return words


def _batch(count: int, usual: int) -> list[str]:
    """The batch where there are fewer examples than the usual one has."""
    fit = min(usual, 1 << max(0, count.bit_length() - 1))
    return [] if fit == usual else ["--batch", str(fit)]


def _for_images(data: Dataset) -> Suggestions:
    image = data.schema.x
    assert isinstance(image, Image)
    count = len(data.splits["train"])
    latent = 16 if image.values <= 256 else 32 if image.values <= 1024 else 64 if image.values <= 12_288 else 128
    steps = 3000 if count < 5_000 else 10_000 if count < 50_000 else 20_000
    size = f"{image.width}×{image.height}"
    dials = ["--latent", str(latent), "--steps", str(steps), *_batch(count, 64)]
    why = f"{count} training images of {size}: {latent} numbers an image, new images and a likelihood"
    few = count < 500
    if few:
        warning = f"{count} images are few to generate new ones; an autoencoder compresses them, and less can go wrong"
        # Of a handful nothing new can be learned: what is safe comes first.
        if count < HANDFUL:
            yield ["train", "autoencoder", *dials], warning
    yield ["train", "vae", *dials], why
    if isinstance(data.schema.y, Label):
        why = f"{data.schema.y.classes} kinds were found: choose the kind when sampling"
        yield ["train", "vae", *dials, "--condition", "label"], why
        why = f"tells the {data.schema.y.classes} kinds apart, draws each, and says how likely an image is"
        yield ["train", "generative"], why
    if not isinstance(data.schema.y, Text):
        yield _game(data, image, count)
    yield _codes(data, steps, count)
    if few and count >= HANDFUL:
        yield ["train", "autoencoder", *dials], warning


def _for_pairs(data: Dataset) -> Suggestions:
    """For pairs of images."""
    image, end = data.schema.x, data.schema.y
    assert isinstance(image, Image)
    count, side = len(data.splits["train"]), max(image.height, image.width)
    batch = min(8 if side <= 128 else 4, 1 << max(0, count.bit_length() - 1))
    dials = ["--steps", str(5_000 if count < 1_000 else 20_000), "--batch", str(batch)]
    why = f"{count:,} training pairs of {image.width}×{image.height}: makes of one side the other"
    few = f"; {count} are few: what it has not seen it will not know" if count < 100 else ""
    yield ["train", "pix2pix", *dials], why + few
    if isinstance(end, LabelMap):
        why = f"the discriminator says of each pixel which of the {len(end.colors)} classes it shows"
        yield ["train", "pix2pix", *dials, "--discriminator", "oasis"], why


def _for_styles(data: Dataset) -> Suggestions:
    """For contents and styles."""
    count, kept = len(data.splits["train"]), data.report["styles"]["kept"]
    why = f"{count:,} training images beside {kept:,} styles: any image in the style of any other, in one pass"
    yield ["train", "stylize", *_batch(count, 8)], why


def _game(data: Dataset, image: Image, count: int) -> Suggestion:
    """A game's dials for so many images of this size."""
    end, chosen = data.schema.y, ""
    if isinstance(end, Label):
        chosen = f", of the kind that you choose among {end.classes}"
    elif isinstance(end, Conditions):
        chosen = f", for the {', '.join(end.table.names)} that you choose"
    steps = 5_000 if count < 2_000 else 10_000 if count < 20_000 else 20_000
    batch = min(32 if max(image.height, image.width) > 64 else 64, 1 << max(0, count.bit_length() - 1))
    dials = ["--steps", str(steps), *(["--batch", str(batch)] if batch < 64 else [])]
    if image.values > 12_288:
        # Slopes cost as much as all else together.
        dials += ["--set", "objective.share=0.25"]
    why = f"sharper new images than a vae's, without a likelihood{chosen}"
    if count < 2_000:
        why += f"; {count} are few, so that they are changed before the discriminator sees them"
    return ["train", "cgan" if chosen else "gan", *dials], why


def _codes(data: Dataset, steps: int, count: int) -> Suggestion:
    """Codes, and a Transformer over them."""
    end, told, chosen = data.schema.y, [], ""
    if end is not None:
        # Columns that are named are repeated with the other options.
        told = ["--condition", "label"] if isinstance(end, Label) else []
        kind = "text" if isinstance(end, Text) else "kind" if isinstance(end, Label) else "values"
        chosen = f", of the {kind} that you choose"
    why = f"an image as a few whole numbers, new images from them{chosen}, holes filled, a likelihood"
    dials = ["--codec-steps", str(steps), "--steps", str(steps), *_batch(count, 64)]
    return ["train", "vqvae+prior", *dials, *told], why


def _for_rows(data: Dataset) -> Suggestions:
    table, label, count = data.schema.x, data.schema.y, len(data.splits["train"])
    assert isinstance(table, Table)
    if isinstance(label, Label):
        rows = f"{count:,} training rows of {len(table.columns)} columns, {label.classes} classes"
        why = f"{rows}: labels with their probabilities, empty cells allowed, likelihoods, new rows"
        yield ["train", "generative", "--target", label.column], why
        why = "where only the class is wanted, and there are many rows"
        yield ["train", "discriminative", "--target", label.column, *_batch(count, 64)], why
    elif isinstance(label, Conditions):
        why = f"new rows for the {', '.join(label.table.names)} that you choose"
        yield ["train", "cgan", *_batch(count, 64)], why
    else:
        rows = f"{count:,} training rows of {len(table.columns)} columns"
        why = f"{rows}: how likely each row is, outliers first; new rows; no labels needed"
        yield ["train", "density"], why
    if isinstance(label, (Label, Conditions)):
        return
    if found := _candidates(data):
        listed = ", ".join(f"{name} ({different})" for name, different in found[:6])
        why = f"to tell classes, name the column that has them; it may be: {listed}"
        yield ["check", "--target", found[0][0]], why
    else:
        why = f"no column has at most {MOST_CLASSES} different values: name the one that tells the class"
        yield ["check", "--target", "COLUMN"], why


def _for_texts(data: Dataset) -> Suggestions:
    text, count = data.schema.x, len(data.splits["train"])
    assert isinstance(text, Text)
    steps = ["--steps", str(3000 if count < 5_000 else 10_000)]
    kind = "pieces of running text" if text.running else "lines"
    why = f"{count:,} training {kind} of at most {text.length:,} bytes: new texts, and how likely a text is"
    yield ["train", "prior", *steps, *_batch(count, 64)], why
    # At least so many are for training; there are more that overlap.
    pieces = data.report["text_bytes"] // WINDOW * count // len(data)
    if not text.running and pieces >= FEWEST_PIECES:
        why = "where lines go on in the next: learn from pieces of the text as it runs"
        yield ["train", "prior", *steps, *_batch(pieces, 64), "--block-size", str(WINDOW)], why


def _candidates(data: Dataset) -> list[tuple[str, int]]:
    """Columns that may tell a class and how many each has, the likeliest first."""
    assert isinstance(data.schema.x, Table)
    columns = {column.name: column for column in data.schema.x.columns}
    facts = [fact for fact in data.report["columns"] if fact["used"] == "x"]
    last = facts[-1]["name"]
    ranked = []
    for fact in facts:
        column = columns[fact["name"]]
        if fact["different"] <= MOST_CLASSES and column.kind != "date" and column.decimals == 0:
            plain = column.kind == "number"
            rank = (column.name.lower() not in CLASS_NAMES, column.name != last, plain, fact["different"])
            ranked.append((rank, column.name, fact["different"]))
    return [(name, different) for _, name, different in sorted(ranked)]


ADVISERS: dict[type, Callable[[Dataset], Suggestions]] = {Image: _for_images, Table: _for_rows, Text: _for_texts}

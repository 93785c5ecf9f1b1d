"""Which recipe and dials suit a data set: said by `check`, in the form of commands."""

from __future__ import annotations

from collections.abc import Callable
from shlex import quote

from seisei.data.dataset import Dataset
from seisei.data.roles import MOST_CLASSES
from seisei.modalities.given import Given
from seisei.modalities.image import Image
from seisei.modalities.label import Label
from seisei.modalities.labelmap import LabelMap
from seisei.modalities.table import Table
from seisei.modalities.text import Text

Advice = list[dict[str, str]]
CLASS_NAMES = ("class", "diagnosis", "label", "outcome", "species", "target", "y")


def advice(data: Dataset, options: str = "") -> Advice:
    """Commands to start with, each with its reason.

    Arguments:
        data: what was looked at.
        options: how it was read, as typed; the commands repeat them.

    Returns:
        Dictionaries with ``command`` and ``why``.
    """
    adviser = _for_pairs if getattr(data.schema.y, "noun", None) == "picture" else ADVISERS[type(data.schema.x)]
    found = adviser(data)
    return [{**entry, "command": f"{entry['command']} {options}".rstrip()} for entry in found]


def _for_pictures(data: Dataset) -> Advice:
    image = data.schema.x
    assert isinstance(image, Image)
    where, count = str(data.report["root"]), len(data.splits["train"])
    latent = 16 if image.values <= 256 else 32 if image.values <= 1024 else 64 if image.values <= 12_288 else 128
    steps = 3000 if count < 5_000 else 10_000 if count < 50_000 else 20_000
    batch = min(64, 1 << max(0, count.bit_length() - 1))
    size = f"{image.width}×{image.height}"
    dials = f"--latent {latent} --steps {steps}" + (f" --batch {batch}" if batch < 64 else "")
    found = [
        {
            "command": f"seisei train vae {where} {dials}",
            "why": f"{count} training pictures of {size}: {latent} numbers a picture, new pictures and a likelihood",
        }
    ]
    if isinstance(data.schema.y, Label):
        why = f"{data.schema.y.classes} kinds were found: choose the kind when sampling"
        found.append({"command": f"seisei train vae {where} {dials} --condition label", "why": why})
        why = f"tells the {data.schema.y.classes} kinds apart, draws each, and says how likely a picture is"
        found.append({"command": f"seisei train generative {where}", "why": why})
    if not isinstance(data.schema.y, Text):
        found.append(_game(data, image, where, count))
    found.append(_codes(data, where, steps))
    if count < 500:
        why = f"{count} pictures are few for drawing new ones; an autoencoder compresses them, and less can go wrong"
        found.append({"command": f"seisei train autoencoder {where} {dials}", "why": why})
    return found


def _for_pairs(data: Dataset) -> Advice:
    """For pairs of pictures."""
    image, end, where = data.schema.x, data.schema.y, quote(str(data.report["root"]))
    assert isinstance(image, Image)
    count, side = len(data.splits["train"]), max(image.height, image.width)
    batch = min(8 if side <= 128 else 4, 1 << max(0, count.bit_length() - 1))
    dials = f"--steps {5_000 if count < 1_000 else 20_000} --batch {batch}"
    why = f"{count:,} training pairs of {image.width}×{image.height}: makes of one side the other"
    found = [{"command": f"seisei train pix2pix {where} {dials}", "why": why}]
    if isinstance(end, LabelMap):
        why = f"the critic says of each pixel which of the {len(end.colours)} classes it shows"
        found.append({"command": f"seisei train pix2pix {where} {dials} --critic regions", "why": why})
    if count < 100:
        found[0]["why"] += f"; {count} are few: what it has not seen it will not know"
    return found


def _game(data: Dataset, image: Image, where: str, count: int) -> dict[str, str]:
    """A game's dials for so many pictures of this size."""
    end, chosen = data.schema.y, ""
    if isinstance(end, Label):
        chosen = f", of the kind that you choose among {end.classes}"
    elif isinstance(end, Given):
        chosen = f", for the {', '.join(end.table.names)} that you choose"
    steps = 5_000 if count < 2_000 else 10_000 if count < 20_000 else 20_000
    batch = min(32 if max(image.height, image.width) > 64 else 64, 1 << max(0, count.bit_length() - 1))
    dials = f"--steps {steps}" + (f" --batch {batch}" if batch < 64 else "")
    if image.values > 12_288:
        # Slopes cost as much as all else together.
        dials += " --set objective.share=0.25"
    why = f"sharper new pictures than a vae's, without a likelihood{chosen}"
    if count < 2_000:
        why += f"; {count} are few, so that they are changed before the critic sees them"
    return {"command": f"seisei train {'cgan' if chosen else 'gan'} {where} {dials}", "why": why}


def _codes(data: Dataset, where: str, steps: int) -> dict[str, str]:
    """Codes, and a Transformer over them."""
    end, told, chosen = data.schema.y, "", ""
    if end is not None:
        told = " --condition label"
        kind = "text" if isinstance(end, Text) else "kind" if isinstance(end, Label) else "values"
        chosen = f", of the {kind} that you choose"
    why = f"a picture as a few whole numbers, new pictures from them{chosen}, holes filled, a likelihood"
    return {"command": f"seisei train vqvae+prior {where} --codec-steps {steps} --steps {steps}{told}", "why": why}


def _for_rows(data: Dataset) -> Advice:
    table, label, where = data.schema.x, data.schema.y, quote(str(data.report["root"]))
    assert isinstance(table, Table)
    if isinstance(label, Label):
        rest = f"{where} --target {quote(label.column)}"
        rows = f"{len(data.splits['train']):,} training rows of {len(table.columns)} columns, {label.classes} classes"
        why = f"{rows}: labels with their probabilities, empty cells allowed, likelihoods, new rows"
        less = "where only the class is wanted, and there are many rows"
        return [
            {"command": f"seisei train generative {rest}", "why": why},
            {"command": f"seisei train discriminative {rest}", "why": less},
        ]
    if isinstance(label, Given):
        why = f"new rows for the {', '.join(label.table.names)} that you choose"
        return [{"command": f"seisei train cgan {where}", "why": why}]
    found = _candidates(data)
    if not found:
        why = f"no column has at most {MOST_CLASSES} different values: name the one that tells the class"
        return [{"command": f"seisei check {where} --target COLUMN", "why": why}]
    listed = ", ".join(f"{name} ({different})" for name, different in found[:6])
    why = f"to tell classes, name the column that has them; it may be: {listed}"
    return [{"command": f"seisei check {where} --target {quote(found[0][0])}", "why": why}]


def _for_texts(data: Dataset) -> Advice:
    text, where, count = data.schema.x, quote(str(data.report["root"])), len(data.splits["train"])
    assert isinstance(text, Text)
    steps = 3000 if count < 5_000 else 10_000
    batch = min(64, 1 << max(0, count.bit_length() - 1))
    dials = f"--steps {steps}" + (f" --batch {batch}" if batch < 64 else "")
    kind = "pieces of running text" if text.running else "lines"
    why = f"{count:,} training {kind} of at most {text.length:,} bytes: new texts, and how likely a text is"
    found = [{"command": f"seisei train prior {where} {dials}", "why": why}]
    if not text.running:
        why = "where lines go on in the next: learn from pieces of the text as it runs"
        found.append({"command": f"seisei train prior {where} {dials} --window 256", "why": why})
    return found


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


ADVISERS: dict[type, Callable[[Dataset], Advice]] = {Image: _for_pictures, Table: _for_rows, Text: _for_texts}

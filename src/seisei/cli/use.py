"""`sample`, `reconstruct`, `impute`, `interpolate`, `decode`: images out of a trained model.

Without ``-o`` a result goes to the folder ``out`` of the run, under a name that says how it was made. Whether it can be
written is looked at before any work starts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from seisei.cli import codes
from seisei.cli.output import SAMPLE, plain, target
from seisei.cli.results import PNG, file_names, load, origin, out, pngs, say, sheet
from seisei.cli.rows import TABLES, TEXTS, table_bytes, text_bytes
from seisei.cli.terminal import tell
from seisei.errors import UserError

# How a file's name says what was asked of the drawing.
MOST = 32  # images of a grid of reconstructions
SHORT = {"truncation": "w", "top_k": "k", "top_p": "p", "min_p": "m", "guidance": "g"}


def sample(
    run: str,
    *,
    n: int = 64,
    seed: int = 0,
    label: list[str] | None = None,
    temperature: float = 1.0,
    truncation: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    guidance: float | None = None,
    output: Path | None = None,
    separate: bool = False,
    columns: int | None = None,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Draw new images, new rows of a table, or new texts.

    One PNG with a grid of images, or with --separate a file for each; one .csv or .parquet file of rows; one .txt
    file of texts, or a table of them.

    Arguments:
        run: A run's folder, or the beginning of its name under runs/.
        n: How many.
        seed: Of the noise; the same seed gives the same images.
        label: Of what kind, for a model that knows kinds; once, or once for each image or row.
        temperature: Below 1 nearer to the most likely image, above 1 farther.
        truncation: Draw latents within so many standard deviations: fewer for more typical, less varied images.
        top_k: Draw each code from so many of the likeliest.
        top_p: Draw each code from the fewest likeliest that together are at least so likely.
        min_p: Draw each code from those at least this share as likely as the likeliest.
        guidance: Weight of the label where codes are drawn: above 1 for images that are more like their kind.
        output: The file, or with --separate the folder; by default in the folder out of the run.
        separate: A file for each image.
        columns: Images in a row of the grid.
        overwrite: Replace what is there.
        json: Print the path as JSON.
    """
    loaded = load(run, "sample")
    if columns is not None and columns < 1:
        raise UserError(
            "E-GEN-07", "--columns", f"{columns} is out of range, wanted >= 1", "choose a number in the range"
        )
    _in_a_grid(separate, columns=columns)
    names = label[0] if label and len(label) == 1 else label
    kind = f"-{plain(label[0])}" if label and len(label) == 1 else ""
    warmth = f"-t{temperature:g}" if temperature != 1 else ""
    knobs: dict[str, Any] = {"top_k": top_k, "top_p": top_p, "min_p": min_p, "guidance": guidance}
    turned: dict[str, Any] = {"truncation": truncation, **knobs}
    within = "".join(f"-{SHORT[name]}{value:g}" for name, value in turned.items() if value is not None)
    name = f"sample-seed{seed}-n{n}{kind}{warmth}{within}"
    noun = loaded.pipeline.schema.x.noun
    if noun != "image" and (separate or columns is not None):
        option = "--separate" if separate else "--columns"
        raise UserError("E-GEN-07", option, f"is for images, and this model draws {noun}s", "leave it out")
    suffixes = {"row": TABLES, "text": TEXTS}.get(noun, () if separate else PNG)
    first = f"{name}{suffixes[0]}" if suffixes else name
    place = target(output, out(loaded, first), suffixes=suffixes, overwrite=overwrite, codes=SAMPLE)
    drawn = loaded.sample(n, seed=seed, label=names, temperature=temperature, truncation=truncation, **knobs)
    if noun != "image":
        rows = [row if isinstance(row, dict) else {noun: row} for row in drawn]
        suffix = place.path.suffix.lower()
        say(place.write(text_bytes(drawn) if suffix == ".txt" else table_bytes(rows, suffix)), json)
        return
    marks = {**origin(loaded), "seed": str(seed), "temperature": f"{temperature:g}", "label": ", ".join(label or [])}
    marks |= {name: f"{value:g}" for name, value in turned.items() if value is not None}
    if separate:
        files = [f"{i:0{max(4, len(str(n - 1)))}d}.png" for i in range(n)]
        say(place.write_all(pngs(files, drawn, marks)), json)
    else:
        say(place.write(sheet(drawn, columns, marks)), json)


def reconstruct(
    run: str,
    input: str,
    *,
    output: Path | None = None,
    separate: bool = False,
    limit: int = MOST,
    fit: Literal["crop", "pad", "stretch"] | None = None,
    convert: bool = False,
    max_pixels: int = 64_000_000,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Send images through the model and back.

    One PNG with the originals above their reconstructions, or with --separate a file for each.

    Arguments:
        run: A run's folder, or the beginning of its name under runs/.
        input: An image, a folder, or any data that `train` reads.
        output: The file, or with --separate the folder; by default in the folder out of the run.
        separate: A file for each image, under its own name.
        limit: Images shown in the grid.
        fit: How to fit images of another size; by default as in training.
        convert: Turn color into gray where the model knows gray only.
        max_pixels: An image that declares more is refused.
        overwrite: Replace what is there.
        json: Print the path as JSON.
    """
    loaded = load(run, "reconstruct")
    _in_a_grid(separate, limit=None if limit == MOST else limit)
    name = f"reconstruct-{plain(input)}"
    place = target(
        output, out(loaded, name if separate else f"{name}.png"), suffixes=() if separate else PNG, overwrite=overwrite
    )
    data = loaded.read(input, fit=fit, convert=convert, max_pixels=max_pixels, verb="reconstruct")
    if separate:
        files = file_names(data.names)
        say(place.write_all(pngs(files, loaded.pipeline.reconstruct(data), origin(loaded))), json)
        return
    if len(data) > limit:
        import torch

        tell(f"the first {limit} of {len(data):,} images; all of them with --separate")
        data = data.subset(torch.arange(limit))
    image, width = loaded.pipeline.image, min(8, len(data))
    originals = [image.decode(x) for batch in loaded.pipeline.batches(data) for x in batch.x]
    back = loaded.pipeline.reconstruct(data)
    blank = originals[0] * 0 + 255
    rows: list[Any] = []
    for start in range(0, len(data), width):
        for part in (originals, back):
            row = part[start : start + width]
            rows += row + [blank] * (width - len(row))
    say(place.write(sheet(rows, width, origin(loaded))), json)


def interpolate(
    run: str,
    *,
    from_: str | None = None,
    to: list[str] | None = None,
    steps: int = 8,
    path: str = "linear",
    label: list[str] | None = None,
    output: Path | None = None,
    fit: Literal["crop", "pad", "stretch"] | None = None,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Walk from one image to another.

    Through the model's latents: one PNG with a row for each pair of ends.

    Arguments:
        run: A run's folder, or the beginning of its name under runs/.
        from_: Where it starts: a seed, as in `sample`, or an image file.
        to: Where it goes; repeatable, for a walk with several stops.
        steps: Images in a row, ends included.
        path: linear, or spherical: along the great circle, as suits a latent of many dimensions.
        label: Of a conditional model, the kind of every image on the way, or one for each end.
        output: The file; by default in the folder out of the run.
        fit: How to fit images of another size; by default as in training.
        overwrite: Replace what is there.
        json: Print the path as JSON.
    """
    loaded = load(run, "interpolate")
    ends = [*([from_] if from_ is not None else []), *(to or [])]
    if from_ is None or len(ends) < 2:
        wanting = "--from" if from_ is None else "--to"
        raise UserError("E-INT-19", wanting, "is missing", "give two ends, as in --from 3 --to 7, or two image files")
    if path not in ("linear", "spherical"):
        raise UserError("E-INT-23", "--path", f"{path!r} is no kind of path", "choose linear or spherical", found=path)
    whole = [_is_whole(end) for end in ends]
    if any(whole) and not all(whole):
        problem = f"{ends[whole.index(True)]} is a seed and {ends[whole.index(False)]} is none"
        raise UserError("E-INT-21", "--from and --to", problem, "give seeds only, or image files only")
    if all(whole) and fit is not None:
        raise UserError("E-GEN-07", "--fit", "is for images as ends, and these are seeds", "leave it out")
    place = target(
        output,
        out(loaded, f"interpolate-{'-'.join(plain(e) for e in ends)[:80]}.png"),
        suffixes=PNG,
        overwrite=overwrite,
    )
    names = label[0] if label and len(label) == 1 else label
    kind: Literal["linear", "spherical"] = "spherical" if path == "spherical" else "linear"
    if all(whole):
        rows = loaded.interpolate([int(e) for e in ends], steps=steps, path=kind, label=names)
    else:
        import numpy as np

        read = [loaded.read(end, fit=fit) for end in ends]
        for end, data in zip(ends, read, strict=True):
            if len(data) != 1:
                raise UserError(
                    "E-INT-21", end, f"holds {len(data)} images, wanted one", "give an image file for each end"
                )
        z = np.concatenate([loaded.pipeline.encode(data) for data in read])
        rows = loaded.pipeline.interpolate(z, steps=steps, path=kind, label=names)
    marks = {**origin(loaded), "ends": ", ".join(ends), "path": path}
    say(place.write(sheet([image for row in rows for image in row], steps, marks)), json)


def impute(
    run: str,
    input: str,
    *,
    mask: str,
    n: int = 8,
    seed: int = 0,
    label: list[str] | None = None,
    temperature: float = 1.0,
    particles: int = 8,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
    guidance: float | None = None,
    output: Path | None = None,
    separate: bool = False,
    fit: Literal["crop", "pad", "stretch"] | None = None,
    convert: bool = False,
    max_pixels: int = 64_000_000,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Fill what is missing of images: several completions of each hole.

    One PNG with a row for each image, its hole gray, before what it may have been; with --separate a file for each.

    Arguments:
        run: A run's folder, or the beginning of its name under runs/.
        input: An image, a folder, or any data that `train` reads.
        mask: An image that is white where something is missing, one for all; or a folder with one for each.
        n: Completions of each image.
        seed: Of the noise; the same seed gives the same completions.
        label: Of what kind, for a model that knows kinds; by default as the data say, or drawn.
        temperature: Below 1 nearer to the most likely completion, above 1 farther.
        particles: Candidates for each completion: more heed better what lies below and to the right of the hole.
        top_k: Draw each code from so many of the likeliest.
        top_p: Draw each code from the fewest likeliest that together are at least so likely.
        min_p: Draw each code from those at least this share as likely as the likeliest.
        guidance: Weight of the label where codes are drawn.
        output: The file, or with --separate the folder; by default in the folder out of the run.
        separate: A file for each completion.
        fit: How to fit images of another size; by default as in training.
        convert: Turn color into gray where the model knows gray only.
        max_pixels: An image that declares more is refused.
        overwrite: Replace what is there.
        json: Print the path as JSON.
    """
    import torch

    loaded = load(run, "impute")
    name = f"impute-{plain(input)}-seed{seed}-n{n}"
    place = target(
        output, out(loaded, name if separate else f"{name}.png"), suffixes=() if separate else PNG, overwrite=overwrite
    )
    names = label[0] if label and len(label) == 1 else label
    made = loaded.impute(
        input, mask, n, seed=seed, label=names, temperature=temperature, particles=particles, fit=fit,
        convert=convert, max_pixels=max_pixels, top_k=top_k, top_p=top_p, min_p=min_p, guidance=guidance,
    )  # fmt: skip
    data = loaded.read(input, fit=fit, convert=convert, max_pixels=max_pixels, verb="impute", labels="ignore")
    marks = {**origin(loaded), "seed": str(seed), "temperature": f"{temperature:g}", "label": ", ".join(label or [])}
    if separate:
        own = file_names([f"{Path(each).with_suffix('')}-{k}" for each in data.names for k in range(n)])
        say(place.write_all(pngs(own, [image for row in made for image in row], marks)), json)
        return
    image, holes = loaded.pipeline.image, loaded.holes(mask, len(data), fit=fit)
    seen = torch.cat([batch.x for batch in loaded.pipeline.batches(data)])
    shown = [image.decode(x) for x in torch.where(holes, torch.full_like(seen, 0.5), seen)]
    rows = [image for first, row in zip(shown, made, strict=True) for image in (first, *row)]
    say(place.write(sheet(rows, n + 1, marks)), json)


def decode(
    run: str,
    input: Path,
    *,
    label: list[str] | None = None,
    any_model: bool = False,
    output: Path | None = None,
    separate: bool = False,
    columns: int | None = None,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Make images of the latents in a file.

    Of a file that `seisei encode` wrote; those of another model are refused.

    Arguments:
        run: A run's folder, or the beginning of its name under runs/.
        input: A file of latents: .npz, .csv, .parquet or .npy.
        label: Of what kind, for a conditional model; by default as the file says.
        any_model: Take latents that another model made, or that do not say which.
        output: The file, or with --separate the folder; by default in the folder out of the run.
        separate: A file for each image, under the name it was encoded from.
        columns: Images in a row of the grid.
        overwrite: Replace what is there.
        json: Print the path as JSON.
    """
    loaded = load(run, "decode")
    _in_a_grid(separate, columns=columns)
    name = f"decode-{plain(str(input))}"
    place = target(
        output, out(loaded, name if separate else f"{name}.png"), suffixes=() if separate else PNG, overwrite=overwrite
    )
    found = codes.read_codes(input)
    made, mine = found.model, loaded.pipeline.digest
    if made is None and not any_model:
        remedy = "encode them again, or pass --any-model if they fit this one"
        raise UserError("E-DEC-19", input, "does not say which model made it", remedy)
    if made is not None and made != mine and not any_model:
        problem = f"was made by the model {made[:8]}…, and this one is {mine[:8]}…"
        raise UserError("E-DEC-20", input, problem, "encode them again, or pass --any-model", found=made, wanted=mine)
    kinds: Any = label[0] if label and len(label) == 1 else label or found.labels
    images = loaded.decode(found.z, label=kinds if loaded.pipeline.classes or label else None)
    if separate:
        names = found.names if len(found.names) == len(images) else [f"{i:04d}" for i in range(len(images))]
        say(place.write_all(pngs(file_names(names), images, origin(loaded))), json)
    else:
        say(place.write(sheet(images, columns, origin(loaded))), json)


def _in_a_grid(separate: bool, **options: int | None) -> None:
    """Refuse what is for a grid where each image becomes a file."""
    for name, value in options.items():
        if separate and value is not None:
            problem = "is for a grid, and --separate makes a file of each image"
            raise UserError("E-GEN-07", f"--{name}", problem, "leave one of the two out", found=value)


def _is_whole(text: str) -> bool:
    return text.lstrip("-").isdigit() and not Path(text).exists()

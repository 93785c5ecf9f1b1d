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
    """Generate new images, table rows or texts.

    One PNG with a grid of images, or with --separate a file per image; a .csv or .parquet file of rows; a .txt file
    of texts, or
    a table of them.

    Arguments:
        run: Run folder, or a prefix of its name under runs/.
        n: Number of samples.
        seed: Sampling seed; the same seed gives the same result.
        label: Class to generate, for a class-conditional model: once for all samples, or once per sample.
        temperature: Sampling temperature: below 1 for more typical samples, above 1 for more varied ones.
        truncation: Truncation: sample latents within this many standard deviations; lower for more typical, less
            varied images.
        top_k: Top-k sampling: sample from the k most likely codes.
        top_p: Top-p (nucleus) sampling: sample from the smallest set of codes whose total probability is at least
            this.
        min_p: Min-p sampling: sample from codes at least this share as likely as the most likely one.
        guidance: Classifier-free guidance: weight of the condition; above 1 for samples closer to it.
        output: Output file, or with --separate output folder; by default in RUN/out.
        separate: Write one file per image.
        columns: Images per row of the grid.
        overwrite: Overwrite an existing file or folder.
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
    """Reconstruct images: encode, then decode.

    One PNG with the originals above their reconstructions, or with --separate a file per image.

    Arguments:
        run: Run folder, or a prefix of its name under runs/.
        input: An image, a folder, or any data that `train` reads.
        output: Output file, or with --separate output folder; by default in RUN/out.
        separate: Write one file per image, under its own name.
        limit: Maximum number of images in the grid.
        fit: How to fit images of another size; by default as in training.
        convert: Convert color images to grayscale for a grayscale model.
        max_pixels: Refuse images with more pixels than this.
        overwrite: Overwrite an existing file or folder.
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
    """Interpolate between images in latent space.

    One PNG with a row for each pair of ends.

    Arguments:
        run: Run folder, or a prefix of its name under runs/.
        from_: Start of the interpolation: a seed, as in `sample`, or an image file.
        to: End of the interpolation; repeatable, for a path through several points.
        steps: Images per row, both ends included.
        path: linear or spherical interpolation; spherical suits latents of many dimensions.
        label: Class of all images, for a class-conditional model, or one for each end.
        output: Output file; by default in RUN/out.
        fit: How to fit images of another size; by default as in training.
        overwrite: Overwrite an existing file or folder.
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
    """Inpaint images: sample completions of what a mask hides.

    One PNG with a row per image: the image with its hole in gray, then its completions; with --separate a file per
    completion.

    Arguments:
        run: Run folder, or a prefix of its name under runs/.
        input: An image, a folder, or any data that `train` reads.
        mask: Mask image, white where pixels are missing, for all images; or a folder with a mask for each.
        n: Completions per image.
        seed: Sampling seed; the same seed gives the same result.
        label: Class of the images, for a class-conditional model; by default as in the data, or sampled.
        temperature: Sampling temperature: below 1 for more typical completions, above 1 for more varied ones.
        particles: Number of particles; more take better account of the pixels after the hole, and take longer.
        top_k: Top-k sampling: sample from the k most likely codes.
        top_p: Top-p (nucleus) sampling: sample from the smallest set of codes whose total probability is at least
            this.
        min_p: Min-p sampling: sample from codes at least this share as likely as the most likely one.
        guidance: Classifier-free guidance: weight of the condition; above 1 for samples closer to it.
        output: Output file, or with --separate output folder; by default in RUN/out.
        separate: Write one file per completion.
        fit: How to fit images of another size; by default as in training.
        convert: Convert color images to grayscale for a grayscale model.
        max_pixels: Refuse images with more pixels than this.
        overwrite: Overwrite an existing file or folder.
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
    """Decode latents or codes to images.

    Of a file that `seisei encode` wrote; those of another model are refused.

    Arguments:
        run: Run folder, or a prefix of its name under runs/.
        input: A file of latents: .npz, .csv, .parquet or .npy.
        label: Of what kind, for a conditional model; by default as the file says.
        any_model: Take latents that another model made, or that do not say which.
        output: Output file, or with --separate output folder; by default in RUN/out.
        separate: Write one file per image.
        columns: Images in a row of the grid.
        overwrite: Overwrite an existing file or folder.
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

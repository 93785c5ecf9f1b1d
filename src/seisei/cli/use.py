"""`sample`, `reconstruct`, `interpolate`, `encode`, `decode`, `score`, `evaluate`: a trained model put to use.

Without ``-o`` a result goes to the folder ``out`` of the run, under a name that says how it was made. Whether it can be
written is looked at before any work starts.
"""

from __future__ import annotations

import json as json_
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from seisei.cli import codes
from seisei.cli.output import SAMPLE, SHARED, plain, target
from seisei.cli.runs import find_run
from seisei.cli.train import score_lines
from seisei.errors import UserError

if TYPE_CHECKING:
    from seisei.api import Run
    from seisei.data.dataset import Dataset

PNG = (".png",)
SHOWN = 20


def sample(
    run: str,
    *,
    n: int = 64,
    seed: int = 0,
    label: list[str] | None = None,
    temperature: float = 1.0,
    output: Path | None = None,
    separate: bool = False,
    columns: int | None = None,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Draw new pictures.

    One PNG with a grid of them, or with --separate a file for each.

    Arguments:
        run: A run's folder, or the beginning of its name under runs/.
        n: How many.
        seed: Of the noise; the same seed gives the same pictures.
        label: Of what kind, for a model trained with --condition label; once, or once for each picture.
        temperature: Below 1 nearer to the most likely picture, above 1 farther.
        output: The file, or with --separate the folder; by default in the folder out of the run.
        separate: A file for each picture.
        columns: Pictures in a row of the grid.
        overwrite: Replace what is there.
        json: Print the path as JSON.
    """
    loaded = _load(run, "sample")
    if columns is not None and columns < 1:
        raise UserError(
            "E-GEN-07", "--columns", f"{columns} is out of range, wanted >= 1", "choose a number in the range"
        )
    names = label[0] if label and len(label) == 1 else label
    kind = f"-{plain(label[0])}" if label and len(label) == 1 else ""
    warmth = f"-t{temperature:g}" if temperature != 1 else ""
    name = f"sample-seed{seed}-n{n}{kind}{warmth}"
    place = target(
        output,
        _out(loaded, name if separate else f"{name}.png"),
        suffixes=() if separate else PNG,
        overwrite=overwrite,
        codes=SAMPLE,
    )
    pictures = loaded.sample(n, seed=seed, label=names, temperature=temperature)
    marks = {**_marks(loaded), "seed": str(seed), "temperature": f"{temperature:g}", "label": ", ".join(label or [])}
    if separate:
        files = [f"{i:0{max(4, len(str(n - 1)))}d}.png" for i in range(n)]
        _say(place.write_all(_pngs(files, pictures, marks)), json)
    else:
        _say(place.write(_sheet(pictures, columns, marks)), json)


def reconstruct(
    run: str,
    input: str,
    *,
    output: Path | None = None,
    separate: bool = False,
    most: int = 32,
    resize: Literal["crop", "pad", "stretch"] | None = None,
    convert: bool = False,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Send pictures through the model and back.

    One PNG with the originals above their reconstructions, or with --separate a file for each.

    Arguments:
        run: A run's folder, or the beginning of its name under runs/.
        input: A picture, a folder, or any data that `train` reads.
        output: The file, or with --separate the folder; by default in the folder out of the run.
        separate: A file for each picture, under its own name.
        most: Pictures shown in the grid.
        resize: How to fit pictures of another size; by default as in training.
        convert: Turn colour into grey where the model knows grey only.
        overwrite: Replace what is there.
        json: Print the path as JSON.
    """
    loaded = _load(run, "reconstruct")
    name = f"reconstruct-{plain(input)}"
    place = target(
        output, _out(loaded, name if separate else f"{name}.png"), suffixes=() if separate else PNG, overwrite=overwrite
    )
    data = loaded.read(input, resize=resize, convert=convert)
    if separate:
        files = _file_names(data.names)
        _say(place.write_all(_pngs(files, loaded.pipeline.reconstruct(data), _marks(loaded))), json)
        return
    if len(data) > most:
        import torch

        print(f"the first {most} of {len(data):,} pictures; all of them with --separate", file=sys.stderr)
        data = data.subset(torch.arange(most))
    image, width = loaded.pipeline.image, min(8, len(data))
    originals = [image.decode(x) for batch in loaded.pipeline.batches(data) for x in batch.x]
    back = loaded.pipeline.reconstruct(data)
    blank = originals[0] * 0 + 255
    rows = []
    for start in range(0, len(data), width):
        for part in (originals, back):
            row = part[start : start + width]
            rows += row + [blank] * (width - len(row))
    _say(place.write(_sheet(rows, width, _marks(loaded))), json)


def interpolate(
    run: str,
    *,
    from_: str | None = None,
    to: list[str] | None = None,
    steps: int = 8,
    path: str = "linear",
    label: str | None = None,
    output: Path | None = None,
    resize: Literal["crop", "pad", "stretch"] | None = None,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Walk from one picture to another.

    Through the model's latents: one PNG with a row for each pair of ends.

    Arguments:
        run: A run's folder, or the beginning of its name under runs/.
        from_: Where it starts: a seed, as in `sample`, or a picture file.
        to: Where it goes; repeatable, for a walk with several stops.
        steps: Pictures in a row, ends included.
        path: linear, or spherical: along the great circle, as suits a latent of many dimensions.
        label: The kind of every picture on the way, for a conditional model.
        output: The file; by default in the folder out of the run.
        resize: How to fit pictures of another size; by default as in training.
        overwrite: Replace what is there.
        json: Print the path as JSON.
    """
    loaded = _load(run, "interpolate")
    ends = [*([from_] if from_ is not None else []), *(to or [])]
    if from_ is None or len(ends) < 2:
        wanting = "--from" if from_ is None else "--to"
        raise UserError("E-INT-19", wanting, "is missing", "give two ends, as in --from 3 --to 7, or two picture files")
    if path not in ("linear", "spherical"):
        raise UserError("E-INT-23", "--path", f"{path!r} is no kind of path", "choose linear or spherical", found=path)
    whole = [_is_whole(end) for end in ends]
    if any(whole) and not all(whole):
        problem = f"{ends[whole.index(True)]} is a seed and {ends[whole.index(False)]} is none"
        raise UserError("E-INT-21", "--from and --to", problem, "give seeds only, or picture files only")
    place = target(
        output,
        _out(loaded, f"interpolate-{'-'.join(plain(e) for e in ends)[:80]}.png"),
        suffixes=PNG,
        overwrite=overwrite,
    )
    kind: Literal["linear", "spherical"] = "spherical" if path == "spherical" else "linear"
    if all(whole):
        rows = loaded.interpolate([int(e) for e in ends], steps=steps, path=kind, label=label)
    else:
        import numpy as np

        read = [loaded.read(end, resize=resize) for end in ends]
        for end, data in zip(ends, read, strict=True):
            if len(data) != 1:
                raise UserError(
                    "E-INT-21", end, f"holds {len(data)} pictures, wanted one", "give a picture file for each end"
                )
        z = np.concatenate([loaded.pipeline.encode(data) for data in read])
        rows = loaded.pipeline.interpolate(z, steps=steps, path=kind, label=label)
    marks = {**_marks(loaded), "ends": ", ".join(ends), "path": path}
    _say(place.write(_sheet([picture for row in rows for picture in row], steps, marks)), json)


def encode(
    run: str,
    input: str,
    *,
    output: Path | None = None,
    resize: Literal["crop", "pad", "stretch"] | None = None,
    convert: bool = False,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """Write the latent of every picture to a file.

    Arguments:
        run: A run's folder, or the beginning of its name under runs/.
        input: A picture, a folder, or any data that `train` reads.
        output: A .npz, .csv or .parquet file; by default a .npz file in the folder out of the run.
        resize: How to fit pictures of another size; by default as in training.
        convert: Turn colour into grey where the model knows grey only.
        overwrite: Replace what is there.
        json: Print the path as JSON.
    """
    loaded = _load(run, "encode")
    place = target(output, _out(loaded, f"codes-{plain(input)}.npz"), suffixes=codes.SUFFIXES, overwrite=overwrite)
    data = loaded.read(input, resize=resize, convert=convert)
    found = codes.Codes(loaded.pipeline.encode(data), data.names, loaded.pipeline.digest, _labels(loaded, data))
    _say(place.write(codes.to_bytes(found, place.path.suffix.lower())), json)


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
    """Make pictures of the latents in a file.

    Of a file that `seisei encode` wrote; those of another model are refused.

    Arguments:
        run: A run's folder, or the beginning of its name under runs/.
        input: A file of latents: .npz, .csv, .parquet or .npy.
        label: Of what kind, for a conditional model; by default as the file says.
        any_model: Take latents that another model made, or that do not say which.
        output: The file, or with --separate the folder; by default in the folder out of the run.
        separate: A file for each picture, under the name it was encoded from.
        columns: Pictures in a row of the grid.
        overwrite: Replace what is there.
        json: Print the path as JSON.
    """
    loaded = _load(run, "decode")
    name = f"decode-{plain(str(input))}"
    place = target(
        output, _out(loaded, name if separate else f"{name}.png"), suffixes=() if separate else PNG, overwrite=overwrite
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
    pictures = loaded.decode(found.z, label=kinds if loaded.pipeline.classes or label else None)
    if separate:
        names = found.names if len(found.names) == len(pictures) else [f"{i:04d}" for i in range(len(pictures))]
        _say(place.write_all(_pngs(_file_names(names), pictures, _marks(loaded))), json)
    else:
        _say(place.write(_sheet(pictures, columns, _marks(loaded))), json)


def score(
    run: str,
    input: str,
    *,
    samples: int = 100,
    seed: int = 0,
    output: Path | None = None,
    resize: Literal["crop", "pad", "stretch"] | None = None,
    convert: bool = False,
    overwrite: bool = False,
    json: bool = False,
) -> None:
    """How likely pictures are under the model.

    The log-likelihood of each, or a bound on it, in nats and in bits per dimension.

    Arguments:
        run: A run's folder, or the beginning of its name under runs/.
        input: A picture, a folder, or any data that `train` reads.
        samples: Importance samples K behind each: more give a tighter bound, and take longer.
        seed: Of the noise.
        output: A .csv file with a row for each picture.
        resize: How to fit pictures of another size; by default as in training.
        convert: Turn colour into grey where the model knows grey only.
        overwrite: Replace what is there.
        json: Print every score as JSON.
    """
    from seisei.evaluation.likelihood import mean_and_error

    loaded = _load(run, "score")
    place = None if output is None else target(output, output, suffixes=(".csv",), overwrite=overwrite, codes=SHARED)
    data = loaded.read(input, resize=resize, convert=convert)
    found = loaded.pipeline.score(data, samples=samples, seed=seed)
    (nats, nats_error), (bits, bits_error) = mean_and_error(found.nats), mean_and_error(found.bits)
    rows = [(name, float(a), float(b)) for name, a, b in zip(data.names, found.nats, found.bits, strict=True)]
    if place is not None:
        quoted = [f'"{name.replace(chr(34), chr(34) * 2)}"' if set(name) & set(',"') else name for name, _, _ in rows]
        lines = [
            "name,nats,bits_per_dimension",
            *(f"{n},{a:.6f},{b:.6f}" for n, (_, a, b) in zip(quoted, rows, strict=True)),
        ]
        place.write(("\n".join(lines) + "\n").encode())
    if json:
        mean = {"nats": nats, "nats_error": _finite(nats_error), "bits": bits, "bits_error": _finite(bits_error)}
        scores = [{"name": name, "nats": a, "bits_per_dimension": b} for name, a, b in rows]
        print(
            json_.dumps(
                {"bound": found.bound, "samples": samples, "meaning": found.meaning, "mean": mean, "scores": scores}
            )
        )
        return
    width = max(len("name"), *(len(name) for name, _, _ in rows[:SHOWN]))
    print(f"{'name'.ljust(width)}  {'nats':>10}  bits per dimension")
    for name, a, b in rows[:SHOWN]:
        print(f"{name.ljust(width)}  {a:10.2f}  {b:.4f}")
    if len(rows) > SHOWN:
        print(f"… {len(rows) - SHOWN:,} more" + ("" if place else ": write them all with -o scores.csv"))
    print(
        f"\nmean of {len(rows):,}: {nats:.3f} ± {nats_error:.3f} nats, {bits:.4f} ± {bits_error:.4f} bits per dimension"
    )
    print(found.meaning)
    if place is not None:
        print(place.path)


def evaluate(
    run: str,
    *,
    data: str | None = None,
    split: str = "test",
    samples: int = 100,
    most: int = 10_000,
    seed: int = 0,
    save: bool = False,
    json: bool = False,
) -> None:
    """The scores of a model on held-out pictures.

    Nothing is written without --save.

    Arguments:
        run: A run's folder, or the beginning of its name under runs/.
        data: Other data than those of the run.
        split: The part of the data.
        samples: Importance samples behind each likelihood.
        most: Pictures looked at, at most.
        seed: Of the noise.
        save: Keep the scores with the run, and write its report anew.
        json: Print the scores as JSON.
    """
    loaded = _load(run, "evaluate")
    if save:
        target(loaded.path / "scores.json", loaded.path, suffixes=(".json",), overwrite=True, codes=("E-EVA-23",) * 3)
    found = loaded.evaluate(data, split=split, samples=samples, most=most, seed=seed)
    if save:
        from seisei.evaluation.report import write_report

        loaded.folder.write("scores.json", found)
        write_report(loaded.path)
    print(json_.dumps(found, ensure_ascii=False) if json else "\n".join(score_lines(found)))
    if save and not json:
        print(loaded.report)


# ---- what they share ----


def _load(given: str, verb: str) -> Run:
    """The run, with its model loaded, once it is known to offer the verb."""
    from seisei import api

    loaded = api.load(find_run(given))
    for note in loaded.pipeline.notes:
        print(f"note: {note}", file=sys.stderr)
    if verb != "evaluate":
        loaded.pipeline.need(verb)
    return loaded


def _out(run: Run, name: str) -> Path:
    return run.path / "out" / name


def _marks(run: Run) -> dict[str, str]:
    """What a picture says of the model that made it."""
    import seisei

    return {"Software": f"seisei {seisei.__version__}", "model": run.pipeline.digest, "run": run.path.name}


def _sheet(pictures: list[Any], columns: int | None, marks: dict[str, str]) -> bytes:
    from seisei.modalities.image import grid, png_bytes

    return png_bytes(grid(pictures, columns), {k: v for k, v in marks.items() if v})


def _pngs(names: list[str], pictures: list[Any], marks: dict[str, str]) -> list[tuple[str, bytes]]:
    from seisei.modalities.image import png_bytes

    return [
        (name, png_bytes(p, {k: v for k, v in marks.items() if v})) for name, p in zip(names, pictures, strict=True)
    ]


def _file_names(names: list[str]) -> list[str]:
    """A PNG's name for each picture: its own, below the folder, and unlike the others."""
    found: list[str] = []
    taken: set[str] = set()
    for name in names:
        parts = [part for part in Path(name.replace(":", "-")).with_suffix("").parts if part not in ("/", "..", ".")]
        base = "/".join(parts) or "picture"
        tried, count = base, 1
        while tried.casefold() in taken:
            count += 1
            tried = f"{base}-{count}"
        taken.add(tried.casefold())
        found.append(f"{tried}.png")
    return found


def _labels(run: Run, data: Dataset) -> list[str] | None:
    names = getattr(run.pipeline.schema.y, "names", None)
    return None if data.y is None or names is None or not run.pipeline.classes else [names[int(i)] for i in data.y]


def _is_whole(text: str) -> bool:
    return text.lstrip("-").isdigit() and not Path(text).exists()


def _finite(value: float) -> float | None:
    return value if value == value else None


def _say(path: Path, json: bool) -> None:
    print(json_.dumps({"path": str(path)}) if json else path)

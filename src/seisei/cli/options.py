"""Options that several commands share. Written here once more, so that help needs no torch; a test keeps them in step.

Each function is only a signature and its help: the fields of `seisei.workflows.train.DataOptions`, `Execution` and
`Request`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from seisei.spec import Range

Split = Annotated[float, Range(ge=0, lt=1)]


def data_options(
    *,
    source: Literal["arrays", "digits", "folder", "hub", "idx", "parquet", "table", "text"] | None = None,
    column: str | None = None,
    size: Annotated[int, Range(ge=8, le=4096)] | None = None,
    channels: Literal[1, 3] | None = None,
    fit: Literal["crop", "pad", "stretch"] | None = None,
    validation: Split = 0.1,
    test: Split = 0.1,
    skip_bad: str | None = None,
    max_pixels: Annotated[int, Range(ge=1)] = 64_000_000,
    first_frame: bool = False,
    min_size: Annotated[int, Range(ge=1)] = 8,
    follow_outside: bool = False,
    memory: Annotated[int, Range(ge=1)] | None = None,
    target: str | None = None,
    ignore: list[str] | None = None,
    categorical: list[str] | None = None,
    missing: list[str] | None = None,
    unlabeled: str | None = None,
    conditions: list[str] | None = None,
    block_size: Annotated[int, Range(ge=2, le=1 << 16)] | None = None,
    pairs: Literal["auto", "side-by-side", "folders", "columns"] | None = None,
    direction: Literal["a-to-b", "b-to-a"] = "a-to-b",
    column_a: str | None = None,
    column_b: str | None = None,
    bits: Literal[8] | None = None,
    label_map: bool = False,
    style: str | None = None,
) -> None:
    """How data are read.

    Arguments:
        source: What the data are, where it should not be guessed.
        column: The column of a parquet file that holds the images.
        size: Side of an image in pixels; by default that of the data, or a power of two near it.
        channels: 1 for gray, 3 for color; by default what the data are.
        fit: How images of another size are made to fit; crop by default.
        validation: Share of the images or rows held out to watch training.
        test: Share of the images or rows held out for scores.
        skip_bad: How many faulty images are left out: a number or a share such as 1%; 0.1% and at most 10 by default.
        max_pixels: An image that declares more is refused.
        first_frame: Take the first image of an animation, instead of refusing it.
        min_size: An image with a shorter side is refused.
        follow_outside: Follow links that lead out of the data folder.
        memory: Megabytes that images may take before they are kept in a file.
        target: The column of a table that tells the class of each row.
        ignore: A column of a table to leave out. Repeatable.
        categorical: A column of a table whose numbers are names. Repeatable.
        missing: A word that stands for an empty cell of a table, as -999 may. Repeatable.
        conditions: A column of a table, or of a folder's metadata.csv, that cgan or a prior is told. Repeatable.
        unlabeled: own learns from rows without a class too, or the path of a table of such rows.
        pairs: How images are paired: A beside B, in two folders, in two columns of a table, or as found.
        direction: Which side of a pair is given, and which is made of it.
        column_a: The column of a table that holds side A.
        column_b: The column of a table that holds side B.
        bits: 8 brings images of 16 bits or floating point to 8 bits, where a side has several depths.
        style: Images in the styles to learn, a folder: each is put beside some of the images.
        label_map: Each color of the side that is given stands for a class.
        block_size: Cut running text into examples of so many bytes; by default every line of a .txt file is one.
    """


def execution_options(
    *,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    precision: Literal["auto", "fp32", "bf16"] = "auto",
    backend_tuning: bool = True,
    compile: bool = False,
    sharded: bool = False,
) -> None:
    """How a run is carried out.

    Arguments:
        device: auto takes a CUDA GPU, else Apple's, else the CPU.
        precision: auto is bf16 where the GPU has it, fp32 elsewhere.
        backend_tuning: Use the settings that were measured to be faster on this kind of machine.
        compile: Compile the loss; pays on GPUs and in long runs.
        sharded: Under torchrun, divide the parameters among the processes instead of copying them.
    """


def run_options(
    *,
    output: Path | None = None,
    seed: int = 0,
    set: list[str] | None = None,
    config: Path | None = None,
    keep: int = 2,
    overwrite: bool = False,
    on_disk_full: Literal["wait", "stop"] = "wait",
    auto_remedy: bool = False,
    report: bool = True,
    dry_run: bool = False,
) -> None:
    """What is left behind.

    Arguments:
        output: The run's folder; by default a new one under runs/.
        seed: Of everything random.
        set: Change one value of the plan, as in --set objective.beta=0.5; see --dry-run for the paths. Repeatable.
        config: A .yaml, .toml or .json file with options by name; the command line wins over it.
        keep: Checkpoints kept, 2 or more.
        overwrite: Replace a run that is there.
        on_disk_full: Train on and try again at the next checkpoint, or stop.
        auto_remedy: Do something about what the watch finds, where that is safe, and log it: see docs/gan.md.
        report: At the end, compute scores and write report.html.
        dry_run: Read the data, print the whole plan as JSON, and write nothing.
    """


def everywhere(*, json: bool = False, debug: bool = False) -> None:
    """Options of every command.

    Arguments:
        json: Print the result, or the error, as JSON.
        debug: On an error, show the traceback.
    """

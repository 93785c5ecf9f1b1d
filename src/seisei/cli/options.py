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
        source: Format of the data, where it should not be detected.
        column: Column of a parquet file that holds the images.
        size: Image size: side in pixels; by default that of the data, or a power of two near it.
        channels: Image channels: 1 for grayscale, 3 for color; by default as in the data.
        fit: How images of another size are resized: crop (the default), pad or stretch.
        validation: Share of the data held out for validation during training.
        test: Share of the data held out for testing.
        skip_bad: Number or share of broken images that may be skipped, such as 1%; by default 0.1% and at most 10.
        max_pixels: Refuse images with more pixels than this.
        first_frame: Read the first frame of animated images, instead of refusing them.
        min_size: Refuse images whose shorter side is below this.
        follow_outside: Follow links that lead out of the data folder.
        memory: Megabytes of images kept in memory; more are memory-mapped from a file.
        target: Table column with the class label.
        ignore: Table column to leave out. Repeatable.
        categorical: Numeric table column whose values are categories. Repeatable.
        missing: Marker of missing values in a table, such as -999. Repeatable.
        conditions: Column of a table, or of a folder's metadata.csv, to condition cgan or a prior on. Repeatable.
        unlabeled: Unlabeled data to learn from: `own` uses the table's rows without a label; or a path to more.
        pairs: How images are paired: side by side in one file, in two folders, in two table columns, or auto.
        direction: Translate from side A to B, or from B to A.
        column_a: Table column of side A.
        column_b: Table column of side B.
        bits: 8 converts 16-bit and floating-point images to 8 bits.
        style: Folder of style images for stylize.
        label_map: Treat the input images as label maps: each color is a class.
        block_size: Block size of text in bytes: cut running text into blocks; by default each line of a .txt file is
            an example.
    """


def execution_options(
    *,
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto",
    precision: Literal["auto", "fp32", "bf16"] = "auto",
    backend_tuning: bool = True,
    compile: bool = False,
    sharded: bool = False,
) -> None:
    """How training is executed.

    Arguments:
        device: Device; auto is a CUDA GPU, else Apple's (mps), else the CPU.
        precision: Numerical precision; auto is bf16 (mixed precision) on GPUs that support it, else fp32.
        backend_tuning: Use backend settings that were measured to be faster on this kind of machine.
        compile: Compile the loss with torch.compile; pays off on GPUs and in long runs.
        sharded: Under torchrun, shard the parameters over the processes (FSDP) instead of replicating them.
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
    """The run and its folder.

    Arguments:
        output: Output folder of the run; by default a new one under runs/.
        seed: Random seed.
        set: Override a value of the plan, as in --set objective.beta=0.5; --dry-run prints all paths. Repeatable.
        config: Configuration file (.yaml, .toml or .json) with options by name; the command line takes precedence.
        keep: Number of checkpoints to keep, at least 2.
        overwrite: Overwrite an existing run.
        on_disk_full: When the disk is full: keep training and retry at the next checkpoint, or stop.
        auto_remedy: Let the run act on findings of the watch where that is safe, and log it; see docs/gan.md.
        report: Compute scores and write report.html at the end.
        dry_run: Print the complete plan as JSON without training; nothing is written.
    """


def everywhere(*, json: bool = False, debug: bool = False) -> None:
    """Options of every command.

    Arguments:
        json: Print the result, or the error, as JSON.
        debug: Show the traceback of an error.
    """

"""Data sets of the Hugging Face Hub by name, read from the Hub's parquet conversion."""

from __future__ import annotations

from pathlib import Path

from seisei.data.sources.parquet import ParquetSource, parquet_source
from seisei.errors import UserError


def hub_source(typed: str, *, column: str | None = None) -> ParquetSource:
    """The images of ``hub:owner/name``, or ``hub:owner/name:configuration`` if there are several; see `hub_folder`."""
    return parquet_source(hub_folder(typed), typed, column=column)


def hub_folder(typed: str) -> Path:
    """Download a data set's parquet files; returns their folder.

    The only code that uses the network, and only if the user wrote ``hub:``.

    Raises:
        UserError: the package is missing, the Hub does not answer, or it has no such data set.
    """
    name, _, configuration = typed.removeprefix("hub:").partition(":")
    if not name or name.count("/") > 1:
        raise UserError("E-CHK-01", typed, "is not the name of a data set", "write hub:owner/name")
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError
    except ImportError:
        remedy = 'install the extra: pip install "seisei[hub]"'
        raise UserError("E-CHK-01", typed, "needs the package huggingface_hub", remedy) from None
    pattern = f"{configuration}/*.parquet" if configuration else "*.parquet"
    pattern = pattern.replace("/*", "/**/*") if configuration else pattern
    try:
        folder = Path(
            snapshot_download(name, repo_type="dataset", revision="refs/convert/parquet", allow_patterns=[pattern])
        )
    except RepositoryNotFoundError:
        problem = "the Hub has no such data set, or it needs a login"
        raise UserError("E-CHK-01", typed, problem, "check the name, or run hf auth login") from None
    except RevisionNotFoundError:
        problem = "the Hub has no parquet conversion of it"
        raise UserError("E-CHK-04", typed, problem, "download its files and give their folder") from None
    except Exception as error:  # its HTTP library's errors, and its own, share no class
        problem = f"the Hub cannot be reached ({type(error).__name__})"
        raise UserError(
            "E-CHK-01", typed, problem, "check the network, or download it elsewhere and give the folder"
        ) from None
    return _configuration(folder, configuration, typed)


def _configuration(folder: Path, wanted: str, typed: str) -> Path:
    names = sorted({f.relative_to(folder).parts[0] for f in folder.rglob("*.parquet") if f.parent != folder})
    if wanted:
        return folder / wanted
    if len(names) <= 1:
        return folder / names[0] if names else folder
    if "default" in names:
        return folder / "default"
    listed = ", ".join(names)
    raise UserError("E-CHK-04", typed, f"has several configurations: {listed}", f"pass {typed}:{names[0]}", found=names)

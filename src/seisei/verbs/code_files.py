"""Files of latents or of codes: ``.npz``, ``.csv`` and ``.parquet``, each saying which model made it.

None can hold a program.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seisei.errors import UserError
from seisei.paths import check_regular

SUFFIXES = (".npz", ".csv", ".parquet")
LARGEST = 4 << 30


@dataclass(frozen=True)
class Codes:
    """Latents or codes, and where they come from.

    Arguments:
        z: float32 (N, L), or whole numbers (N, T).
        names: of the images.
        model: SHA-256 of the weights that made them, None where the file does not say.
        labels: of the images, where the model is conditional.
    """

    z: NDArray[np.float32] | NDArray[np.int64]
    names: list[str]
    model: str | None
    labels: list[str] | None = None


def to_bytes(codes: Codes, suffix: str) -> bytes:
    """The file's content, in the format that its suffix names."""
    file = io.BytesIO()
    if suffix == ".npz":
        arrays = {"z": codes.z, "names": np.array(codes.names, dtype=np.str_), "model": np.array(codes.model or "")}
        if codes.labels is not None:
            arrays["labels"] = np.array(codes.labels, dtype=np.str_)
        np.savez(file, allow_pickle=False, **arrays)
    elif suffix == ".csv":
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        extra = ["label"] if codes.labels is not None else []
        rows.writerow(["name", "model", *extra, *(f"z{i}" for i in range(codes.z.shape[1]))])
        for i, z in enumerate(codes.z):
            label = [codes.labels[i]] if codes.labels is not None else []
            rows.writerow([codes.names[i], codes.model or "", *label, *(repr(v) for v in z.tolist())])
        file.write(text.getvalue().encode())
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns = {"name": pa.array(codes.names, pa.string())}
        if codes.labels is not None:
            columns["label"] = pa.array(codes.labels, pa.string())
        columns["z"] = pa.FixedSizeListArray.from_arrays(pa.array(codes.z.ravel()), codes.z.shape[1])
        pq.write_table(pa.table(columns).replace_schema_metadata({"model": codes.model or ""}), file)
    return file.getvalue()


def read_codes(path: Path) -> Codes:
    """The latents in a file.

    Raises:
        UserError: it cannot be read, or holds something else.
    """
    if not path.exists():
        raise UserError("E-DEC-09", path, "no such file", "check the path")
    if path.is_dir():
        raise UserError(
            "E-DEC-14", path, "is a folder, wanted a file of codes", "give the file that `seisei encode` made"
        )
    if path.suffix.lower() not in (*SUFFIXES, ".npy"):
        wanted = ", ".join(SUFFIXES)
        raise UserError(
            "E-DEC-14", path, f"is no file of codes, wanted {wanted}", "give the file that `seisei encode` made"
        )
    check_regular(path, code="E-DEC-11")
    try:
        size = path.stat().st_size
        if not size:
            raise UserError("E-DEC-10", path, "0 bytes", "make it again with `seisei encode`")
        if size > LARGEST:
            raise UserError(
                "E-DEC-13", path, f"{size / 1e9:.1f} GB, wanted at most {LARGEST / 1e9:.1f} GB", "decode it in parts"
            )
        reader = {".csv": _csv, ".parquet": _parquet}.get(path.suffix.lower(), _numpy)
        found = reader(path)
    except PermissionError:
        raise UserError("E-DEC-11", path, "permission denied", "chmod u+r") from None
    if not len(found.z):
        raise UserError("E-DEC-10", path, "0 rows of codes", "make it again with `seisei encode`")
    return found


def _numpy(path: Path) -> Codes:
    # The checks of lengths before anything is allocated are those of data sets.
    from seisei.data.sources.arrays import half_of_memory, read_npy, read_npz

    if path.suffix.lower() == ".npy":
        return Codes(_numbers(read_npy(path, str(path)), path), [], None)
    arrays = read_npz(path, str(path), half_of_memory())
    if "z" not in arrays:
        keys = ", ".join(arrays) or "nothing"
        raise UserError("E-DEC-14", path, f"holds {keys}, and no latents z", "give the file that `seisei encode` made")
    labels = arrays["labels"].tolist() if "labels" in arrays else None
    names = arrays["names"].tolist() if "names" in arrays else []
    return Codes(
        _numbers(arrays["z"], path), names, str(arrays["model"]) or None if "model" in arrays else None, labels
    )


def _numbers(values: NDArray[Any], path: Path) -> NDArray[np.float32] | NDArray[np.int64]:
    if values.dtype.kind not in "fiu":
        raise UserError(
            "E-DEC-14", path, f"latents are {values.dtype}, wanted numbers", "give the file that `seisei encode` made"
        )
    return values.astype(np.float32) if values.dtype.kind == "f" else values.astype(np.int64)


def _csv(path: Path) -> Codes:
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = csv.reader(file)
            head = next(rows)
            places = [i for i, name in enumerate(head) if name[:1] == "z" and name[1:].isdigit()]
            body = list(rows)
    except (UnicodeDecodeError, csv.Error, StopIteration) as error:
        raise UserError("E-DEC-12", path, f"is damaged ({error})", "make it again with `seisei encode`") from None
    if not places:
        raise UserError("E-DEC-14", path, "has no columns z0, z1, …", "give the file that `seisei encode` made")
    whole = all(row[i].isdigit() for row in body[:1] for i in places if i < len(row))
    z = np.empty((len(body), len(places)), np.int64 if whole else np.float32)
    for number, row in enumerate(body):
        if len(row) != len(head):
            problem = f"{len(row)} fields, the header has {len(head)}"
            raise UserError("E-DEC-12", f"{path}:{number + 2}", problem, "make it again with `seisei encode`")
        try:
            z[number] = [(int if whole else float)(row[i]) for i in places]
        except ValueError:
            raise UserError(
                "E-DEC-12", f"{path}:{number + 2}", "holds text where numbers belong", "correct that line"
            ) from None

    def column(name: str) -> list[str] | None:
        return [row[head.index(name)] for row in body] if name in head else None

    made = set(column("model") or [])
    return Codes(z, column("name") or [], made.pop() or None if len(made) == 1 else None, column("label"))


def _parquet(path: Path) -> Codes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        width = table.schema.field("z").type.list_size
        z = table["z"].combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
        labels = table["label"].to_pylist() if "label" in table.column_names else None
        made = (table.schema.metadata or {}).get(b"model", b"").decode()
        return Codes(_numbers(z, path), table["name"].to_pylist(), made or None, labels)
    except (pa.ArrowException, KeyError, AttributeError, ValueError, OSError) as error:
        problem = f"is damaged, or holds no codes ({str(error).splitlines()[0]})"
        raise UserError("E-DEC-12", path, problem, "make it again with `seisei encode`") from None

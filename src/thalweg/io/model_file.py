"""Model files: one safetensors file, whose header carries a JSON document.

The arrays are the tensors of the file. Everything else is plain JSON in the metadata of
the header, so that loading creates data and never runs code. A digest of both detects a
damaged file.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from thalweg.core import (
    Array,
    DenseNetwork,
    History,
    Network,
    Plan,
    Run,
    StopReason,
    shown,
)
from thalweg.io.atomic_write import PathLike, atomic_write

FORMAT = 3
"""Version of what is written; this one and all before it are read.

Format 1 wrote the parameters of `Classifier` and `Regressor` as plain JSON, without
their types, and format 2 no types of NumPy.
"""

_MISUNDERSTOOD = (
    ArithmeticError, AssertionError, AttributeError, LookupError, RecursionError,
    TypeError, ValueError,
)  # fmt: skip

Model = TypeVar("Model")


def save_run(run: Run, path: PathLike) -> None:
    """Write a run to a model file, atomically.

    Parameters
    ----------
    run : Run
        What `thalweg.fit` returned.
    path : str or path-like
        An existing file is replaced.

    Raises
    ------
    ValueError
        If the network or the plan holds a function, which no file can keep.
    """
    write_model_file(path, "run", *pack_run(run))


def pack_run(run: Run) -> tuple[dict[str, Any], dict[str, Array]]:
    """Take a run apart into values that JSON can hold and named arrays.

    Raises
    ------
    ValueError
        If the network or the plan holds a function, which no file can keep.
    """
    if isinstance(run.network, Network):
        raise ValueError(
            "save got the run of a Network, whose functions no file can keep. Save a "
            "Keras model with model.save; for other networks, save run.parameters."
        )
    content = {
        "network": run.network.to_json(),
        "plan": run.plan.to_json(),
        "history": run.history.to_json(),
        "stop_reason": run.stop_reason.name,
        "why": run.why,
        "engine": run.engine,
        "best_epoch": int(run.best_epoch),
    }
    arrays = {
        f"layer.{index}.{name}": value
        for index, layer in enumerate(run.parameters)
        for name, value in layer.items()
    }
    return content, arrays


def unpack_run(content: Mapping[str, Any], arrays: Mapping[str, Array]) -> Run:
    """Rebuild the run that `pack_run` took apart."""
    network = DenseNetwork.from_json(content["network"])
    parameters = tuple(
        {name: arrays[f"layer.{index}.{name}"] for name in shapes}
        for index, shapes in enumerate(network.shapes())
    )
    network.check(parameters)
    return Run(
        network=network,
        plan=Plan.from_json(content["plan"]),
        parameters=parameters,
        history=History.from_json(content["history"]),
        stop_reason=StopReason[content["stop_reason"]],
        why=content["why"],
        engine=content["engine"],
        best_epoch=content["best_epoch"],
    )


def write_model_file(
    path: PathLike, kind: str, content: Mapping[str, Any], arrays: Mapping[str, Array]
) -> None:
    """Write a model file under its name in one step.

    Parameters
    ----------
    path : str or path-like
    kind : str
        What the file holds, such as ``"run"``.
    content : mapping
        Values that JSON can hold.
    arrays : mapping of str to ndarray
    """
    # safetensors writes an array's memory as it lies.
    plain = {name: np.asarray(value, order="C") for name, value in arrays.items()}
    text = json.dumps({"kind": kind, "content": content}, allow_nan=False)
    metadata = {
        "thalweg": str(FORMAT),
        "document": text,
        "digest": _digest(f"{FORMAT}{text}", plain),
    }
    header, rest = _ordered(to_bytes(plain, metadata))
    with atomic_write(path) as draft, open(draft, "wb") as file:
        file.write(header)
        file.write(rest)


def read_model(path: PathLike, kinds: Mapping[str, Callable[..., Model]]) -> Model:
    """Read a model file once, and rebuild what it holds.

    Parameters
    ----------
    path : str or path-like
    kinds : mapping of str to callable
        For each kind of model that is wanted, ``rebuild(content, arrays) -> model``.

    Raises
    ------
    OSError
        If the file does not exist or cannot be opened.
    ValueError
        If the file is damaged, was written by a newer thalweg, or holds another kind.
    """
    kind, content, arrays = read_model_file(path)
    if kind not in kinds:
        raise _other_kind(path, kind, [*kinds])
    with _understood(path):
        return kinds[kind](content, arrays)


def read_model_of_kind(
    kind: str, path: PathLike
) -> tuple[dict[str, Any], dict[str, Array]]:
    """Read the content and the arrays of a file of one kind; raises as `read_model`."""
    return read_model(path, {kind: lambda content, arrays: (content, arrays)})


def read_model_file(path: PathLike) -> tuple[str, dict[str, Any], dict[str, Array]]:
    """Read what `write_model_file` wrote: the kind, the content and the arrays.

    Raises
    ------
    OSError
        If the file does not exist or cannot be opened.
    ValueError
        If it is no model file, is damaged, or was written by a newer thalweg.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path must be a str or path-like. Got {shown(path)} instead.")
    if not os.path.isfile(path):
        raise FileNotFoundError(f"there is no file {path}. Check the name and folder.")
    metadata, arrays = _tensors(path)
    _check_origin(path, metadata)
    text = metadata.get("document", "")
    if metadata.get("digest") != _digest(metadata["thalweg"] + text, arrays):
        raise _damaged(path)
    with _understood(path):
        document = json.loads(text)
        return document["kind"], document["content"], arrays


def _other_kind(path: PathLike, found: str, wanted: list[str]) -> ValueError:
    if len(wanted) > 1:
        return ValueError(
            f"{path} holds a {found}, which thalweg.load does not know. It reads "
            f"{', '.join(sorted(wanted))}. Load a class of your own with its own load "
            "method, and give a checkpoint to the training that wrote it."
        )
    article = "an" if wanted[0][0] in "AEIOU" else "a"
    return ValueError(
        f"{path} holds a {found}, not {article} {wanted[0]}. Load it with "
        "thalweg.load, which reads every kind of model."
    )


@contextmanager
def _understood(path: PathLike) -> Iterator[None]:
    """Turn every error of the content of a file into one that names the file."""
    try:
        yield
    except _MISUNDERSTOOD as error:
        raise _damaged(path) from error


def _tensors(path: PathLike) -> tuple[dict[str, str], dict[str, Array]]:
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            names = file.keys() if "thalweg" in metadata else ()
            return metadata, {name: file.get_tensor(name) for name in names}
    except (SafetensorError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} is not a model file, or it is damaged (safetensors: {error}). "
            "Give a file that thalweg wrote. If thalweg wrote this one, restore a copy "
            "or train the model again."
        ) from error


def _check_origin(path: PathLike, metadata: Mapping[str, str]) -> None:
    version = metadata.get("thalweg")
    if version is None:
        raise ValueError(
            f"{path} is a safetensors file that thalweg did not write. Give a file "
            "written by `thalweg fit`, thalweg.save or the save method of a model."
        )
    if not version.isdecimal():
        raise _damaged(path)
    if int(version) > FORMAT:
        raise ValueError(
            f"{path} was written by a newer thalweg (format {version}; this one reads "
            f"up to {FORMAT}). Upgrade: pip install --upgrade thalweg."
        )


def _damaged(path: PathLike) -> ValueError:
    return ValueError(
        f"{path} is damaged: its content is not what thalweg wrote. Restore a copy, or "
        "train the model again."
    )


def _ordered(data: bytes) -> tuple[bytes, memoryview]:
    """Return the header and the rest of a safetensors file, the metadata in order.

    safetensors writes the metadata in another order each time. The header is JSON after
    its own length, filled up with spaces to a multiple of eight bytes.
    """
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text, memoryview(data)[end:]


def _digest(text: str, arrays: Mapping[str, Array]) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"\n{name} {array.dtype.name} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()

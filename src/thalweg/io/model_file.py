"""Model files: one safetensors file, whose header carries a JSON document.

The arrays are the file's tensors; everything else is plain JSON in the header's
metadata, so that loading builds data and never runs code. A digest over both tells a
damaged file from a whole one. A file appears under its name only when it is complete.
"""

import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes

from thalweg.core import Array, DenseNetwork, History, Network, Plan, Run, StopReason

FORMAT = 1
"""Version of what `write` writes; `read` understands it and all before it."""

_MISUNDERSTOOD = AttributeError, LookupError, RecursionError, TypeError, ValueError

PathLike = str | os.PathLike[str]
Contents = tuple[str, dict[str, Any], dict[str, Array]]


def save(run: Run, path: PathLike) -> None:
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
        Where the network or the plan holds a function, which no file can keep.
    """
    write_model_file(path, "run", *pack_run(run))


def load_run(path: PathLike) -> Run:
    """Read what `save` wrote.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    Run

    Raises
    ------
    OSError
        If the file does not exist or cannot be opened.
    ValueError
        If it is not a whole model file, or holds another kind of model.
    """
    content, arrays = read_model_of_kind("run", path)
    with understood_model(path):
        return unpack_run(content, arrays)


def pack_run(run: Run) -> tuple[dict[str, Any], dict[str, Array]]:
    """Take a run apart into plain values and named arrays; `unpack` undoes it."""
    if isinstance(run.network, Network):
        raise ValueError(
            "save got the run of a Network, whose functions no file can keep. Save a "
            "Keras model by model.save; of others keep run.parameters yourself."
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
    """Put together what `pack` took apart."""
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
    replace_file(Path(path), to_bytes(plain, metadata))


def read_model_file(path: PathLike) -> Contents:
    """Read what `write` wrote: the kind, the content and the arrays.

    Raises
    ------
    OSError
        If the file does not exist or cannot be opened.
    ValueError
        If it is of another kind, damaged, or written by a newer version.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f"there is no file {path}. Check the name and folder.")
    metadata, arrays = _tensors(path)
    _check_origin(path, metadata)
    text = metadata.get("document", "")
    if metadata.get("digest") != _digest(metadata["thalweg"] + text, arrays):
        raise _damaged(path)
    with understood_model(path):
        document = json.loads(text)
        return document["kind"], document["content"], arrays


def read_model_of_kind(
    kind: str, path: PathLike
) -> tuple[dict[str, Any], dict[str, Array]]:
    """Read what `write` wrote of this kind: its content and arrays.

    Raises
    ------
    OSError, ValueError
        As `read`, and where the file holds something else.
    """
    found, content, arrays = read_model_file(path)
    if found != kind:
        article = "an" if kind[0] in "AEIOU" else "a"
        raise ValueError(
            f"{path} holds a {found}, not {article} {kind}. Load it with "
            f"thalweg.{'load' if found == 'run' else f'{found}.load'}."
        )
    return content, arrays


@contextmanager
def understood_model(path: PathLike) -> Iterator[None]:
    """Turn whatever goes wrong with a file's content into one clear error."""
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
            f"{path} is not a model file, or a damaged one (safetensors: {error}). "
            "Give a file that thalweg wrote; if it did write this one, train anew."
        ) from error


def _check_origin(path: PathLike, metadata: Mapping[str, str]) -> None:
    version = metadata.get("thalweg")
    if version is None:
        raise ValueError(
            f"{path} is a safetensors file that thalweg did not write. Give a file "
            "written by `thalweg fit`, thalweg.save or a model's save method."
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
        f"{path} is damaged: its content is not what thalweg wrote. Copy it again "
        "from where it came, or train anew."
    )


def _digest(text: str, arrays: Mapping[str, Array]) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"\n{name} {array.dtype.name} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def check_folder(path: Path) -> None:
    """Raise FileNotFoundError if there is no folder to write a file in."""
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"there is no folder {path.parent} to write {path.name} in. Create it "
            "first, or choose another."
        )


def replace_file(path: Path, data: bytes) -> None:
    """Write a file under its name in one step, in a folder that exists."""
    check_folder(path)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with open(draft, "xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        with suppress(OSError):
            draft.unlink()
        raise

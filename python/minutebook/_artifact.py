"""What a model is, as a SHA-256: of bytes, of a file or folder, or of what an estimator's own library saves of it.

Edge: says which bytes were hashed and how they were made; whether two digests mean the same model is for the reader
(docs/python/digests.md).
"""

from __future__ import annotations

import hashlib
import inspect
import os
import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

_CHUNK_BYTES = 1 << 20


class Artifact(NamedTuple):
    """A digest and where it comes from."""

    sha256: bytes
    how: str
    """What was hashed: `bytes`, `file`, `folder`, `onnx`, `xgboost`, `lightgbm`, `torch`, `source`, `pickle`."""


def artifact(of: Any) -> Artifact:
    """The digest of a model.

    Raises FileNotFoundError for a path where nothing is, TypeError for an object that cannot be hashed. Blocks while it reads.
    """
    if isinstance(of, (bytes, bytearray, memoryview)):
        return Artifact(hashlib.sha256(of).digest(), "bytes")
    if isinstance(of, (str, os.PathLike)):
        path = Path(of)
        return Artifact(_folder(path), "folder") if path.is_dir() else Artifact(_file(path), "file")
    for how, saved in _LIBRARIES:
        content = saved(of)
        if content is not None:
            return Artifact(hashlib.sha256(content).digest(), how)
    if inspect.isroutine(of):
        return Artifact(hashlib.sha256(_source(of)).digest(), "source")
    try:
        content = pickle.dumps(of, protocol=5)
    except Exception as error:
        raise TypeError(f"a `{type(of).__qualname__}` cannot be pickled ({error}): give the model's file or bytes") from None
    return Artifact(hashlib.sha256(content).digest(), "pickle")


def _file(path: Path) -> bytes:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.digest()


def _folder(folder: Path) -> bytes:
    """SHA-256 over a line of text, then for each file in the order of its name's bytes: length of the name (8 bytes, little-endian),
    name relative to the folder with `/`, SHA-256 of the content. Links to files count as what they lead to; empty folders do not count.
    """
    digest = hashlib.sha256(b"minutebook/folder/1\n")
    for name, path in sorted(_files(folder)):
        digest.update(len(name).to_bytes(8, "little") + name + _file(path))
    return digest.digest()


def _files(folder: Path) -> Iterator[tuple[bytes, Path]]:
    for at, folders, names in os.walk(folder):
        for name in folders:
            if (Path(at) / name).is_symlink():
                raise ValueError(f"`{Path(at) / name}` is a link to a folder: hash what it leads to")
        for name in names:
            path = Path(at) / name
            yield os.fsencode(path.relative_to(folder)), path


def _of_onnx(model: Any) -> bytes | None:
    if _comes_from(model, "onnx") and hasattr(model, "SerializeToString"):
        return model.SerializeToString(deterministic=True)
    if _comes_from(model, "onnxruntime") and type(model).__name__ == "InferenceSession":
        # The session forgets how it was made but for these. A path is read again: it is the file as it is now.
        content, path = getattr(model, "_model_bytes", None), getattr(model, "_model_path", None)
        if content:
            return content
        if path:
            return Path(path).read_bytes()
        raise TypeError("this session does not say what it was loaded from: give the model's file or bytes")
    return None


def _of_xgboost(model: Any) -> bytes | None:
    booster = model.get_booster() if hasattr(model, "get_booster") else model
    if _comes_from(booster, "xgboost") and hasattr(booster, "save_raw"):
        return bytes(booster.save_raw("ubj"))
    return None


def _of_lightgbm(model: Any) -> bytes | None:
    booster = getattr(model, "booster_", model) if _comes_from(model, "lightgbm") else None
    if booster is not None and hasattr(booster, "model_to_string"):
        return booster.model_to_string(num_iteration=-1).encode()
    return None


def _of_torch(model: Any) -> bytes | None:
    """For each tensor of the state in the order of its name: name, type and shape as a line of text, the row-major little-endian bytes."""
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(model, torch.nn.Module):
        return None
    content = bytearray(b"minutebook/torch/1\n")
    for name, tensor in sorted(model.state_dict().items()):
        if not isinstance(tensor, torch.Tensor):
            raise TypeError(f"the state `{name}` is no tensor: give the model's file or bytes")
        flat = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        content += f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode() + flat.numpy().tobytes()
    return bytes(content)


_LIBRARIES = (("onnx", _of_onnx), ("xgboost", _of_xgboost), ("lightgbm", _of_lightgbm), ("torch", _of_torch))


def _comes_from(thing: Any, library: str) -> bool:
    return any(base.__module__.partition(".")[0] == library for base in type(thing).__mro__)


def _source(function: Any) -> bytes:
    try:
        return inspect.getsource(function).encode()
    except (OSError, TypeError):
        raise TypeError(f"the source of `{function!r}` cannot be read: give the model's file or bytes") from None


def library_of(thing: Any) -> str | None:
    """The distribution's import name that an object's class comes from; None for what Python brings along."""
    name = type(thing).__module__.partition(".")[0]
    return None if name in ("builtins", "__main__") or name in sys.stdlib_module_names else name

"""Arrays from files: laws of the round trip; hostile files are refused before memory is taken."""

import io
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from rcvd.arrays import read_npy, read_npz
from rcvd.errors import UserError

MB = 2**20


def header_only(shape: tuple[int, ...]) -> bytes:
    """The start of a .npy file that claims a float64 array of this shape, and 64 bytes of it."""
    stream = io.BytesIO()
    fields = {"descr": "<f8", "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, fields)
    return stream.getvalue() + bytes(64)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12.0).reshape(3, 4),
        np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.array(5.0),
        np.zeros((0, 3)),
        np.array(["a", "bc"]),
    ],
)
def test_round_trip(tmp_path: Path, array: np.ndarray) -> None:
    np.save(tmp_path / "x.npy", array)
    np.testing.assert_array_equal(read_npy(tmp_path / "x.npy"), array)
    np.savez_compressed(tmp_path / "x.npz", a=array, b=array)
    content = read_npz(tmp_path / "x.npz")
    assert content.keys() == {"a", "b"}
    np.testing.assert_array_equal(content["b"], array)
    assert read_npz(tmp_path / "x.npz", ["b"]).keys() == {"b"}
    with pytest.raises(UserError, match="it lacks c, d"):
        read_npz(tmp_path / "x.npz", ["a", "d", "c"])


def test_claims_are_not_believed(tmp_path: Path) -> None:
    (tmp_path / "x.npy").write_bytes(header_only((2**20, 2**20)))
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("z.npy", header_only((2**20, 2**20)))
    tracemalloc.start()
    with pytest.raises(UserError, match=r"x\.npy is damaged .* ends too early"):
        read_npy(tmp_path / "x.npy")
    with pytest.raises(UserError, match=r"x\.npz is damaged .* ends too early"):
        read_npz(tmp_path / "x.npz")
    assert tracemalloc.get_traced_memory()[1] < MB
    tracemalloc.stop()


def test_zip_bomb(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "bomb.npz", z=np.zeros(4 * MB, np.uint8))
    assert (tmp_path / "bomb.npz").stat().st_size < MB / 20
    assert read_npz(tmp_path / "bomb.npz")["z"].nbytes == 4 * MB
    tracemalloc.start()
    with pytest.raises(UserError, match="unpack to more than 1048576 bytes"):
        read_npz(tmp_path / "bomb.npz", limit=MB)
    assert tracemalloc.get_traced_memory()[1] < MB
    tracemalloc.stop()


def test_python_objects_are_refused(tmp_path: Path) -> None:
    objects = np.array([{"a": 1}], dtype=object)
    np.save(tmp_path / "x.npy", objects, allow_pickle=True)
    np.savez(tmp_path / "x.npz", objects)
    with pytest.raises(UserError, match="holds Python objects"):
        read_npy(tmp_path / "x.npy")
    with pytest.raises(UserError, match="holds Python objects"):
        read_npz(tmp_path / "x.npz")


@pytest.mark.parametrize("content", [b"", b"x", b"\x93NUMPY\x09\x00", b"PK\x03\x04" + bytes(40)])
def test_damage_is_named(tmp_path: Path, content: bytes) -> None:
    for name, read in (("x.npy", read_npy), ("x.npz", read_npz)):
        with pytest.raises(UserError, match=f"{name} does not exist"):
            read(tmp_path / name)
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=f"{name} is damaged"):
            read(tmp_path / name)

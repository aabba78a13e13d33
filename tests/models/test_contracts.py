"""One contract for every backend of each table, through the real loading code."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from rcvd.depth.model import DEPTH_MODELS, load_depth
from rcvd.errors import UserError
from rcvd.flow.flownet import FlowNet, save_flownet
from rcvd.flow.model import FLOW_MODELS, load_flow
from rcvd.masks.detector import DetectorOptions
from rcvd.masks.model import MASK_MODELS, load_masks
from tests.models import checkpoints

pytestmark = [
    pytest.mark.models,
    # detectron2 is no longer kept free of them
    pytest.mark.filterwarnings("ignore:pkg_resources is deprecated"),
    pytest.mark.filterwarnings("ignore:torch.meshgrid:UserWarning"),
    pytest.mark.filterwarnings("ignore:`torch.jit.script:FutureWarning"),
    pytest.mark.filterwarnings("ignore:`torch.jit.script:DeprecationWarning"),
]

SIZE = (72, 104)
CPU = torch.device("cpu")
WEIGHTLESS = {"dis", "lucas_kanade", "motion", "none", "constant", "bundled"}
TORCHVISION_MASKS = ("maskrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn_v2")
KINDS = ("depth_anything", "depth_anything_metric", "dpt", "zoedepth", "glpn", "depth_pro")
KIND_OF = {"zoedepth": "zoedepth", "depth_pro": "depth_pro", "dpt_large": "dpt"}


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The checkpoint of a backend, or of a kind of depth network, made once."""
    folder = tmp_path_factory.mktemp("checkpoints")
    done: dict[str, Path] = {}

    def make(name: str) -> Path:
        if name in done:
            return done[name]
        if name == "flownet":
            save_flownet(FlowNet(), folder / "flownet.safetensors")
            done[name] = folder / "flownet.safetensors"
        elif name in FLOW_MODELS:
            done[name] = checkpoints.raft_file(name, folder)
        elif name in TORCHVISION_MASKS:
            done[name] = checkpoints.mask_rcnn_file(name, folder)
        elif name == "detectron2":
            pytest.importorskip("detectron2")
            done[name] = checkpoints.detectron2_files(folder)[".pkl"]
        elif name in ("mask2former", "eomt"):
            done[name] = checkpoints.masks_folder(name, folder)
        elif name in KINDS:
            done[name] = checkpoints.depth_folder(name, folder)
        else:
            raise KeyError(name)
        return done[name]

    return make


@pytest.fixture(scope="session")
def rgb() -> Float[Tensor, "2 3 h w"]:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(2, 3, 9, 13, generator=generator)
    return torch.nn.functional.interpolate(coarse, SIZE, mode="bilinear")


def source_of(backend: str) -> str:
    """Whose checkpoint serves a backend."""
    if backend == "transformers":
        return "mask2former"
    return KIND_OF.get(backend, backend)


@pytest.mark.parametrize("name", sorted(FLOW_MODELS.keys() - WEIGHTLESS))
def test_flow(name: str, made: Callable[[str], Path], rgb: Tensor) -> None:
    model = load_flow(name, CPU, made(name))
    flow = model(rgb, rgb.flip(0))
    assert flow.shape == (2, *SIZE, 2)
    assert flow.dtype == rgb.dtype
    assert flow.isfinite().all()
    assert flow.std() > 0
    assert torch.equal(flow, load_flow(name, CPU, made(name))(rgb, rgb.flip(0)))
    one_by_one = torch.cat([model(rgb[k : k + 1], rgb[1 - k : 2 - k]) for k in (0, 1)])
    torch.testing.assert_close(flow, one_by_one, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_depth(kind: str, made: Callable[[str], Path], rgb: Tensor) -> None:
    model = load_depth("transformers", weights=made(kind))
    z = model(rgb)
    assert z.shape == (2, *SIZE)
    assert (z > 0).all()
    assert z.isfinite().all()
    assert z.std() > 0
    assert model.metric == (kind in ("depth_anything_metric", "zoedepth", "glpn", "depth_pro"))
    assert model.free_disparity_shift != model.metric
    assert torch.equal(z, load_depth("transformers", weights=made(kind))(rgb))
    z.log().square().mean().backward()
    for group in ("decoder", "all"):
        parameters = model.trainable_parameters(group)
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in parameters), group
    assert len(model.trainable_parameters("decoder")) < len(model.trainable_parameters("all"))


@pytest.mark.parametrize("name", sorted(DEPTH_MODELS.keys() - WEIGHTLESS - {"transformers"}))
def test_published_depth_names_take_a_folder(name: str, made: Callable[[str], Path]) -> None:
    model = load_depth(name, weights=made(KIND_OF.get(name, "depth_anything")))
    assert model.trainable


@pytest.mark.parametrize("name", sorted(MASK_MODELS.keys() - WEIGHTLESS))
def test_masks(name: str, made: Callable[[str], Path], rgb: Tensor) -> None:
    options = DetectorOptions(weights=made(source_of(name)), short_side=72)
    model = load_masks(name, CPU, options)
    assert model.looks
    found = model.detect(rgb[0])
    assert len(found) > 0
    assert found.masks.shape[1:] == SIZE
    assert set(found.labels) == {"person"}
    assert (found.scores >= 0.5).all()
    assert (found.scores <= 1).all()
    assert (found.scores.diff() <= 0).all()
    again = load_masks(name, CPU, options).detect(rgb[0])
    assert torch.equal(found.masks, again.masks)
    assert torch.equal(found.scores, again.scores)
    vehicles = DetectorOptions(("vehicle",), weights=options.weights, short_side=72)
    assert len(load_masks(name, CPU, vehicles).detect(rgb[0])) == 0


def test_detectron2_reads_its_trainers_checkpoint_too(
    tmp_path: Path, made: Callable[[str], Path], rgb: Tensor
) -> None:
    pytest.importorskip("detectron2")
    files = checkpoints.detectron2_files(tmp_path)
    a, b = (
        load_masks("detectron2", CPU, DetectorOptions(weights=path, short_side=72)).detect(rgb[0])
        for path in files.values()
    )
    assert torch.equal(a.masks, b.masks)


LOADERS: dict[str, Callable[[str, Path], object]] = {
    **{name: lambda n, p: load_flow(n, CPU, p) for name in FLOW_MODELS.keys() - WEIGHTLESS},
    **{
        name: lambda n, p: load_masks(n, CPU, DetectorOptions(weights=p))
        for name in MASK_MODELS.keys() - WEIGHTLESS
    },
    **{name: lambda n, p: load_depth("transformers", weights=p) for name in KINDS},
}


@pytest.mark.parametrize("name", sorted(LOADERS))
def test_wrong_keys_truncated_and_missing_files_are_named(
    name: str, made: Callable[[str], Path], tmp_path: Path
) -> None:
    path, load = made(source_of(name)), LOADERS[name]
    with pytest.raises(UserError, match="nothing"):
        load(name, tmp_path / "nothing.pth")
    for damage, text in ((truncate, "damaged or truncated|[Ii]ncomplete|corrupt"),
                         (rename_a_key, "missing .*(weight|bias)")):  # fmt: skip
        with pytest.raises(UserError, match=text) as caught:
            load(name, damage(path, tmp_path / f"{damage.__name__}{path.suffix}"))
        assert "\n" not in str(caught.value)


def truncate(path: Path, to: Path) -> Path:
    """The checkpoint without the second half of its weights."""
    file = copied(path, to)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    return to


def rename_a_key(path: Path, to: Path) -> Path:
    """The checkpoint with its last weight under another name."""
    file = copied(path, to)
    if file.suffix == ".safetensors":
        from safetensors.torch import load_file, save_file

        tensors = load_file(file)
        key = [k for k in tensors if k.endswith("weight")][-1]
        tensors["other"] = tensors.pop(key)
        save_file(tensors, file, {"format": "pt"})
    elif file.suffix == ".pkl":
        import pickle

        content = pickle.loads(file.read_bytes())
        content["model"]["other"] = content["model"].pop("roi_heads.box_head.fc1.weight")
        file.write_bytes(pickle.dumps(content))
    else:
        tensors = torch.load(file)
        key = [k for k in tensors if k.endswith("weight")][-1]
        tensors["other"] = tensors.pop(key)
        torch.save(tensors, file)
    return to


def copied(path: Path, to: Path) -> Path:
    """A copy of a checkpoint; the file with its weights."""
    import shutil

    if path.is_dir():
        shutil.copytree(path, to)
        return to / "model.safetensors"
    shutil.copyfile(path, to)
    return to


def test_no_network_says_where_to_get_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real downloads, to an address that refuses connections."""
    from rcvd import checkpoints as table

    torch.hub.set_dir(str(tmp_path))
    gone = "http://127.0.0.1:9/"
    for name in ("raft_small", "maskrcnn_resnet50_fpn"):
        entry = table.CHECKPOINTS[name]
        monkeypatch.setattr(type(entry), "url", property(lambda self: gone + "file-abcdef12.pth"))
        with pytest.raises(
            UserError, match=r"cannot download http://127.*another machine.*put it at"
        ):
            table.fetched(name, "--set flow.weights=FILE")
        monkeypatch.undo()
        torch.hub.set_dir(str(tmp_path))

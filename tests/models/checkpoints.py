"""Checkpoints with random weights in the form their publishers give them."""

import json
import pickle
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import nn

from rcvd.masks.classes import GROUPS

COCO = [name for group in GROUPS.values() for name in group] + ["chair", "dining table"]
STAGES = ["stage1", "stage2", "stage3", "stage4"]
SPREAD = 3.0  # of random weights, so that outputs vary over the image


def randomised(network: Any, seed: int = 0, spread: float = 1.0) -> Any:
    """The network with weights that neither vanish nor explode through its layers."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() > 1:
                fan_in = parameter[0].numel()
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.copy_(spread * noise / fan_in**0.5)
    return network.eval()


def raft_file(name: str, folder: Path) -> Path:
    """A plain state dict, as torchvision publishes it."""
    torchvision = import_module("torchvision")

    torch.manual_seed(0)
    path = folder / f"{name}.pth"
    torch.save(getattr(torchvision.models.optical_flow, name)(weights=None).state_dict(), path)
    return path


OLD_NAMES = {  # of torchvision before 0.13, which the published file of the first Mask R-CNN has
    **{
        f"fpn.{b}_blocks.{n}.0.": f"fpn.{b}_blocks.{n}."
        for b in ("inner", "layer")
        for n in range(4)
    },
    "rpn.head.conv.0.0.": "rpn.head.conv.",
    **{f"mask_head.{n}.0.": f"mask_head.mask_fcn{n + 1}." for n in range(4)},
}


def mask_rcnn_file(name: str, folder: Path) -> Path:
    """A state dict that finds a person in every proposal."""
    torchvision = import_module("torchvision")

    torch.manual_seed(0)
    network = getattr(torchvision.models.detection, name)(weights=None, weights_backbone=None)
    with torch.no_grad():
        network.roi_heads.box_predictor.cls_score.bias[1] = 8.0
        network.roi_heads.mask_predictor.mask_fcn_logits.weight.mul_(SPREAD)
    state = network.state_dict()
    if name == "maskrcnn_resnet50_fpn":
        for new, old in OLD_NAMES.items():
            state = {key.replace(new, old): value for key, value in state.items()}
        state = {k: v for k, v in state.items() if "num_batches_tracked" not in k}
    path = folder / f"{name}.pth"
    torch.save(state, path)
    return path


def detectron2_files(folder: Path) -> dict[str, Path]:
    """The zoo's pickle of arrays and the trainer's checkpoint, of the same weights."""
    model_zoo = import_module("detectron2.model_zoo")
    modeling = import_module("detectron2.modeling")

    torch.manual_seed(0)
    config = model_zoo.get_config("COCO-InstanceSegmentation/mask_rcnn_R_50_FPN_3x.yaml")
    config.MODEL.DEVICE = "cpu"
    network = modeling.build_model(config)
    with torch.no_grad():
        network.roi_heads.box_predictor.cls_score.bias[0] = 8.0
        for name, parameter in network.named_parameters():
            if name.endswith("conv3.weight"):  # else features grow from block to block
                parameter.mul_(0.3)
    state = network.state_dict()
    arrays = {key: value.numpy() for key, value in state.items()}
    zoo = {"model": arrays, "__author__": "Detectron2 Model Zoo"}
    (folder / "model_final.pkl").write_bytes(pickle.dumps(zoo))
    torch.save({"model": state, "iteration": 9, "optimizer": {}}, folder / "model_final.pth")
    return {suffix: folder / f"model_final{suffix}" for suffix in (".pkl", ".pth")}


def _dinov2(transformers: Any, patch: int, side: int, **options: Any) -> Any:
    return transformers.Dinov2Config(
        hidden_size=32, num_hidden_layers=4, num_attention_heads=2, mlp_ratio=2,
        patch_size=patch, image_size=side, **options,
    )  # fmt: skip


def _depth_anything(transformers: Any, kind: str, max_depth: int) -> nn.Module:
    backbone = _dinov2(transformers, 14, 28, out_features=STAGES, reshape_hidden_states=False)
    config = transformers.DepthAnythingConfig(
        backbone_config=backbone, reassemble_hidden_size=32, patch_size=14,
        neck_hidden_sizes=[8, 8, 16, 16], fusion_hidden_size=8, head_hidden_size=4,
        depth_estimation_type=kind, max_depth=max_depth,
    )  # fmt: skip
    return transformers.DepthAnythingForDepthEstimation(config)


def _dpt(transformers: Any) -> nn.Module:
    config = transformers.DPTConfig(
        hidden_size=32, num_hidden_layers=4, num_attention_heads=2, intermediate_size=64,
        image_size=32, patch_size=16, backbone_out_indices=[0, 1, 2, 3],
        neck_hidden_sizes=[8, 8, 16, 16], fusion_hidden_size=8,
    )  # fmt: skip
    return transformers.DPTForDepthEstimation(config)


def _zoedepth(transformers: Any) -> nn.Module:
    backbone = transformers.BeitConfig(
        hidden_size=32, num_hidden_layers=4, num_attention_heads=2, intermediate_size=64,
        image_size=32, patch_size=16, out_features=STAGES, reshape_hidden_states=False,
        use_relative_position_bias=True,
    )  # fmt: skip
    config = transformers.ZoeDepthConfig(
        backbone_config=backbone, neck_hidden_sizes=[8, 8, 16, 16], fusion_hidden_size=8,
        bottleneck_features=8, num_relative_features=4, bin_embedding_dim=8,
        num_attractors=[4, 2, 2, 1],
        bin_configurations=[{"n_bins": 8, "min_depth": 0.001, "max_depth": 10.0}],
    )  # fmt: skip
    return transformers.ZoeDepthForDepthEstimation(config)


def _glpn(transformers: Any) -> nn.Module:
    config = transformers.GLPNConfig(
        hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=8,
    )  # fmt: skip
    return transformers.GLPNForDepthEstimation(config)


def _depth_pro(transformers: Any) -> nn.Module:
    encoder = _dinov2(transformers, 8, 32)
    config = transformers.DepthProConfig(
        image_model_config=encoder, patch_model_config=encoder, fov_model_config=encoder,
        patch_size=32, fusion_hidden_size=8, intermediate_hook_ids=[1, 0],
        intermediate_feature_dims=[8, 8], scaled_images_feature_dims=[8, 8, 8],
    )  # fmt: skip
    return transformers.DepthProForDepthEstimation(config)


SIZES = {"depth_anything": 56, "depth_anything_metric": 56, "depth_pro": 128}


def depth_folder(kind: str, folder: Path) -> Path:
    """A tiny network of one kind, made by save_pretrained, with its preprocessing beside it."""
    transformers = import_module("transformers")

    makers = {
        "depth_anything": lambda: _depth_anything(transformers, "relative", 1),
        "depth_anything_metric": lambda: _depth_anything(transformers, "metric", 20),
        "dpt": lambda: _dpt(transformers),
        "zoedepth": lambda: _zoedepth(transformers),
        "glpn": lambda: _glpn(transformers),
        "depth_pro": lambda: _depth_pro(transformers),
    }
    path = folder / kind
    network = randomised(makers[kind](), spread=0.7 if kind == "depth_pro" else 1.5)
    if kind == "depth_pro":
        with torch.no_grad():  # else half of the picture is at its far limit, without a gradient
            network.head.layers[4].weight.mul_(0.2)
            network.head.layers[4].bias.fill_(1.0)
    network.save_pretrained(path)
    side = SIZES.get(kind, 64)
    multiple = 14 if kind.startswith("depth_anything") else 32
    form = {
        "size": {"height": side, "width": side},
        "keep_aspect_ratio": kind not in ("depth_pro", "dpt"),
        "ensure_multiple_of": multiple,
    }
    if kind != "glpn":
        (path / "preprocessor_config.json").write_text(json.dumps(form))
    return path


def masks_folder(kind: str, folder: Path) -> Path:
    """A tiny Mask2Former or EoMT whose queries all see a person."""
    transformers = import_module("transformers")

    labels = dict(enumerate(COCO))
    if kind == "mask2former":
        backbone = transformers.SwinConfig(
            embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=4,
            out_features=STAGES,
        )  # fmt: skip
        config = transformers.Mask2FormerConfig(
            backbone_config=backbone, feature_size=32, mask_feature_size=32, hidden_dim=32,
            encoder_feedforward_dim=32, dim_feedforward=32, encoder_layers=1, decoder_layers=2,
            num_attention_heads=2, num_queries=8, id2label=labels,
        )  # fmt: skip
        network = transformers.Mask2FormerForUniversalSegmentation(config)
    else:
        config = transformers.EomtConfig(
            hidden_size=16, num_hidden_layers=4, num_attention_heads=2, image_size=64,
            patch_size=8, num_queries=8, num_blocks=2, num_upscale_blocks=1, id2label=labels,
        )  # fmt: skip
        network = transformers.EomtForUniversalSegmentation(config)
    randomised(network)
    with torch.no_grad():
        network.class_predictor.bias[0] = 20.0
    path = folder / kind
    network.save_pretrained(path)
    return path

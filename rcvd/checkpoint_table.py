"""The published weights that backends can use: one table."""

from dataclasses import dataclass

TORCHVISION = "https://download.pytorch.org/models"
DETECTRON2 = "https://dl.fbaipublicfiles.com/detectron2/COCO-InstanceSegmentation"
CHAIRS = "FlyingChairs, FlyingThings3D"
IMAGENET = "RGB, ImageNet mean and deviation"
COCO = "RGB in [0, 1], short side 800, at most 1333"
CLIP_112 = "RGB, Kinetics mean and deviation, 16 frames of 112 x 112"
CLIP_224 = "RGB, Kinetics mean and deviation, 14 frames of 224 x 224 at least"
CLIP, VIDEO = "Kinetics-400 accuracy of a clip", "Kinetics-400 accuracy of a video"
UNCHECKED = "not checked against the publication"
SHORT_518 = f"{IMAGENET}, short side 518, multiples of 14; affine-invariant disparity out"


@dataclass(frozen=True)
class Checkpoint:
    """What is known about one set of weights.

    backend: family and backend that use it. source: URL, name on the Hugging Face hub, or who
    trained it. sha256: of the file, whole or the first digits its publisher states; empty where
    only the hub knows it. commercial: whether the licence allows commercial use. size: bytes, of a
    published file to about 1 %. preprocessing: what the network expects. score: as published, with
    UNCHECKED where it was not compared with the publication. file: name under rcvd/assets/ where
    the weights are bundled, else empty.
    """

    backend: str
    source: str
    sha256: str
    licence: str
    commercial: bool
    size: int
    preprocessing: str
    score: str
    file: str = ""

    @property
    def url(self) -> str:
        """The file's address; empty for bundled weights and those of the hub."""
        return self.source if self.source.startswith("https://") else ""

    @property
    def hub(self) -> str:
        """Name on the Hugging Face hub, or empty."""
        return "" if self.file or self.url else self.source


def _hub(backend: str, source: str, licence: str, size: int, form: str, score: str) -> Checkpoint:
    free = not any(word in licence for word in ("NC", "research"))
    return Checkpoint(backend, source, "", licence, free, size, form, score)


def _video(name: str, digits: str, size: int, form: str, score: str) -> Checkpoint:
    """A video network of torchvision's; its file is named by the first digits of its SHA-256."""
    url = f"{TORCHVISION}/{name}-{digits}.pth"
    backend, licence = f"recognition.{name}", "BSD-3-Clause"
    return Checkpoint(backend, url, digits, licence, True, size, form, score)


CHECKPOINTS: dict[str, Checkpoint] = {
    "depth_bundled": Checkpoint(
        backend="depth.bundled",
        source="trained by this project on its procedural scenes",
        sha256="663027bf167894fcb96dc8bc1f34d55a8d80d1be590a4b74b0e7ec3510ccdc7e",
        licence="Apache-2.0",
        commercial=True,
        size=10_799_400,
        preprocessing="RGB in [0, 1], long side 256 to 384, multiples of 32; log-disparity out",
        score="own: AbsRel, one scale a frame, .185 livingroom, .199 room, .393 office",
        file="depth_bundled.safetensors",
    ),
    "flow_bundled": Checkpoint(
        backend="flow.bundled",
        source="trained by this project on its procedural scenes",
        sha256="e9e8aeaf3fb8ec797d70ca01e1a65dc3573ef5e9f03ef719e239f66ec647f885",
        licence="Apache-2.0",
        commercial=True,
        size=3_863_448,
        preprocessing="RGB in [0, 1], multiples of 8; displacement in pixels out",
        score="own: see docs/model_cards/flow_bundled.md",
        file="flow_bundled.safetensors",
    ),
    "siamfc_bundled": Checkpoint(
        backend="recognition.siamfc",
        source="trained by this project: rcvd recognize train-tracker --steps 450 --shots 16 "
        "--sprites 200 --width 0.25",
        sha256="bed554de525b74d422d923bedda3227e7bbb7a421ee4263deac810993a146b7e",
        licence="Apache-2.0",
        commercial=True,
        size=309_922,
        preprocessing="RGB in [0, 1]; crops of 127 and 255 px around the box with its context",
        score="own: mean IoU .82 on 58 MotionWorld sprites of another seed, first box given",
        file="siamfc_bundled.safetensors",
    ),
    "raft_small": Checkpoint(
        backend="flow.raft_small",
        source=f"{TORCHVISION}/raft_small_C_T_V2-01064c6d.pth",
        sha256="01064c6d",
        licence="BSD-3-Clause",
        commercial=True,
        size=4_010_000,
        preprocessing="RGB in [-1, 1], multiples of 8, at least 128",
        score=f"EPE 1.99 Sintel clean, 3.28 final ({CHAIRS})",
    ),
    "raft_large": Checkpoint(
        backend="flow.raft_large",
        source=f"{TORCHVISION}/raft_large_C_T_SKHT_V2-ff5fadd5.pth",
        sha256="ff5fadd5",
        licence="BSD-3-Clause",
        commercial=True,
        size=21_110_000,
        preprocessing="RGB in [-1, 1], multiples of 8, at least 128",
        score=f"EPE 1.82 Sintel test clean, 3.07 final ({CHAIRS}, Sintel, KITTI, HD1K)",
    ),
    "maskrcnn_resnet50_fpn": Checkpoint(
        backend="masks.maskrcnn_resnet50_fpn",
        source=f"{TORCHVISION}/maskrcnn_resnet50_fpn_coco-bf2d0c1e.pth",
        sha256="bf2d0c1e",
        licence="BSD-3-Clause",
        commercial=True,
        size=178_090_000,
        preprocessing=COCO,
        score="COCO val2017: box AP 37.9, mask AP 34.6",
    ),
    "maskrcnn_resnet50_fpn_v2": Checkpoint(
        backend="masks.maskrcnn_resnet50_fpn_v2",
        source=f"{TORCHVISION}/maskrcnn_resnet50_fpn_v2_coco-73cbd019.pth",
        sha256="73cbd019",
        licence="BSD-3-Clause",
        commercial=True,
        size=185_830_000,
        preprocessing=COCO,
        score="COCO val2017: box AP 47.4, mask AP 41.8",
    ),
    "mask_rcnn_R_50_FPN_3x": Checkpoint(
        backend="masks.detectron2",
        source=f"{DETECTRON2}/mask_rcnn_R_50_FPN_3x/137849600/model_final_f10217.pkl",
        sha256="f10217",
        licence="CC-BY-SA-3.0",
        commercial=True,
        size=177_840_000,
        preprocessing="BGR in [0, 255] less its mean, short side 800, at most 1333",
        score="COCO val2017: box AP 41.0, mask AP 37.2",
    ),
    "mask2former": _hub(
        "masks.mask2former",
        "facebook/mask2former-swin-tiny-coco-instance",
        "CC-BY-NC-4.0",
        190_000_000,
        f"{IMAGENET}, multiples of 32",
        "COCO val2017: mask AP 45.0",
    ),
    "eomt": _hub(
        "masks.eomt",
        "tue-mps/coco_instance_eomt_large_640",
        "MIT",
        1_260_000_000,
        f"{IMAGENET}, long side 640, padded to a square",
        "COCO val2017: mask AP 45.2",
    ),
    "depth_anything_v2_small": _hub(
        "depth.depth_anything_v2_small",
        "depth-anything/Depth-Anything-V2-Small-hf",
        "Apache-2.0",
        99_200_000,
        SHORT_518,
        f"AbsRel .053 NYUv2, .078 KITTI; {UNCHECKED}",
    ),
    "depth_anything_v2_base": _hub(
        "depth.depth_anything_v2_base",
        "depth-anything/Depth-Anything-V2-Base-hf",
        "CC-BY-NC-4.0",
        390_000_000,
        SHORT_518,
        f"AbsRel .049 NYUv2, .078 KITTI; {UNCHECKED}",
    ),
    "depth_anything_v2_large": _hub(
        "depth.depth_anything_v2_large",
        "depth-anything/Depth-Anything-V2-Large-hf",
        "CC-BY-NC-4.0",
        1_341_000_000,
        SHORT_518,
        f"AbsRel .045 NYUv2, .074 KITTI; {UNCHECKED}",
    ),
    "dpt_large": _hub(
        "depth.dpt_large",
        "Intel/dpt-large",
        "Apache-2.0",
        1_370_000_000,
        "RGB in [-1, 1], 384 x 384; affine-invariant disparity out (MiDaS 3.0)",
        f"zero-shot WHDR 10.82 on DIW; {UNCHECKED}",
    ),
    "zoedepth": _hub(
        "depth.zoedepth",
        "Intel/zoedepth-nyu-kitti",
        "MIT",
        1_380_000_000,
        "RGB in [-1, 1], near 384 x 512, multiples of 32; metres out",
        f"AbsRel .077 NYUv2, .054 KITTI; {UNCHECKED}",
    ),
    "depth_pro": _hub(
        "depth.depth_pro",
        "apple/DepthPro-hf",
        "Apple ML research licence (research only)",
        1_904_000_000,
        "RGB in [-1, 1], 1536 x 1536; inverse depth and field of view out",
        f"zero-shot delta < 1.25: 89.0 % Sun-RGBD; {UNCHECKED}",
    ),
    "r3d_18": _video("r3d_18", "b3b3357e", 133_600_000, CLIP_112, f"{CLIP} 52.8"),
    "mc3_18": _video("mc3_18", "a90a0ba3", 46_900_000, CLIP_112, f"{CLIP} 53.9"),
    "r2plus1d_18": _video("r2plus1d_18", "91a641e6", 126_200_000, CLIP_112, f"{CLIP} 57.5"),
    "s3d": _video("s3d", "d76dad2f", 33_500_000, CLIP_224, f"{CLIP} 68.4"),
    "mvit_v2_s": _video(
        "mvit_v2_s", "ae3be167", 138_300_000, "16 frames of 224 x 224, mean .45", f"{VIDEO} 80.8"
    ),
}

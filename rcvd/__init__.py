"""rcvd: consistent depth, camera poses and a point cloud from a casual video."""

__version__ = "0.1.0"

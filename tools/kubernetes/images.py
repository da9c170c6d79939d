"""Images of one layer without a registry, in the format of ``docker save``."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

PAUSE = "docker.io/library/cluster-pause:1"  # what holds the namespaces of a pod


def write_image(reference: str, program: Path, into: Path) -> None:
    """Write an archive of an image with one static program and nothing else."""
    layer = _tar({program.name: (program.read_bytes(), 0o755)})
    layer_id = hashlib.sha256(layer).hexdigest()
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Entrypoint": [f"/{program.name}"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_id}"]},
            "history": [{"created": "2020-01-01T00:00:00Z"}],
        }
    ).encode()
    config_name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = [{"Config": config_name, "RepoTags": [reference], "Layers": [f"{layer_id}/layer.tar"]}]
    into.write_bytes(
        _tar(
            {
                config_name: (config, 0o644),
                f"{layer_id}/layer.tar": (layer, 0o644),
                "manifest.json": (json.dumps(manifest).encode(), 0o644),
            }
        )
    )


def _tar(files: dict[str, tuple[bytes, int]]) -> bytes:
    """An archive of these files: content and mode by name."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, (content, mode) in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), mode
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()

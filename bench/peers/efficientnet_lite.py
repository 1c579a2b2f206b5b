"""EfficientNet-Lite0 with a dense top layer in PyTorch, with the weights of a model folder of this project."""

import json
from collections.abc import Sequence
from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor, nn

# Blocks, kernel, stride, expansion and channels of each stage (Tan and Le, 2019, table 1).
STAGES = (
    (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)  # fmt: skip
STEM, HEAD = 32, 1280
EPSILON = 1e-3


class SameConvolution(nn.Conv2d):  # type: ignore[misc]  # PyTorch has no types
    """A convolution with TensorFlow's padding, which has more at the end where it is uneven."""

    def forward(self, values: Tensor) -> Tensor:
        """Pad and convolve."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        missing = [max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in values.shape[:1:-1]]
        padding = [part for each in missing for part in (each // 2, each - each // 2)]
        return super().forward(nn.functional.pad(values, padding) if any(padding) else values)


class Block(nn.Module):  # type: ignore[misc]
    """Inverted residual."""

    def __init__(self, inside: int, kernel: int, stride: int, expansion: int, channels: int) -> None:
        super().__init__()
        wide = inside * expansion
        if expansion > 1:
            self._expand_conv = SameConvolution(inside, wide, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(wide, EPSILON)
        self._depthwise_conv = SameConvolution(wide, wide, kernel, stride, groups=wide, bias=False)
        self._bn1 = nn.BatchNorm2d(wide, EPSILON)
        self._project_conv = SameConvolution(wide, channels, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(channels, EPSILON)
        self.expands, self.residual = expansion > 1, stride == 1 and inside == channels

    def forward(self, values: Tensor) -> Tensor:
        """Return the block's map."""
        found = values
        if self.expands:
            found = nn.functional.relu6(self._bn0(self._expand_conv(found)))
        found = nn.functional.relu6(self._bn1(self._depthwise_conv(found)))
        found = self._bn2(self._project_conv(found))
        return found + values if self.residual else found


class Classifier(nn.Module):  # type: ignore[misc]
    """float32[batch, 3, height, width], values of pixels, to logits."""

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__()
        self.labels = labels
        self._conv_stem = SameConvolution(3, STEM, 3, 2, bias=False)
        self._bn0 = nn.BatchNorm2d(STEM, EPSILON)
        blocks, inside = [], STEM
        for count, kernel, stride, expansion, channels in STAGES:
            for place in range(count):
                blocks.append(Block(inside, kernel, stride if place == 0 else 1, expansion, channels))
                inside = channels
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = SameConvolution(inside, HEAD, 1, bias=False)
        self._bn1 = nn.BatchNorm2d(HEAD, EPSILON)
        self.classifier = nn.Linear(HEAD, len(labels))

    def forward(self, pixels: Tensor) -> Tensor:
        """Classify."""
        values = nn.functional.relu6(self._bn0(self._conv_stem((pixels - 127) / 128)))
        for block in self._blocks:
            values = block(values)
        return self.classifier(nn.functional.relu6(self._bn1(self._conv_head(values))).mean(dim=(2, 3)))


def loaded(model: Path) -> Classifier:
    """Return a model folder's classifier.

    Raises:
        RuntimeError: The folder lacks weights.
    """
    labels = json.loads((model / "labels_info.json").read_text(encoding="utf-8"))["labels"]
    network, head = Classifier([str(label) for label in labels]), load_file(model / "head.safetensors")
    weights = {**load_file(model / "encoder" / "model.safetensors"), "classifier.bias": head["bias"]}
    weights["classifier.weight"] = head["kernel"].T.contiguous()
    missing, _ = network.load_state_dict(weights, strict=False)
    if [name for name in missing if not name.endswith("num_batches_tracked")]:
        raise RuntimeError(f"{model}: lacks weights: {', '.join(missing)}")
    network.eval()
    return network

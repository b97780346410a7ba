#!/usr/bin/env python3
"""The peer: one picture by one process, as programs such as neural-style-pt work.

Python starts, reads the weights, builds the network, takes the targets, and `torch.optim.LBFGS` moves the picture from
the photo for a number of evaluations, in float32. Nothing is done that the picture does not need: no progress, no
pictures in between, no gradient of the weights, no layer below the deepest one that counts.

The loss is that of Gatys' published code: the mean squared difference of the features at conv4_2, plus for conv1_1,
conv2_1, conv3_1, conv4_1 and conv5_1 each 1000/C^2 times the mean squared difference of the Gram matrices
F F^T / (H W); average pooling, zero padding, layers after their ReLU.
"""

import argparse
import json
from pathlib import Path

import numpy
import torch
from PIL import Image
from safetensors import safe_open
from torch.nn.functional import avg_pool2d, conv2d

# Convolutions per block, by the number of all of them.
BLOCKS = {13: (2, 2, 3, 3, 3), 16: (2, 2, 4, 4, 4)}
CONTENT = (4, 2)
STYLE = [(1, 1), (2, 1), (3, 1), (4, 1), (5, 1)]
DEEPEST = max([CONTENT, *STYLE])
# What torchvision's networks want to see of a colour, unless the file says otherwise.
NORMALISATION = '{"mean": [0.485, 0.456, 0.406], "deviation": [0.229, 0.224, 0.225]}'
# Pairs that L-BFGS remembers: the default of torch, and the setting of neural-style-pt.
HISTORY = 100


class Network:
    """VGG with torchvision's names, down to the deepest layer that counts."""

    def __init__(self, path, device):
        with safe_open(path, framework="pt") as file:
            normalisation = json.loads((file.metadata() or {}).get("normalisation", NORMALISATION))
            names = [name for name in file.keys() if name.startswith("features.") and name.endswith(".weight")]
            names.sort(key=lambda name: int(name.split(".")[1]))
            blocks = enumerate(BLOCKS[len(names)], 1)
            layers = [(block, index) for block, last in blocks for index in range(1, last + 1)]
            self.convolutions = []
            for layer, name in zip(layers, names):
                if layer > DEEPEST:
                    break
                kernel = file.get_tensor(name).float().to(device)
                bias = file.get_tensor(name.replace("weight", "bias")).float().to(device)
                self.convolutions.append((layer, kernel, bias))
        self.mean, self.deviation = (
            torch.tensor(normalisation[key], device=device).view(1, 3, 1, 1) for key in ("mean", "deviation")
        )

    def features(self, image):
        found = {}
        features = (image - self.mean) / self.deviation
        block = 1
        for layer, kernel, bias in self.convolutions:
            if layer[0] != block:
                block = layer[0]
                features = avg_pool2d(features, 2)
            features = torch.relu(conv2d(features, kernel, bias, padding=1))
            found[layer] = features
        return found


def gram(features):
    flat = features.flatten(2)[0]
    return flat @ flat.T / flat.shape[1]


def load(path, device):
    values = torch.from_numpy(numpy.array(Image.open(path).convert("RGB")))
    return (values.permute(2, 0, 1)[None].float() / 255).contiguous().to(device)


def save(image, path):
    values = image.detach().clamp(0, 1).mul(255).round()[0].permute(1, 2, 0).to("cpu", torch.uint8)
    Image.fromarray(values.numpy()).save(path)


def paint(network, photo, painting, arguments):
    """The picture, and the loss at each evaluation."""
    with torch.no_grad():
        content = network.features(photo)[CONTENT]
        grams = {layer: gram(features) for layer, features in network.features(painting).items() if layer in STYLE}
    image = photo.clone().requires_grad_()
    optimiser = torch.optim.LBFGS(
        [image],
        lr=1,
        max_iter=arguments.evaluations,
        # As many evaluations as steps; the last step is taken and not looked at, as in neural-style-pt.
        max_eval=2 * arguments.evaluations,
        tolerance_grad=0,
        tolerance_change=0,
        history_size=HISTORY,
    )
    losses = []

    def evaluate():
        optimiser.zero_grad()
        features = network.features(image)
        loss = arguments.content_weight * (features[CONTENT] - content).square().mean()
        for layer, wanted in grams.items():
            scale = arguments.style_weight * 1000 / wanted.shape[0] ** 2
            loss = loss + scale * (gram(features[layer]) - wanted).square().mean()
        loss.backward()
        losses.append(loss.detach())
        return loss

    optimiser.step(evaluate)
    return image, losses


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True, help="VGG16 or VGG19 as safetensors")
    parser.add_argument("--photo", type=Path, required=True)
    parser.add_argument("--painting", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="the picture, PNG")
    parser.add_argument("--evaluations", type=int, default=100)
    parser.add_argument("--content-weight", type=float, default=1.0)
    parser.add_argument("--style-weight", type=float, default=1.0)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    arguments = parser.parse_args()
    torch.backends.cudnn.benchmark = True
    network = Network(arguments.weights, arguments.device)
    photo, painting = load(arguments.photo, arguments.device), load(arguments.painting, arguments.device)
    image, losses = paint(network, photo, painting, arguments)
    save(image, arguments.out)
    print(json.dumps({"evaluations": len(losses), "first": losses[0].item(), "last": losses[-1].item()}))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""The scorer: the loss of delivered pictures, whoever painted them.

It shares no code with the renderer nor with the peer, reads nothing but 8-bit picture files and weights, and works in
float32 on the processors. The formula is that of Gatys' published code:

    content  mean((F - P)^2) at conv4_2
    style    sum over conv1_1, conv2_1, conv3_1, conv4_1, conv5_1 of 1000/C^2 * mean((G - A)^2), G = F F^T / (H W)
    total    content_weight * content + style_weight * style

with average pooling, zero padding, and layers after their ReLU.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open

STYLE_LAYERS = ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1")
CONTENT_LAYER = "conv4_2"
VGG16 = "1_1 1_2 pool 2_1 2_2 pool 3_1 3_2 3_3 pool 4_1 4_2 4_3 pool 5_1 5_2 5_3"
VGG19 = "1_1 1_2 pool 2_1 2_2 pool 3_1 3_2 3_3 3_4 pool 4_1 4_2 4_3 4_4 pool 5_1 5_2 5_3 5_4"
IMAGENET = {"mean": [0.485, 0.456, 0.406], "deviation": [0.229, 0.224, 0.225]}


def sequence(weights):
    """The network as a torch.nn.Sequential, and which of its parts ends which layer."""
    with safe_open(str(weights), framework="pt") as file:
        said = (file.metadata() or {}).get("normalisation")
        tensors = {name: file.get_tensor(name).to(torch.float32) for name in file.keys() if "features." in name}
    # Position 16 is a pooling in VGG16 and a convolution in VGG19.
    plan = VGG19 if "features.16.weight" in tensors else VGG16
    parts, ends, position = [], {}, 0
    for step in plan.split():
        if step == "pool":
            parts.append(torch.nn.AvgPool2d(2))
            position += 1
            continue
        kernel = tensors[f"features.{position}.weight"]
        convolution = torch.nn.Conv2d(kernel.shape[1], kernel.shape[0], 3, padding=1)
        convolution.weight.data, convolution.bias.data = kernel, tensors[f"features.{position}.bias"]
        parts += [convolution, torch.nn.ReLU()]
        ends[len(parts) - 1] = "conv" + step
        position += 2
        if step == "5_1":
            break
    normalisation = json.loads(said) if said else IMAGENET
    colours = [torch.tensor(normalisation[key]).reshape(3, 1, 1) for key in ("mean", "deviation")]
    return torch.nn.Sequential(*parts).requires_grad_(False), ends, colours


class Scorer:
    """Knows one network and remembers what it saw in photos and paintings."""

    def __init__(self, weights):
        self.network, self.ends, (self.mean, self.deviation) = sequence(weights)
        self.seen = {}

    def look(self, path):
        """Features at the content layer, and a Gram matrix for each style layer."""
        with Image.open(path) as picture:
            if picture.mode != "RGB":
                raise ValueError(f"{path}: its mode is {picture.mode}, but 8-bit RGB is scored")
            pixels = np.asarray(picture, dtype=np.float32) / np.float32(255)
        x = (torch.from_numpy(pixels).permute(2, 0, 1) - self.mean) / self.deviation
        x = x.unsqueeze(0)
        content, grams = None, {}
        with torch.inference_mode():
            for number, part in enumerate(self.network):
                x = part(x)
                layer = self.ends.get(number)
                if layer == CONTENT_LAYER:
                    content = x
                if layer in STYLE_LAYERS:
                    _, channels, height, width = x.shape
                    rows = x.reshape(channels, height * width)
                    grams[layer] = torch.einsum("ip,jp->ij", rows, rows) / (height * width)
        return content, grams

    def remembered(self, path):
        if path not in self.seen:
            self.seen[path] = self.look(path)
        return self.seen[path]

    def score(self, picture, photo, painting):
        """Content and style loss of a picture, without their weights."""
        content, grams = self.look(picture)
        wanted_content, _ = self.remembered(photo)
        _, wanted_grams = self.remembered(painting)
        if content.shape != wanted_content.shape:
            raise ValueError(f"{picture}: it has another size than its photo")
        style = 0.0
        for layer in STYLE_LAYERS:
            difference = grams[layer] - wanted_grams[layer]
            style += 1000.0 / difference.shape[0] ** 2 * difference.pow(2).mean().item()
        return (content - wanted_content).pow(2).mean().item(), style


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True, help="VGG16 or VGG19 as safetensors")
    parser.add_argument("--check", type=Path, help="a second network, which scores too")
    parser.add_argument("--content-weight", type=float, default=1.0)
    parser.add_argument("--style-weight", type=float, default=1.0)
    parser.add_argument(
        "cells", nargs="?", type=Path, help="JSON: a list of {picture, photo, painting} [default: stdin]"
    )
    arguments = parser.parse_args()
    cells = json.loads(arguments.cells.read_text() if arguments.cells else sys.stdin.read())
    networks = {"first": arguments.weights}
    if arguments.check:
        networks["check"] = arguments.check
    scorers = {name: Scorer(weights) for name, weights in networks.items()}
    scored = []
    for cell in cells:
        losses = {}
        for name, scorer in scorers.items():
            content, style = scorer.score(cell["picture"], cell["photo"], cell["painting"])
            losses[name] = {"content": content, "style": style}
        first = losses["first"]
        total = arguments.content_weight * first["content"] + arguments.style_weight * first["style"]
        scored.append({**cell, "total": total, **losses})
    json.dump(scored, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()

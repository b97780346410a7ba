"""Makes keras_narrow.h5: the first two blocks of a VGG, four channels wide, stored as Keras' published VGG16 is.

Run with h5py installed: python3 keras_narrow.py keras_narrow.h5
"""

import sys

import h5py
import numpy

WIDTH = 4

with h5py.File(sys.argv[1], "w") as file:
    names = ["block1_conv1", "block1_conv2", "block1_pool", "block2_conv1", "block2_conv2"]
    file.attrs["layer_names"] = [name.encode() for name in names]
    inputs = 3
    for position, name in enumerate(names):
        group = file.create_group(name)
        weights = [f"{name}_W_1:0", f"{name}_b_1:0"] if "conv" in name else []
        group.attrs["weight_names"] = [weight.encode() for weight in weights]
        if weights:
            kernel = numpy.arange(9 * inputs * WIDTH, dtype="f4").reshape(3, 3, inputs, WIDTH)
            group.create_dataset(weights[0], data=kernel + 1000 * position)
            group.create_dataset(weights[1], data=numpy.full(WIDTH, position, dtype="f4"))
            inputs = WIDTH

// The kernels of kernels.cu, and how they are launched.

#pragma once

#include <string>

namespace atelier {

// Whether the kernels were loaded for a GPU.
bool has_kernels(int device);

// One of them, by name; throws where they were not loaded.
void* kernel(int device, const std::string& name);

// Into the default stream, the only one that renders use. `arguments` point to values of the declared types.
void launch_kernel(
    void* kernel,
    const char* name,
    unsigned blocks_x,
    unsigned blocks_y,
    unsigned threads,
    unsigned shared_bytes,
    void** arguments);

}  // namespace atelier

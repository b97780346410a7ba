// What the Rust bindings of libtorch have no call for: in which numbers GPUs multiply float32.
//
// The settings live in libtorch's CPU half, so this links and answers with or without a GPU.

#include <mutex>

#include <ATen/Context.h>

// Says whether cuDNN's convolutions may round float32 factors to TF32; matrix products never may.
// Returns whether libtorch now has it so.
extern "C" bool atelier_set_tf32(bool convolutions) noexcept {
  static std::mutex one_at_a_time;
  try {
    const std::lock_guard<std::mutex> guard(one_at_a_time);
    auto& context = at::globalContext();
    context.setAllowTF32CuDNN(convolutions);
    context.setAllowTF32CuBLAS(false);
    return context.allowTF32CuDNN() == convolutions && !context.allowTF32CuBLAS();
  } catch (...) {
    return false;
  }
}

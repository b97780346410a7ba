// The kernels are compiled at run time by NVRTC, which comes with libtorch, for the GPU at hand, so the program builds
// without CUDA.

#include "kernels.h"

#include <cstdlib>
#include <initializer_list>
#include <map>
#include <mutex>
#include <stdexcept>
#include <utility>
#include <vector>

#include <dlfcn.h>

#include <c10/core/AllocatorConfig.h>

#include "../shim.h"

namespace {

// The functions of NVRTC and of the driver that are used, by the signatures of their documentation; 0 is success.
struct Api {
  int (*create)(void**, const char*, const char*, int, const char* const*, const char* const*);
  int (*compile)(void*, int, const char* const*);
  int (*log_bytes)(void*, size_t*);
  int (*log)(void*, char*);
  int (*binary_bytes)(void*, size_t*);
  int (*binary)(void*, char*);
  int (*destroy)(void**);
  int (*attribute)(int*, int, int);
  int (*load)(void**, const void*);
  int (*function)(void**, void*, const char*);
  int (*launch)(
      void*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void*, void**, void**);
};

void* opened(std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if (void* library = dlopen(name, RTLD_NOW | RTLD_LOCAL)) {
      return library;
    }
  }
  throw std::runtime_error(std::string("cannot open ") + *names.begin());
}

template <typename Function>
void find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  if (function == nullptr) {
    throw std::runtime_error(std::string("there is no ") + name);
  }
}

const Api& api() {
  static const Api found = [] {
    // libtorch's own door to NVRTC knows where the wheels have it.
    void* compiler = opened({"libcaffe2_nvrtc.so", "libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so"});
    void* driver = opened({"libcuda.so.1"});
    Api api{};
    find(compiler, "nvrtcCreateProgram", api.create);
    find(compiler, "nvrtcCompileProgram", api.compile);
    find(compiler, "nvrtcGetProgramLogSize", api.log_bytes);
    find(compiler, "nvrtcGetProgramLog", api.log);
    find(compiler, "nvrtcGetCUBINSize", api.binary_bytes);
    find(compiler, "nvrtcGetCUBIN", api.binary);
    find(compiler, "nvrtcDestroyProgram", api.destroy);
    find(driver, "cuDeviceGetAttribute", api.attribute);
    find(driver, "cuModuleLoadData", api.load);
    find(driver, "cuModuleGetFunction", api.function);
    find(driver, "cuLaunchKernel", api.launch);
    return api;
  }();
  return found;
}

void check(int status, const char* what) {
  if (status != 0) {
    throw std::runtime_error(std::string(what) + " failed with " + std::to_string(status));
  }
}

int attribute(int number, int device) {
  int value = 0;
  check(api().attribute(&value, number, device), "asking for the compute capability");
  return value;
}

std::vector<char> compiled(const char* source, int device) {
  // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and MINOR.
  const auto architecture = "--gpu-architecture=sm_" + std::to_string(attribute(75, device)) +
      std::to_string(attribute(76, device));
  const char* options[] = {architecture.c_str(), "--std=c++17"};
  void* program = nullptr;
  check(api().create(&program, source, "kernels.cu", 0, nullptr, nullptr), "reading the kernels");
  const int status = api().compile(program, 2, options);
  size_t bytes = 0;
  if (status != 0 && api().log_bytes(program, &bytes) == 0) {
    std::string log(bytes, '\0');
    api().log(program, log.data());
    throw std::runtime_error("compiling the kernels: " + log);
  }
  check(status, "compiling the kernels");
  check(api().binary_bytes(program, &bytes), "compiling the kernels");
  std::vector<char> binary(bytes);
  check(api().binary(program, binary.data()), "compiling the kernels");
  api().destroy(&program);
  return binary;
}

// The kernels of one GPU, by name.
struct Kernels {
  void* module = nullptr;
  std::map<std::string, void*> functions;
};

std::mutex kernels_guard;
std::map<int, Kernels> kernels_of_devices;

// Lets libtorch grow what it took of a GPU's memory. Between float32 and bfloat16 the sizes of feature maps change, and what
// was cut into pieces for the one is too small for the other: else it would take new memory at each change, for a second.
void let_memory_grow() {
  if (std::getenv("PYTORCH_CUDA_ALLOC_CONF") == nullptr && std::getenv("PYTORCH_ALLOC_CONF") == nullptr) {
    c10::CachingAllocator::setAllocatorSettings("expandable_segments:True");
  }
}

}  // namespace

namespace atelier {

bool has_kernels(int device) {
  const std::lock_guard<std::mutex> guard(kernels_guard);
  return kernels_of_devices.count(device) != 0;
}

void* kernel(int device, const std::string& name) {
  const std::lock_guard<std::mutex> guard(kernels_guard);
  const auto kernels = kernels_of_devices.find(device);
  if (kernels == kernels_of_devices.end()) {
    throw std::runtime_error("the kernels were not loaded for this GPU");
  }
  void*& function = kernels->second.functions[name];
  if (function == nullptr) {
    check(api().function(&function, kernels->second.module, name.c_str()), name.c_str());
  }
  return function;
}

void launch_kernel(
    void* kernel,
    const char* name,
    unsigned blocks_x,
    unsigned blocks_y,
    unsigned threads,
    unsigned shared_bytes,
    void** arguments) {
  check(
      api().launch(kernel, blocks_x, blocks_y, 1, threads, 1, 1, shared_bytes, nullptr, arguments, nullptr), name);
}

}  // namespace atelier

// Compiles the kernels for a GPU, before libtorch took memory of it. All else below asks that this went well before.
extern "C" bool atelier_gpu_load(int device, const char* source, char* message, size_t capacity) noexcept {
  return atelier::attempt(message, capacity, [&] {
    const std::lock_guard<std::mutex> guard(kernels_guard);
    if (kernels_of_devices.count(device) != 0) {
      return;
    }
    let_memory_grow();
    const auto binary = compiled(source, device);
    Kernels kernels;
    check(api().load(&kernels.module, binary.data()), "loading the kernels");
    kernels_of_devices.emplace(device, std::move(kernels));
  });
}

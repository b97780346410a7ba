// What libtorch does on GPUs in more passes through memory than the work needs: rectification, pooling and padding, the
// moments of features, the sums of L-BFGS.

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <torch/csrc/autograd/custom_function.h>

#include "../shim.h"
#include "kernels.h"

namespace {

using Pair = std::array<int64_t, 2>;
using Variables = torch::autograd::variable_list;
using torch::autograd::AutogradContext;

constexpr int64_t kThreads = 256;
// Values of a vector that a thread of `inner` and `combine` holds.
constexpr int64_t kHeld = 16;
// Vectors that `inner` is asked to multiply by at once.
constexpr int64_t kHeads = 3;
// Channels of an image as the network sees it.
constexpr int64_t kImageChannels = 8;
constexpr int64_t kWarps = kThreads / 32;
// Shared memory that every GPU gives to a block.
constexpr int64_t kSharedBytes = 48 << 10;
constexpr auto kChannelsLast = at::MemoryFormat::ChannelsLast;

// Launches a kernel; `arguments` are of the types that it is declared with.
template <typename... Arguments>
void launch(
    const at::Tensor& on,
    const std::string& name,
    int64_t blocks_x,
    int64_t blocks_y,
    int64_t shared_bytes,
    Arguments... arguments) {
  void* pointers[] = {&arguments...};
  atelier::launch_kernel(
      atelier::kernel(on.get_device(), name), name.c_str(), blocks_x, blocks_y, kThreads, shared_bytes, pointers);
}

std::string of_kind(const char* name, const at::Tensor& tensor) {
  return std::string(name) + (tensor.scalar_type() == at::kBFloat16 ? "_bfloat16" : "_float32");
}

// Values in 16 bytes.
int64_t lanes(const at::Tensor& tensor) {
  return 16 / tensor.element_size();
}

// Maps whose lines are whole packs, and how far apart in memory these are.
struct Lines {
  at::Tensor maps;
  long long batch_step;
  long long line_step;
  int height, width, packs;

  explicit Lines(const at::Tensor& any) : maps(any) {
    const auto channels = any.size(1);
    height = static_cast<int>(any.size(2));
    width = static_cast<int>(any.size(3));
    packs = static_cast<int>(channels / lanes(any));
    const bool is_part = any.stride(1) == 1 && any.stride(3) == channels && any.stride(2) % lanes(any) == 0 &&
        any.stride(0) % lanes(any) == 0 && any.storage_offset() % lanes(any) == 0;
    if (is_part && !any.is_contiguous(kChannelsLast)) {
      batch_step = any.stride(0) / lanes(any);
      line_step = any.stride(2) / lanes(any);
    } else {
      maps = any.contiguous(kChannelsLast);
      line_step = static_cast<long long>(width) * packs;
      batch_step = line_step * height;
    }
  }

  const void* data() const { return maps.const_data_ptr(); }
};

// Blocks that share a line.
int64_t blocks_along(int64_t packs) {
  return (packs + 2 * kThreads - 1) / (2 * kThreads);
}

at::Tensor maps(const at::Tensor& like, int64_t height, int64_t width) {
  return at::empty({like.size(0), like.size(1), height, width}, like.options(), kChannelsLast);
}

// The border positions once more around maps.
at::Tensor replicated(const at::Tensor& any) {
  const auto features = any.contiguous(kChannelsLast);
  const int height = features.size(2), width = features.size(3);
  const auto out = maps(features, height + 2, width + 2);
  const int packs = features.size(1) / lanes(features);
  launch(
      features, of_kind("replicate", features), out.size(0) * out.size(2), blocks_along(out.size(3) * packs), 0,
      features.const_data_ptr(), out.data_ptr(), height, width, packs);
  return out;
}

// The way back; changes its argument, of which it returns a part.
at::Tensor folded(const at::Tensor& any) {
  const auto gradient = any.contiguous(kChannelsLast);
  const int height = gradient.size(2) - 2, width = gradient.size(3) - 2;
  const int packs = gradient.size(1) / lanes(gradient);
  launch(
      gradient, of_kind("fold", gradient), gradient.size(0) * height, blocks_along(int64_t{width} * packs), 0,
      gradient.data_ptr(), height, width, packs);
  return gradient.narrow(2, 1, height).narrow(3, 1, width);
}

// The mean of two by two positions.
at::Tensor pooled(const at::Tensor& any) {
  const auto features = any.contiguous(kChannelsLast);
  const int height = features.size(2), width = features.size(3);
  const auto out = maps(features, height / 2, width / 2);
  const int packs = features.size(1) / lanes(features);
  launch(
      features, of_kind("pool", features), out.size(0) * out.size(2), blocks_along(out.size(3) * packs), 0,
      features.const_data_ptr(), out.data_ptr(), height, width, height / 2, width / 2, packs);
  return out;
}

// The way back to maps of the given sides; through a rectification, too, where `rectified` is defined.
at::Tensor unpooled(const at::Tensor& any, int height, int width, const at::Tensor& rectified) {
  const Lines gradient(any);
  const auto out = maps(any, height, width);
  const void* features = rectified.defined() ? rectified.const_data_ptr() : nullptr;
  launch(
      out, of_kind("pool_back", out), out.size(0) * height, blocks_along(int64_t{width} * gradient.packs), 0,
      gradient.data(), gradient.batch_step, gradient.line_step, features, out.data_ptr(), height, width,
      gradient.height, gradient.width, gradient.packs);
  return out;
}

// The gradient where the rectified features are above 0.
at::Tensor unrectified(const at::Tensor& any, const at::Tensor& rectified) {
  const Lines gradient(any);
  const auto out = maps(rectified, gradient.height, gradient.width);
  const int line_packs = gradient.width * gradient.packs;
  launch(
      rectified, of_kind("rectify_back", rectified), out.size(0) * gradient.height, blocks_along(line_packs), 0,
      gradient.data(), gradient.batch_step, gradient.line_step, rectified.const_data_ptr(), out.data_ptr(),
      gradient.height, line_packs);
  return out;
}

// max(0, features * kernel + bias), the borders of the features once more around them or zeros there, and perhaps the mean
// of two by two positions of it. The gradient with respect to the features is a convolution, too: with the kernel turned
// by half and its inputs and outputs exchanged.
struct Rectified : torch::autograd::Function<Rectified> {
  static at::Tensor forward(
      AutogradContext* context,
      const at::Tensor& features,
      const at::Tensor& kernel,
      const at::Tensor& turned,
      const at::Tensor& bias,
      bool replicates,
      bool pools) {
    const int64_t margin = replicates ? 0 : 1;
    auto rectified = at::cudnn_convolution_relu(
        replicates ? replicated(features) : features, kernel, bias, Pair{1, 1}, Pair{margin, margin}, Pair{1, 1}, 1);
    context->saved_data["turned"] = turned;
    context->saved_data["replicates"] = replicates;
    context->saved_data["pools"] = pools;
    if (pools) {
      // Nobody else sees it, so it is saved as what it is: no output.
      context->saved_data["rectified"] = rectified;
      return pooled(rectified);
    }
    context->save_for_backward({rectified});
    return rectified;
  }

  static Variables backward(AutogradContext* context, const Variables& gradients) {
    const auto turned = context->saved_data["turned"].toTensor();
    const bool replicates = context->saved_data["replicates"].toBool();
    at::Tensor passed;
    if (context->saved_data["pools"].toBool()) {
      const auto rectified = context->saved_data["rectified"].toTensor();
      passed = unpooled(gradients.at(0), rectified.size(2), rectified.size(3), rectified);
      // As what is saved for the way back is, once it was gone.
      context->saved_data.erase("rectified");
    } else {
      passed = unrectified(gradients.at(0), context->get_saved_variables().at(0));
    }
    const int64_t margin = replicates ? 2 : 1;
    const auto through = at::conv2d(passed, turned, {}, Pair{1, 1}, Pair{margin, margin});
    const at::Tensor none;
    return {replicates ? folded(through) : through, none, none, none, none, none};
  }
};

// An image, [batch, 3, height, width], as the network sees it: less the mean of colours, by their deviation, in channels of
// whole packs.
struct Image : torch::autograd::Function<Image> {
  static at::Tensor forward(
      AutogradContext* context,
      const at::Tensor& image,
      const at::Tensor& mean,
      const at::Tensor& deviation,
      int64_t kind) {
    const auto colours = image.contiguous();
    const int height = colours.size(2), width = colours.size(3);
    const auto out = at::empty(
        {colours.size(0), kImageChannels, height, width}, colours.options().dtype(static_cast<at::ScalarType>(kind)),
        kChannelsLast);
    context->saved_data["deviation"] = deviation;
    launch(
        out, of_kind("image_in", out), out.size(0) * height, blocks_along(width), 0, colours.const_data_ptr(),
        mean.const_data_ptr(), deviation.const_data_ptr(), out.data_ptr(), height, width);
    return out;
  }

  static Variables backward(AutogradContext* context, const Variables& gradients) {
    const auto deviation = context->saved_data["deviation"].toTensor();
    const Lines gradient(gradients.at(0));
    const auto out = at::empty(
        {gradient.maps.size(0), 3, gradient.height, gradient.width}, gradient.maps.options().dtype(at::kFloat));
    launch(
        out, of_kind("image_back", gradient.maps), out.size(0) * gradient.height, blocks_along(gradient.width), 0,
        gradient.data(), gradient.batch_step, gradient.line_step, deviation.const_data_ptr(), out.data_ptr(),
        gradient.height, gradient.width);
    const at::Tensor none;
    return {out, none, none, none};
  }
};

struct Pooled : torch::autograd::Function<Pooled> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& features) {
    context->saved_data["height"] = features.size(2);
    context->saved_data["width"] = features.size(3);
    return pooled(features);
  }

  static Variables backward(AutogradContext* context, const Variables& gradients) {
    const int height = context->saved_data["height"].toInt(), width = context->saved_data["width"].toInt();
    return {unpooled(gradients.at(0), height, width, at::Tensor())};
  }
};

// Lets matrix products of float32 round their factors to TF32 where convolutions may: features that such a convolution
// made are no more exact than that.
struct AsExactAsConvolutions {
  bool before = at::globalContext().allowTF32CuBLAS();
  AsExactAsConvolutions() { at::globalContext().setAllowTF32CuBLAS(at::globalContext().allowTF32CuDNN()); }
  ~AsExactAsConvolutions() { at::globalContext().setAllowTF32CuBLAS(before); }
};

// Σ f fᵀ over positions and, where wanted, Σ f, in float32: matrix units add up products of bfloat16 so.
struct Moments : torch::autograd::Function<Moments> {
  static at::Tensor flat(const at::Tensor& features) {
    return features.permute({0, 2, 3, 1}).flatten(1, 2);
  }

  static Variables forward(AutogradContext* context, const at::Tensor& features, bool wants_first) {
    const AsExactAsConvolutions exactness;
    context->save_for_backward({features});
    const auto rows = flat(features);
    Variables moments{
        rows.scalar_type() == at::kFloat ? at::bmm(rows.transpose(1, 2), rows)
                                         : at::bmm(rows.transpose(1, 2), rows, at::kFloat)};
    if (wants_first) {
      moments.push_back(rows.sum({1}, true, at::kFloat).transpose(1, 2));
    }
    return moments;
  }

  static Variables backward(AutogradContext* context, const Variables& gradients) {
    const AsExactAsConvolutions exactness;
    const auto features = context->get_saved_variables().at(0);
    const auto rows = flat(features);
    const auto& second = gradients.at(0);
    const auto both = (second + second.transpose(1, 2)).to(rows.scalar_type());
    const auto gradient = gradients.size() == 1
        ? at::bmm(rows, both)
        : at::baddbmm(gradients.at(1).transpose(1, 2).to(rows.scalar_type()).expand_as(rows), rows, both);
    const at::Tensor none;
    return {gradient.unflatten(1, {features.size(2), features.size(3)}).permute({0, 3, 1, 2}), none};
  }
};

// Addresses of vectors, where kernels can read them.
at::Tensor addresses(const at::Tensor* const* vectors, int64_t count) {
  std::vector<int64_t> found(count);
  std::transform(vectors, vectors + count, found.begin(), [](const at::Tensor* vector) {
    return reinterpret_cast<int64_t>(vector->const_data_ptr());
  });
  return at::tensor(found, at::kLong).to(vectors[0]->device());
}

int64_t chunks(int64_t values) {
  return (values + kThreads * kHeld - 1) / (kThreads * kHeld);
}

at::Tensor inner(const at::Tensor* const* vectors, int64_t count, int64_t heads) {
  const auto shared_bytes = kWarps * count * kHeads * static_cast<int64_t>(sizeof(float));
  TORCH_CHECK(heads <= kHeads && shared_bytes <= kSharedBytes, "too many vectors at once");
  const auto& like = *vectors[0];
  const long long values = like.size(1);
  const auto sums = at::empty({like.size(0), chunks(values), count, kHeads}, like.options());
  const auto pointers = addresses(vectors, count);
  launch(
      like, "inner", chunks(values), like.size(0), shared_bytes, pointers.const_data_ptr(), sums.data_ptr(), values,
      static_cast<int>(count), static_cast<int>(heads));
  return sums.sum({1}, false, at::kDouble).narrow(2, 0, heads);
}

at::Tensor combine(const at::Tensor* const* vectors, int64_t count, const at::Tensor& coefficients) {
  const auto& like = *vectors[0];
  const long long values = like.size(1);
  const auto out = at::empty_like(like);
  const auto pointers = addresses(vectors, count);
  const auto factors = coefficients.to(like.options()).contiguous();
  launch(
      like, "combine", chunks(values), like.size(0), count * static_cast<int64_t>(sizeof(float)),
      pointers.const_data_ptr(), factors.const_data_ptr(), out.data_ptr(), values, static_cast<int>(count));
  return out;
}

}  // namespace

// In all of these false means: refused, and `message`, of `capacity` bytes, says why. Feature maps have channels in whole
// packs of 16 bytes, and are bfloat16 or float32.

// Whether the kernels were loaded for the GPU of a tensor, and can read it: vectors, [batch, values], float32, or feature
// maps.
extern "C" bool atelier_gpu_serves(const at::Tensor* tensor) noexcept {
  try {
    if (!tensor->is_cuda() || !atelier::has_kernels(tensor->get_device())) {
      return false;
    }
    const auto kind = tensor->scalar_type();
    return tensor->dim() == 4
        ? (kind == at::kFloat || kind == at::kBFloat16) && tensor->size(1) % lanes(*tensor) == 0
        : tensor->dim() == 2 && kind == at::kFloat && tensor->is_contiguous();
  } catch (...) {
    return false;
  }
}

// Convolves features, [batch, in, height, width], with their borders once more around them or zeros there, adds the bias,
// [out], rectifies and perhaps takes the mean of two by two positions. `turned` is the kernel, turned by half, inputs and
// outputs exchanged.
extern "C" bool atelier_gpu_convolve_rectified(
    const at::Tensor* features,
    const at::Tensor* kernel,
    const at::Tensor* turned,
    const at::Tensor* bias,
    bool replicates,
    bool pools,
    at::Tensor** rectified,
    char* message,
    size_t capacity) noexcept {
  return atelier::attempt(message, capacity, [&] {
    *rectified = new at::Tensor(Rectified::apply(*features, *kernel, *turned, *bias, replicates, pools));
  });
}

// An image, float32 [batch, 3, height, width], less the mean of colours, by their deviation, 3 float32 each, as feature
// maps of 8 channels, 5 of them 0; in bfloat16 or else float32.
extern "C" bool atelier_gpu_image(
    const at::Tensor* image,
    const at::Tensor* mean,
    const at::Tensor* deviation,
    bool in_bfloat16,
    at::Tensor** features,
    char* message,
    size_t capacity) noexcept {
  return atelier::attempt(message, capacity, [&] {
    const auto kind = static_cast<int64_t>(in_bfloat16 ? at::kBFloat16 : at::kFloat);
    *features = new at::Tensor(Image::apply(*image, *mean, *deviation, kind));
  });
}

// The mean of two by two positions; sides are at least 2.
extern "C" bool atelier_gpu_pool(
    const at::Tensor* features, at::Tensor** pooled, char* message, size_t capacity) noexcept {
  return atelier::attempt(message, capacity, [&] { *pooled = new at::Tensor(Pooled::apply(*features)); });
}

// Σ f fᵀ, [batch, channels, channels], and, where `first` is no null, Σ f, [batch, channels, 1], over positions, float32.
extern "C" bool atelier_gpu_moments(
    const at::Tensor* features, at::Tensor** second, at::Tensor** first, char* message, size_t capacity) noexcept {
  return atelier::attempt(message, capacity, [&] {
    auto moments = Moments::apply(*features, first != nullptr);
    *second = new at::Tensor(std::move(moments.at(0)));
    if (first != nullptr) {
      *first = new at::Tensor(std::move(moments.at(1)));
    }
  });
}

// Products of `count` vectors, float32 `[batch, values]` each, with the last `heads` (at most 3) of them: float64
// `[batch, count, heads]`.
extern "C" bool atelier_gpu_inner(
    const at::Tensor* const* vectors,
    int64_t count,
    int64_t heads,
    at::Tensor** products,
    char* message,
    size_t capacity) noexcept {
  return atelier::attempt(
      message, capacity, [&] { *products = new at::Tensor(inner(vectors, count, heads)); });
}

// The sum of `count` vectors, float32 `[batch, values]` each, times coefficients, `[batch, count]`.
extern "C" bool atelier_gpu_combine(
    const at::Tensor* const* vectors,
    int64_t count,
    const at::Tensor* coefficients,
    at::Tensor** combined,
    char* message,
    size_t capacity) noexcept {
  return atelier::attempt(
      message, capacity, [&] { *combined = new at::Tensor(combine(vectors, count, *coefficients)); });
}

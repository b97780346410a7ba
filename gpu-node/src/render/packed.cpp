// What the Rust bindings of libtorch have no call for: convolutions with kernels that lie ready as oneDNN wants them, the
// rectification done on the way out, and a gradient.
//
// libtorch's own convolution brings its kernel into oneDNN's order on each call. The operators used here are those that
// its compiler puts into frozen models; they have no gradient of their own.

#include <optional>
#include <utility>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/csrc/autograd/custom_function.h>

#include "shim.h"

namespace {

using Pair = std::vector<int64_t>;

std::optional<c10::OperatorHandle> find(const char* name) {
  return c10::Dispatcher::singleton().findSchema({name, ""});
}

at::Tensor call(const c10::OperatorHandle& operation, torch::jit::Stack stack) {
  operation.callBoxed(stack);
  return stack.at(0).toTensor();
}

// Brings a kernel, [out, in, 3, 3], into oneDNN's order.
at::Tensor packed(const c10::OperatorHandle& reorder, const at::Tensor& kernel) {
  const Pair ones{1, 1};
  return call(reorder, {kernel, ones, ones, ones, int64_t{1}, c10::IValue()});
}

// A 3×3 convolution with a packed kernel; `activation` is "relu" or "none".
at::Tensor convolved(
    const at::Tensor& features,
    const at::Tensor& kernel,
    const std::optional<at::Tensor>& bias,
    int64_t margin,
    const char* activation) {
  static const auto operation = find("mkldnn::_convolution_pointwise").value();
  const Pair ones{1, 1};
  const c10::List<std::optional<at::Scalar>> none;
  return call(
      operation,
      {features, kernel, bias, Pair{margin, margin}, ones, ones, int64_t{1}, activation, none,
       c10::IValue()});
}

// max(0, features * kernel + bias). The gradient with respect to the features is a convolution, too: with the kernel turned
// by half and its inputs and outputs exchanged.
struct Rectified : torch::autograd::Function<Rectified> {
  static at::Tensor forward(
      torch::autograd::AutogradContext* context,
      const at::Tensor& features,
      const at::Tensor& kernel,
      const at::Tensor& turned,
      const at::Tensor& bias,
      int64_t margin) {
    auto rectified = convolved(features, kernel, bias, margin, "relu");
    context->save_for_backward({rectified});
    context->saved_data["turned"] = turned;
    context->saved_data["margin"] = margin;
    return rectified;
  }

  static torch::autograd::variable_list backward(
      torch::autograd::AutogradContext* context,
      torch::autograd::variable_list gradients) {
    const auto rectified = context->get_saved_variables().at(0);
    const auto turned = context->saved_data["turned"].toTensor();
    const auto margin = context->saved_data["margin"].toInt();
    const auto passed = at::threshold_backward(gradients.at(0), rectified, 0)
                            .contiguous(at::MemoryFormat::ChannelsLast);
    const at::Tensor none;
    return {convolved(passed, turned, std::nullopt, 2 - margin, "none"), none, none, none, none};
  }
};

}  // namespace

// Packs a kernel, [out, in, 3, 3], for the way there and the way back. Without oneDNN both stay null. False: refused, and
// `message`, of `capacity` bytes, says why.
extern "C" bool atelier_pack(
    const at::Tensor* kernel,
    at::Tensor** forward,
    at::Tensor** backward,
    char* message,
    size_t capacity) noexcept {
  return atelier::attempt(message, capacity, [&] {
    const auto reorder = find("mkldnn::_reorder_convolution_weight");
    if (!reorder || !find("mkldnn::_convolution_pointwise")) {
      return;
    }
    const auto turned = kernel->flip({2, 3}).transpose(0, 1);
    auto there = packed(*reorder, kernel->contiguous(at::MemoryFormat::ChannelsLast));
    auto back = packed(*reorder, turned.contiguous(at::MemoryFormat::ChannelsLast));
    *backward = new at::Tensor(std::move(back));
    *forward = new at::Tensor(std::move(there));
  });
}

// Convolves features, [batch, in, height, width], pads `margin` (0 or 1) positions, adds the bias, [out], and rectifies.
// False: refused, and `message`, of `capacity` bytes, says why.
extern "C" bool atelier_convolve_rectified(
    const at::Tensor* features,
    const at::Tensor* forward,
    const at::Tensor* backward,
    const at::Tensor* bias,
    int64_t margin,
    at::Tensor** rectified,
    char* message,
    size_t capacity) noexcept {
  return atelier::attempt(message, capacity, [&] {
    *rectified = new at::Tensor(
        Rectified::apply(*features, *forward, *backward, *bias, margin));
  });
}

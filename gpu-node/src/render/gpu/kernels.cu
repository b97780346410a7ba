// Kernels that are compiled at run time for the GPU at hand (see kernels.cpp).
//
// Feature maps are [batch, height, width, channels] in memory. A pack is 16 bytes of neighbouring channels; a line is the
// packs of one row of one map. Gradients may be a part of larger maps: `batch_step` and `line_step` are in packs.

typedef long long Long;

struct alignas(16) Halves {
  unsigned words[4];
};
struct alignas(16) Singles {
  float values[4];
};

template <typename Pack>
struct Lanes;

template <>
struct Lanes<Singles> {
  static constexpr int count = 4;
  static __device__ void unpack(const Singles& pack, float* values) {
    for (int lane = 0; lane < count; ++lane) values[lane] = pack.values[lane];
  }
  static __device__ Singles pack(const float* values) {
    Singles pack;
    for (int lane = 0; lane < count; ++lane) pack.values[lane] = values[lane];
    return pack;
  }
};

// bfloat16 is the upper half of float32; on the way back it is rounded to the nearest, ties to even.
template <>
struct Lanes<Halves> {
  static constexpr int count = 8;
  static __device__ void unpack(const Halves& pack, float* values) {
    for (int word = 0; word < 4; ++word) {
      values[2 * word] = __uint_as_float(pack.words[word] << 16);
      values[2 * word + 1] = __uint_as_float(pack.words[word] & 0xffff0000u);
    }
  }
  static __device__ unsigned rounded(float value) {
    const unsigned bits = __float_as_uint(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return 0x7fc0u;
    return (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  }
  static __device__ Halves pack(const float* values) {
    Halves pack;
    for (int word = 0; word < 4; ++word)
      pack.words[word] = rounded(values[2 * word]) | (rounded(values[2 * word + 1]) << 16);
    return pack;
  }
};

// Every pack of a line: `blockIdx.x` is the line, blocks along y share it.
#define FOR_EACH_PACK(index, count)                                      \
  for (int index = blockIdx.y * blockDim.x + threadIdx.x; index < (count); \
       index += gridDim.y * blockDim.x)

// The gradient where the rectified features are above 0, else 0.
template <typename Pack>
__device__ void rectify_back(
    const Pack* gradient, Long batch_step, Long line_step, const Pack* rectified, Pack* out, int height, int line_packs) {
  constexpr int lanes = Lanes<Pack>::count;
  const Long line = blockIdx.x;
  gradient += line / height * batch_step + line % height * line_step;
  rectified += line * line_packs;
  out += line * line_packs;
  FOR_EACH_PACK(index, line_packs) {
    float values[lanes], features[lanes];
    Lanes<Pack>::unpack(gradient[index], values);
    Lanes<Pack>::unpack(rectified[index], features);
    for (int lane = 0; lane < lanes; ++lane) values[lane] = features[lane] > 0 ? values[lane] : 0;
    out[index] = Lanes<Pack>::pack(values);
  }
}

// The mean of two by two positions; a line of `out` for each block.
template <typename Pack>
__device__ void pool(
    const Pack* features, Pack* out, int height, int width, int out_height, int out_width, int packs) {
  constexpr int lanes = Lanes<Pack>::count;
  const Long line = blockIdx.x;
  const Long row = static_cast<Long>(width) * packs;
  features += (line / out_height * height + line % out_height * 2) * row;
  out += line * out_width * packs;
  FOR_EACH_PACK(index, out_width * packs) {
    const Pack* corner = features + index / packs * 2 * packs + index % packs;
    float sums[lanes] = {};
    for (int down = 0; down < 2; ++down)
      for (int right = 0; right < 2; ++right) {
        float values[lanes];
        Lanes<Pack>::unpack(corner[down * row + right * packs], values);
        for (int lane = 0; lane < lanes; ++lane) sums[lane] += values[lane];
      }
    for (int lane = 0; lane < lanes; ++lane) sums[lane] *= 0.25f;
    out[index] = Lanes<Pack>::pack(sums);
  }
}

// The way back: a quarter of the gradient at each of the positions, 0 at a last one that was left out. Through a
// rectification, too, unless `rectified` is null.
template <typename Pack>
__device__ void pool_back(
    const Pack* gradient, Long batch_step, Long line_step, const Pack* rectified, Pack* out, int height, int width,
    int out_height, int out_width, int packs) {
  constexpr int lanes = Lanes<Pack>::count;
  const Long line = blockIdx.x;
  const int pooled = line % height / 2;
  gradient += line / height * batch_step + pooled * line_step;
  const Long begin = line * width * packs;
  FOR_EACH_PACK(index, width * packs) {
    const int column = index / packs / 2;
    float values[lanes] = {};
    if (pooled < out_height && column < out_width) {
      Lanes<Pack>::unpack(gradient[column * packs + index % packs], values);
      for (int lane = 0; lane < lanes; ++lane) values[lane] *= 0.25f;
    }
    if (rectified != nullptr) {
      float features[lanes];
      Lanes<Pack>::unpack(rectified[begin + index], features);
      for (int lane = 0; lane < lanes; ++lane) values[lane] = features[lane] > 0 ? values[lane] : 0;
    }
    out[begin + index] = Lanes<Pack>::pack(values);
  }
}

// Channels of an image as the network sees it: three colours and as many zeros as whole packs ask for.
constexpr int image_channels = 8;

// Colours, [batch, 3, height, width], float32, brought to what the network was made for: less their mean, by their
// deviation. A line of `out` for each block.
template <typename Pack>
__device__ void image_in(
    const float* colours, const float* mean, const float* deviation, Pack* out, int height, int width) {
  constexpr int lanes = Lanes<Pack>::count;
  const Long line = blockIdx.x, plane = static_cast<Long>(height) * width;
  colours += line / height * 3 * plane + line % height * width;
  out += line * width * (image_channels / lanes);
  FOR_EACH_PACK(index, width) {
    float values[image_channels] = {};
    for (int colour = 0; colour < 3; ++colour)
      values[colour] = (colours[colour * plane + index] - mean[colour]) / deviation[colour];
    for (int part = 0; part < image_channels / lanes; ++part)
      out[index * (image_channels / lanes) + part] = Lanes<Pack>::pack(values + part * lanes);
  }
}

// The way back.
template <typename Pack>
__device__ void image_back(
    const Pack* gradient, Long batch_step, Long line_step, const float* deviation, float* out, int height, int width) {
  constexpr int lanes = Lanes<Pack>::count;
  const Long line = blockIdx.x, plane = static_cast<Long>(height) * width;
  gradient += line / height * batch_step + line % height * line_step;
  out += line / height * 3 * plane + line % height * width;
  FOR_EACH_PACK(index, width) {
    float values[lanes];
    Lanes<Pack>::unpack(gradient[index * (image_channels / lanes)], values);
    for (int colour = 0; colour < 3; ++colour) out[colour * plane + index] = values[colour] / deviation[colour];
  }
}

// The border positions once more around maps.
template <typename Pack>
__device__ void replicate(const Pack* features, Pack* out, int height, int width, int packs) {
  const Long line = blockIdx.x;
  const int row = min(max(static_cast<int>(line % (height + 2)) - 1, 0), height - 1);
  features += (line / (height + 2) * height + row) * width * packs;
  out += line * (width + 2) * packs;
  FOR_EACH_PACK(index, (width + 2) * packs) {
    const int column = min(max(index / packs - 1, 0), width - 1);
    out[index] = features[column * packs + index % packs];
  }
}

// The way back, in place: what lies outside is added to the border positions that it repeats. A line within for each block.
template <typename Pack>
__device__ void fold(Pack* gradient, int height, int width, int packs) {
  constexpr int lanes = Lanes<Pack>::count;
  const Long line = blockIdx.x;
  const int row = line % height;
  const bool is_outer = row == 0 || row == height - 1;
  Pack* map = gradient + line / height * (height + 2) * (width + 2) * packs;
  // Of a line within, the first position and the last.
  const int columns = is_outer ? width : min(width, 2);
  const int up = row == 0 ? 0 : row + 1, down = row == height - 1 ? row + 2 : row + 1;
  FOR_EACH_PACK(index, columns * packs) {
    const int number = index / packs;
    const int column = is_outer ? number : number * (width - 1);
    const int left = column == 0 ? 0 : column + 1, right = column == width - 1 ? column + 2 : column + 1;
    float sums[lanes] = {};
    for (int y = up; y <= down; ++y)
      for (int x = left; x <= right; ++x) {
        float values[lanes];
        Lanes<Pack>::unpack(map[(static_cast<Long>(y) * (width + 2) + x) * packs + index % packs], values);
        for (int lane = 0; lane < lanes; ++lane) sums[lane] += values[lane];
      }
    map[(static_cast<Long>(row + 1) * (width + 2) + column + 1) * packs + index % packs] = Lanes<Pack>::pack(sums);
  }
}

#define KERNELS(suffix, Pack)                                                                                         \
  extern "C" __global__ void rectify_back_##suffix(                                                                   \
      const Pack* gradient, Long batch_step, Long line_step, const Pack* rectified, Pack* out, int height,            \
      int line_packs) {                                                                                               \
    rectify_back(gradient, batch_step, line_step, rectified, out, height, line_packs);                                \
  }                                                                                                                   \
  extern "C" __global__ void pool_##suffix(                                                                           \
      const Pack* features, Pack* out, int height, int width, int out_height, int out_width, int packs) {             \
    pool(features, out, height, width, out_height, out_width, packs);                                                 \
  }                                                                                                                   \
  extern "C" __global__ void pool_back_##suffix(                                                                       \
      const Pack* gradient, Long batch_step, Long line_step, const Pack* rectified, Pack* out, int height, int width,  \
      int out_height, int out_width, int packs) {                                                                      \
    pool_back(gradient, batch_step, line_step, rectified, out, height, width, out_height, out_width, packs);           \
  }                                                                                                                    \
  extern "C" __global__ void image_in_##suffix(                                                                        \
      const float* colours, const float* mean, const float* deviation, Pack* out, int height, int width) {             \
    image_in(colours, mean, deviation, out, height, width);                                                            \
  }                                                                                                                    \
  extern "C" __global__ void image_back_##suffix(                                                                      \
      const Pack* gradient, Long batch_step, Long line_step, const float* deviation, float* out, int height,           \
      int width) {                                                                                                     \
    image_back(gradient, batch_step, line_step, deviation, out, height, width);                                        \
  }                                                                                                                    \
  extern "C" __global__ void replicate_##suffix(const Pack* features, Pack* out, int height, int width, int packs) {  \
    replicate(features, out, height, width, packs);                                                                   \
  }                                                                                                                   \
  extern "C" __global__ void fold_##suffix(Pack* gradient, int height, int width, int packs) {                        \
    fold(gradient, height, width, packs);                                                                             \
  }

KERNELS(bfloat16, Halves)
KERNELS(float32, Singles)

// Threads of a block of the two kernels below, and values of a vector that each of them holds.
constexpr int threads = 256, warps = threads / 32, held = 16;

// Products within rows of each of `count` vectors, [batch, values], with the last `heads` (at most 3) of them; block
// (x, y) adds up chunk x of row y. `sums` is [batch, chunks, count, 3].
extern "C" __global__ void inner(
    const float* const* vectors, float* sums, Long values, int count, int heads) {
  extern __shared__ float of_warps[];
  const Long row = blockIdx.y * values;
  const Long begin = blockIdx.x * static_cast<Long>(threads * held) + threadIdx.x;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  float head[3][held];
  for (int of = 0; of < 3; ++of)
#pragma unroll
    for (int at = 0; at < held; ++at) {
      const Long index = begin + at * threads;
      head[of][at] = of < heads && index < values ? vectors[count - heads + of][row + index] : 0;
    }
  for (int number = 0; number < count; ++number) {
    const float* vector = vectors[number] + row;
    float products[3] = {};
#pragma unroll
    for (int at = 0; at < held; ++at) {
      const Long index = begin + at * threads;
      const float value = index < values ? vector[index] : 0;
      for (int of = 0; of < 3; ++of) products[of] += value * head[of][at];
    }
    for (int of = 0; of < 3; ++of) {
      for (int step = 16; step > 0; step /= 2) products[of] += __shfl_xor_sync(0xffffffffu, products[of], step);
      if (lane == 0) of_warps[(warp * count + number) * 3 + of] = products[of];
    }
  }
  __syncthreads();
  sums += (blockIdx.y * static_cast<Long>(gridDim.x) + blockIdx.x) * count * 3;
  for (int index = threadIdx.x; index < count * 3; index += threads) {
    float sum = 0;
    for (int warp = 0; warp < warps; ++warp) sum += of_warps[warp * count * 3 + index];
    sums[index] = sum;
  }
}

// The sum of `count` vectors, [batch, values], each times its coefficient, [batch, count].
extern "C" __global__ void combine(
    const float* const* vectors, const float* coefficients, float* out, Long values, int count) {
  extern __shared__ float of_row[];
  for (int number = threadIdx.x; number < count; number += threads)
    of_row[number] = coefficients[static_cast<Long>(blockIdx.y) * count + number];
  __syncthreads();
  const Long row = blockIdx.y * values;
  const Long begin = blockIdx.x * static_cast<Long>(threads * held) + threadIdx.x;
  float sums[held] = {};
  for (int number = 0; number < count; ++number) {
    const float* vector = vectors[number] + row;
    const float coefficient = of_row[number];
#pragma unroll
    for (int at = 0; at < held; ++at) {
      const Long index = begin + at * threads;
      if (index < values) sums[at] += coefficient * vector[index];
    }
  }
#pragma unroll
  for (int at = 0; at < held; ++at) {
    const Long index = begin + at * threads;
    if (index < values) out[row + index] = sums[at];
  }
}

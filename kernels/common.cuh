// Shared by all kernels: conversions, reductions, the counter-based generator.
//
// No toolkit header is included, so that NVRTC compiles these files wherever libnvrtc is. 16-bit
// numbers are unsigned shorts, 8-bit ones unsigned chars; `Type` says what their bits mean.

enum Type { FP16 = 0, BF16 = 1, FP32 = 2, E4M3 = 3 };

// What every E4M3 number is multiplied by: src/workload/precision.rs.
__device__ const float E4M3_SCALE = 1.0f / 64.0f;

__device__ inline float to_float(unsigned short bits, int type) {
    if (type == BF16) return __uint_as_float((unsigned)bits << 16);
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
    return value;
}

// Rounds to nearest even, as every library here does.
__device__ inline unsigned short from_float(float value, int type) {
    unsigned short bits;
    if (type == BF16) {
        asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(value));
    } else {
        asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(value));
    }
    return bits;
}

// 2^exponent, of those that are normal.
__device__ inline float power_of_two(int exponent) {
    return __uint_as_float((unsigned)(exponent + 127) << 23);
}

// As e4m3_to_f32 and e4m3_from_f32 in src/workload/convert.rs: PTX converts them since sm_89 only.
__device__ inline float e4m3_to_float(unsigned char bits) {
    int exponent = bits >> 3 & 15, fraction = bits & 7;
    float magnitude = exponent == 15 && fraction == 7 ? __int_as_float(0x7fffffff)
                      : exponent == 0 ? fraction * power_of_two(-9)
                                      : (8 + fraction) * power_of_two(exponent - 10);
    return bits & 0x80 ? -magnitude : magnitude;
}

__device__ inline unsigned char e4m3_from_float(float value) {
    unsigned sign = __float_as_uint(value) >> 24 & 0x80;
    if (value != value) return sign | 0x7f;
    float magnitude = fminf(fabsf(value), 448.0f);
    int exponent = max((int)(__float_as_uint(magnitude) >> 23) - 127, -6);
    int eighths = (int)rintf(magnitude * power_of_two(3 - exponent));
    return sign | (8 * (exponent + 6) + eighths);
}

// Number `at` of an array of any type.
__device__ inline float load(const void* from, size_t at, int type) {
    if (type == FP32) return ((const float*)from)[at];
    if (type == E4M3) return E4M3_SCALE * e4m3_to_float(((const unsigned char*)from)[at]);
    return to_float(((const unsigned short*)from)[at], type);
}

__device__ inline void store(void* to, size_t at, float value, int type) {
    if (type == FP32) {
        ((float*)to)[at] = value;
    } else if (type == E4M3) {
        ((unsigned char*)to)[at] = e4m3_from_float(value / E4M3_SCALE);
    } else {
        ((unsigned short*)to)[at] = from_float(value, type);
    }
}

// All threads of the block get the result; blockDim.x is a multiple of 32. `scratch` holds 32
// floats.
template <typename Combine>
__device__ float block_reduce(float value, float identity, float* scratch, Combine combine) {
    for (int lane = 16; lane > 0; lane /= 2) {
        value = combine(value, __shfl_xor_sync(0xffffffffu, value, lane));
    }
    __syncthreads();  // the last reader of scratch is done
    if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = value;
    __syncthreads();
    value = threadIdx.x % 32 < blockDim.x / 32 ? scratch[threadIdx.x % 32] : identity;
    for (int lane = 16; lane > 0; lane /= 2) {
        value = combine(value, __shfl_xor_sync(0xffffffffu, value, lane));
    }
    return value;
}

__device__ inline float block_sum(float value, float* scratch) {
    return block_reduce(value, 0.0f, scratch, [](float a, float b) { return a + b; });
}

__device__ inline float block_max(float value, float* scratch) {
    return block_reduce(value, __int_as_float(0xff800000), scratch,
                        [](float a, float b) { return fmaxf(a, b); });
}

// Shared by all kernels: 16-bit conversions, reductions, the counter-based generator.
//
// No toolkit header is included, so that NVRTC compiles these files wherever libnvrtc is. 16-bit
// numbers are unsigned shorts; `Type` says what their bits mean.

enum Type { FP16 = 0, BF16 = 1 };

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

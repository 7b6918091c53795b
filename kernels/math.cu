// The parts of MATH attention between its two products: casts with scaling, and the softmax of whole rows.

#include "common.cuh"

// out[i] = scale * in[i], widened to float32.
extern "C" __global__ void widen(const unsigned short* in, float* out, size_t len, float scale, int type) {
    size_t i = 4 * (blockIdx.x * (size_t)blockDim.x + threadIdx.x);
    if (i + 4 <= len) {
        ushort4 bits = *(const ushort4*)(in + i);
        *(float4*)(out + i) = make_float4(scale * to_float(bits.x, type), scale * to_float(bits.y, type),
                                          scale * to_float(bits.z, type), scale * to_float(bits.w, type));
    } else {
        for (; i < len; i++) out[i] = scale * to_float(in[i], type);
    }
}

// out[i] = in[i], rounded to 16 bits.
extern "C" __global__ void narrow(const float* in, unsigned short* out, size_t len, int type) {
    size_t i = 4 * (blockIdx.x * (size_t)blockDim.x + threadIdx.x);
    if (i + 4 <= len) {
        float4 value = *(const float4*)(in + i);
        *(ushort4*)(out + i) = make_ushort4(from_float(value.x, type), from_float(value.y, type),
                                            from_float(value.z, type), from_float(value.w, type));
    } else {
        for (; i < len; i++) out[i] = from_float(in[i], type);
    }
}

struct Wide {
    typedef float Element;
    static __device__ float load(float element, int) { return element; }
    static __device__ float store(float value, int) { return value; }
};

struct Narrow {
    typedef unsigned short Element;
    static __device__ float load(unsigned short element, int type) { return to_float(element, type); }
    static __device__ unsigned short store(float value, int type) { return from_float(value, type); }
};

// Softmax of each row of scores[rows, seq], in place; row r belongs to query r % seq and, if causal, sees the keys up to
// its own. One block a row. A row is read twice, the second time from cache: the maximum and the sum come from one pass
// (online softmax, Milakov and Gimelshein 2018). A row without any key gets zeros, as PyTorch's _safe_softmax gives.
template <typename Width>
__device__ void softmax(typename Width::Element* scores, unsigned seq, int causal, int type) {
    __shared__ float scratch[32];
    typename Width::Element* row = scores + (size_t)blockIdx.x * seq;
    unsigned keys = causal ? blockIdx.x % seq + 1 : seq;
    const float lowest = __int_as_float(0xff800000);

    float top = lowest, sum = 0.0f;
    for (unsigned j = threadIdx.x; j < keys; j += blockDim.x) {
        float score = Width::load(row[j], type);
        float raised = fmaxf(top, score);
        if (raised != lowest) sum = sum * __expf(top - raised) + __expf(score - raised);
        top = raised;
    }
    float row_top = block_max(top, scratch);
    sum = block_sum(top == lowest ? 0.0f : sum * __expf(top - row_top), scratch);
    float scale = sum > 0.0f ? 1.0f / sum : 0.0f;
    for (unsigned j = threadIdx.x; j < seq; j += blockDim.x) {
        float weight = j < keys && sum > 0.0f ? __expf(Width::load(row[j], type) - row_top) * scale : 0.0f;
        row[j] = Width::store(weight, type);
    }
}

extern "C" __global__ void softmax_f32(float* scores, unsigned seq, int causal) {
    softmax<Wide>(scores, seq, causal, 0);
}

extern "C" __global__ void softmax_16bit(unsigned short* scores, unsigned seq, int causal, int type) {
    softmax<Narrow>(scores, seq, causal, type);
}

// The parts of MATH attention between its two products: casts with scaling, and the softmax of
// whole rows.

#include "common.cuh"

// out[i] = scale * in[i], widened to float32.
extern "C" __global__ void widen(const unsigned short* in, float* out, size_t len, float scale,
                                 int type) {
    size_t i = 4 * (blockIdx.x * (size_t)blockDim.x + threadIdx.x);
    if (i + 4 <= len) {
        ushort4 bits = *(const ushort4*)(in + i);
        *(float4*)(out + i) = make_float4(scale * to_float(bits.x, type),
                                          scale * to_float(bits.y, type),
                                          scale * to_float(bits.z, type),
                                          scale * to_float(bits.w, type));
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

// Below every score.
#define LOWEST __int_as_float(0xff800000)

struct Wide {
    typedef float Element;
    typedef float4 Four;
    static __device__ float load(float element, int) { return element; }
    static __device__ float store(float value, int) { return value; }
};

struct Narrow {
    typedef unsigned short Element;
    typedef ushort4 Four;
    static __device__ float load(unsigned short element, int type) {
        return to_float(element, type);
    }
    static __device__ unsigned short store(float value, int type) {
        return from_float(value, type);
    }
};

// A maximum, and the sum of exponentials relative to it: what one pass over the scores gives
// (online softmax, Milakov and Gimelshein 2018).
struct Partial {
    float top, sum;
    __device__ void add(Partial other) {
        float raised = fmaxf(top, other.top);
        if (raised == LOWEST) return;
        sum = sum * __expf(top - raised) + other.sum * __expf(other.top - raised);
        top = raised;
    }
    __device__ Partial across(int lanes) const {
        return {__shfl_xor_sync(0xffffffffu, top, lanes), __shfl_xor_sync(0xffffffffu, sum, lanes)};
    }
};

// Scores of a row that a thread keeps in registers. Those of a row longer than KEPT * blockDim.x
// are read twice.
const unsigned KEPT = 8;

// Softmax of each row of scores[rows, seq], in place; row r belongs to query r % seq and, if
// causal, sees the keys up to its own. One block a row, of KEPT scores a thread. A row without any
// key gets zeros, as PyTorch's _safe_softmax gives. FOUR elements are read and written at once
// where rows are aligned so.
template <typename Width, bool FOUR>
__device__ void softmax(typename Width::Element* scores, unsigned seq, int causal, int type) {
    __shared__ Partial partials[32];
    typename Width::Element* row = scores + (size_t)blockIdx.x * seq;
    unsigned keys = causal ? blockIdx.x % seq + 1 : seq;
    // Where this thread's score i lies.
    auto place = [](unsigned i) {
        return FOUR ? 4 * (threadIdx.x + i / 4 * blockDim.x) + i % 4 : threadIdx.x + i * blockDim.x;
    };

    float kept[KEPT];
    Partial partial = {LOWEST, 0.0f};
#pragma unroll
    for (unsigned i = 0; i < KEPT; i += FOUR ? 4 : 1) {
        if (FOUR) {
            typename Width::Four four = {};
            if (place(i) < keys) four = *(const typename Width::Four*)(row + place(i));
            kept[i] = place(i) < keys ? Width::load(four.x, type) : LOWEST;
            kept[i + 1] = place(i + 1) < keys ? Width::load(four.y, type) : LOWEST;
            kept[i + 2] = place(i + 2) < keys ? Width::load(four.z, type) : LOWEST;
            kept[i + 3] = place(i + 3) < keys ? Width::load(four.w, type) : LOWEST;
        } else {
            kept[i] = place(i) < keys ? Width::load(row[place(i)], type) : LOWEST;
        }
    }
#pragma unroll
    for (unsigned i = 0; i < KEPT; i++) partial.top = fmaxf(partial.top, kept[i]);
    if (partial.top != LOWEST) {
#pragma unroll
        for (unsigned i = 0; i < KEPT; i++) partial.sum += __expf(kept[i] - partial.top);
    }
    unsigned rest = KEPT * blockDim.x + threadIdx.x;
    for (unsigned j = rest; j < keys; j += blockDim.x)
        partial.add({Width::load(row[j], type), 1.0f});

#pragma unroll
    for (int lanes = 16; lanes > 0; lanes /= 2) partial.add(partial.across(lanes));
    if (blockDim.x > 32) {
        if (threadIdx.x % 32 == 0) partials[threadIdx.x / 32] = partial;
        __syncthreads();
        partial = threadIdx.x % 32 < blockDim.x / 32 ? partials[threadIdx.x % 32]
                                                     : Partial{LOWEST, 0.0f};
#pragma unroll
        for (int lanes = 16; lanes > 0; lanes /= 2) partial.add(partial.across(lanes));
    }

    float scale = partial.sum > 0.0f ? 1.0f / partial.sum : 0.0f;
    float top = partial.top == LOWEST ? 0.0f : partial.top;
#pragma unroll
    for (unsigned i = 0; i < KEPT; i++) kept[i] = __expf(kept[i] - top) * scale;
#pragma unroll
    for (unsigned i = 0; i < KEPT; i += FOUR ? 4 : 1) {
        if (FOUR) {
            typename Width::Four four = {Width::store(kept[i], type),
                                         Width::store(kept[i + 1], type),
                                         Width::store(kept[i + 2], type),
                                         Width::store(kept[i + 3], type)};
            if (place(i) < seq) *(typename Width::Four*)(row + place(i)) = four;
        } else if (place(i) < seq) {
            row[place(i)] = Width::store(kept[i], type);
        }
    }
    for (unsigned j = rest; j < seq; j += blockDim.x) {
        float weight = j < keys ? __expf(Width::load(row[j], type) - top) * scale : 0.0f;
        row[j] = Width::store(weight, type);
    }
}

extern "C" __global__ void softmax_f32(float* scores, unsigned seq, int causal) {
    if (seq % 4 == 0) {
        softmax<Wide, true>(scores, seq, causal, 0);
    } else {
        softmax<Wide, false>(scores, seq, causal, 0);
    }
}

extern "C" __global__ void softmax_16bit(unsigned short* scores, unsigned seq, int causal,
                                         int type) {
    if (seq % 4 == 0) {
        softmax<Narrow, true>(scores, seq, causal, type);
    } else {
        softmax<Narrow, false>(scores, seq, causal, type);
    }
}

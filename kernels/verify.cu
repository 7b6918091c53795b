// The references that every plan is checked against: sampled rows, GEMMs in float64 and attention
// in float32, no tensor cores, no tiling. Each raises errors[i], zero at first, to the largest
// error of an element of row i.

#include "common.cuh"

// The error of an element: relative to the size of what was summed, as src/ops/verify.rs explains.
// NaN where the squares overflow, which would hide any error.
__device__ inline float error_of(float out, float sum, float squares, float factor,
                                 float smallest) {
    float size = fmaxf(sqrtf(sum * sum + squares), smallest) * factor;
    return size <= 3.4028235e38f ? fabsf(out - sum) / size : __int_as_float(0x7fffffff);
}

// The larger, or NaN if one is: fmaxf would drop it.
__device__ inline float worse(float a, float b) { return a >= b || a != a ? a : b; }

// The worst error of the block goes to the row's. Unsigned integers order floats that are not
// negative, and NaN above all of them.
__device__ inline void raise_error(float* error_of_row, float error, float* scratch) {
    error = block_reduce(error, 0.0f, scratch, [](float a, float b) { return worse(a, b); });
    if (threadIdx.x == 0) atomicMax((unsigned*)error_of_row, __float_as_uint(error));
}

// C[M,N] = A[M,K] B[K,N], each of a batch: A, B and C of one after those of the one before. C is
// row-major; the strides of A and B say how they are stored. rows[] counts the rows of the whole
// batch. Grid (sampled rows, ceil(N / 256)), 256 threads: a thread per element. It adds up in
// float64: float32 results are compared as well.
extern "C" __global__ void verify_gemm(const void* a, const void* b, const void* c,
                                       const unsigned* rows, float* errors, size_t m, unsigned n,
                                       unsigned k,
                                       size_t a_row_stride, size_t a_column_stride,
                                       size_t b_row_stride, size_t b_column_stride,
                                       float smallest, int operand_type, int result_type) {
    __shared__ float scratch[32];
    unsigned column = blockIdx.y * blockDim.x + threadIdx.x;
    size_t row = rows[blockIdx.x], of_batch = row / m;
    size_t in_a = of_batch * m * k + row % m * a_row_stride;
    size_t in_b = of_batch * k * n + column * b_column_stride;
    float error = 0.0f;
    if (column < n) {
        double sum = 0.0, squares = 0.0;
        for (unsigned i = 0; i < k; i++) {
            double term = (double)load(a, in_a + i * a_column_stride, operand_type)
                        * (double)load(b, in_b + i * b_row_stride, operand_type);
            sum += term;
            squares = fma(term, term, squares);
        }
        float size = fmaxf((float)sqrt(sum * sum + squares), smallest);
        float out = load(c, row * n + column, result_type);
        // fmaxf drops a NaN.
        error = size <= 3.4028235e38f && sum == sum ? (float)(fabs(out - sum) / size)
                                                    : __int_as_float(0x7fffffff);
    }
    raise_error(&errors[blockIdx.x], error, scratch);
}

// O = softmax(scale Q K^T) V. Q and O are [heads, seq, dim], K and V [KV heads, keys, dim], with
// batch and heads as one; rows[] indexes [heads * seq]. Head h of Q and O takes head h / group of K
// and V; a mask has as many keys as queries. Grid (sampled rows), 256 threads, shared memory: keys
// + dim floats. `scores_rounded`: by the backend, to 16 bits.
extern "C" __global__ void verify_sdpa(const unsigned short* q, const unsigned short* k,
                                       const unsigned short* v,
                                       const unsigned short* o, const unsigned* rows,
                                       float* errors, unsigned seq,
                                       unsigned all_keys, unsigned dim, unsigned group,
                                       float scale, int causal, int scores_rounded,
                                       float smallest, int type) {
    extern __shared__ float shared[];
    __shared__ float scratch[32];
    float* scores = shared;
    float* query = shared + all_keys;
    unsigned row = rows[blockIdx.x];
    size_t head = (size_t)(row / seq / group) * all_keys * dim;
    unsigned keys = causal ? row % seq + 1 : all_keys;

    for (unsigned d = threadIdx.x; d < dim; d += blockDim.x)
        query[d] = to_float(q[(size_t)row * dim + d], type);
    __syncthreads();

    float top = __int_as_float(0xff800000);
    for (unsigned j = threadIdx.x; j < keys; j += blockDim.x) {
        float sum = 0.0f;
        for (unsigned d = 0; d < dim; d++)
            sum = fmaf(query[d], to_float(k[head + (size_t)j * dim + d], type), sum);
        scores[j] = sum * scale;
        top = fmaxf(top, scores[j]);
    }
    top = block_max(top, scratch);
    float total = 0.0f, weighted = 0.0f;
    for (unsigned j = threadIdx.x; j < keys; j += blockDim.x) {
        float weight = expf(scores[j] - top);
        total += weight;
        weighted += weight * fabsf(scores[j]);
        scores[j] = weight;
    }
    total = block_sum(total, scratch);
    for (unsigned j = threadIdx.x; j < keys; j += blockDim.x) scores[j] /= total;
    weighted = block_sum(weighted, scratch);  // its barriers also publish scores[]
    float factor = scores_rounded ? 1.0f + weighted / total : 1.0f;

    float error = 0.0f;
    for (unsigned d = threadIdx.x; d < dim; d += blockDim.x) {
        float sum = 0.0f, squares = 0.0f;
        for (unsigned j = 0; j < keys; j++) {
            float term = scores[j] * to_float(v[head + (size_t)j * dim + d], type);
            sum += term;
            squares = fmaf(term, term, squares);
        }
        float out = to_float(o[(size_t)row * dim + d], type);
        error = worse(error, error_of(out, sum, squares, factor, smallest));
    }
    raise_error(&errors[blockIdx.x], error, scratch);
}

// Counts the NaN and infinite elements of a tensor: those that were not written, or overflowed.
extern "C" __global__ void count_nonfinite(const void* values, size_t len, unsigned* count,
                                           int type) {
    unsigned found = 0;
    for (size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x; i < len;
         i += (size_t)gridDim.x * blockDim.x) {
        found += !(fabsf(load(values, i, type)) <= 3.4028235e38f);
    }
    if (found) atomicAdd(count, found);
}

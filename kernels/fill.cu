// Seeded test data, made where it is used. The numbers are those of src/workload/philox.rs: the
// same on every device.

#include "common.cuh"

// Philox4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC
// 2011.
__device__ inline uint4 philox4x32(uint4 counter, uint2 key) {
    for (int round = 0; round < 10; round++) {
        unsigned high0 = __umulhi(0xD2511F53u, counter.x), low0 = 0xD2511F53u * counter.x;
        unsigned high1 = __umulhi(0xCD9E8D57u, counter.z), low1 = 0xCD9E8D57u * counter.z;
        counter = make_uint4(high1 ^ counter.y ^ key.x, low1, high0 ^ counter.w ^ key.y, low0);
        key.x += 0x9E3779B9u;
        key.y += 0xBB67AE85u;
    }
    return counter;
}

// The standard normal number `index` of tensor `tensor`: normal() of src/workload/philox.rs.
__device__ inline float normal(unsigned long long seed, unsigned tensor, unsigned long long index) {
    unsigned long long block = index / 4;
    uint4 x = philox4x32(make_uint4((unsigned)block, (unsigned)(block >> 32), 0u, tensor),
                         make_uint2((unsigned)seed, (unsigned)(seed >> 32)));
    unsigned first = index % 4 < 2 ? x.x : x.z;
    unsigned second = index % 4 < 2 ? x.y : x.w;
    float u1 = ((float)first + 1.0f) * 2.3283064365386963e-10f;
    float u2 = (float)second * 2.3283064365386963e-10f;
    float radius = sqrtf(-2.0f * logf(u1));
    float angle = 6.283185307179586f * u2;
    return index % 2 == 0 ? radius * cosf(angle) : radius * sinf(angle);
}

// out[rows, columns], row-major: normal numbers in the upper left data_rows x data_columns, zeros
// around them.
extern "C" __global__ void fill_normal(void* out, unsigned long long seed,
                                       unsigned tensor,
                                       unsigned long long rows, unsigned long long columns,
                                       unsigned long long data_rows,
                                       unsigned long long data_columns, int type) {
    unsigned long long i = blockIdx.x * (unsigned long long)blockDim.x + threadIdx.x;
    if (i >= rows * columns) return;
    unsigned long long row = i / columns, column = i % columns;
    bool data = row < data_rows && column < data_columns;
    store(out, i, data ? normal(seed, tensor, row * data_columns + column) : 0.0f, type);
}

// Pads or slices row-major matrices of 16-bit numbers: up to three in one launch, as attention has
// Q, K and V.

struct Matrices {
    const unsigned short* from[3];
    unsigned short* to[3];
};

struct Sizes {
    unsigned from_rows, from_columns, to_rows, to_columns;
};

const unsigned CHUNK = 8;   // numbers of a 16-byte store
const unsigned CHUNKS = 2;  // of a thread: independent loads keep the memory busy
const unsigned THREADS = 128;

// Numbers [at, at + 8) of `from`, at any alignment; ten numbers from the even one at or before `at`
// are read.
__device__ inline uint4 load_chunk(const unsigned short* from, size_t at) {
    const unsigned* words = (const unsigned*)from + at / 2;
    unsigned shift = at % 2 * 16;
    unsigned a = words[0], b = words[1], c = words[2], d = words[3], e = words[4];
    return make_uint4(__funnelshift_r(a, b, shift), __funnelshift_r(b, c, shift),
                      __funnelshift_r(c, d, shift),
                      __funnelshift_r(d, e, shift));
}

// The numbers [begin, end) of a chunk, zeros around them.
__device__ inline unsigned keep(unsigned pair, int first, int begin, int end) {
    unsigned low = first >= begin && first < end ? 0xffffu : 0u;
    unsigned high = first + 1 >= begin && first + 1 < end ? 0xffff0000u : 0u;
    return pair & (low | high);
}
__device__ inline uint4 keep(uint4 chunk, int begin, int end) {
    return make_uint4(keep(chunk.x, 0, begin, end), keep(chunk.y, 2, begin, end),
                      keep(chunk.z, 4, begin, end),
                      keep(chunk.w, 6, begin, end));
}

// The eight numbers of the result from (row, column) on, which lie in one row or two; `row` and the
// next two are in `from`, so that what is read beyond the chunk is too.
__device__ inline uint4 chunk_of(const unsigned short* from, const Sizes& sizes, unsigned row,
    unsigned column) {
    size_t begin = (size_t)row * sizes.from_columns;
    // In this row; the others begin the next one
    int here = (int)min(CHUNK, sizes.to_columns - column);
    int there = min((int)sizes.from_columns - (int)column, here);
    uint4 chunk = load_chunk(from, begin + min(column, sizes.from_columns));
    if (there < (int)CHUNK) chunk = keep(chunk, 0, there);
    if (here < (int)CHUNK) {
        uint4 next = load_chunk(from, begin + sizes.from_columns - here);
        next = keep(next, here, here + (int)sizes.from_columns);
        chunk.x |= next.x, chunk.y |= next.y, chunk.z |= next.z, chunk.w |= next.w;
    }
    return chunk;
}

// to[r][c] = from[r][c] inside of from, else 0. Grid (blocks, matrices); a block writes CHUNKS *
// CHUNK * THREADS numbers.
extern "C" __global__ void __launch_bounds__(THREADS) resize(Matrices matrices, Sizes sizes) {
    unsigned matrix = blockIdx.y;
    const unsigned short* from = matrix == 0   ? matrices.from[0]
                                 : matrix == 1 ? matrices.from[1]
                                               : matrices.from[2];
    unsigned short* to = matrix == 0   ? matrices.to[0]
                         : matrix == 1 ? matrices.to[1]
                                       : matrices.to[2];
    const unsigned BLOCK = CHUNKS * CHUNK * THREADS;
    size_t len = (size_t)sizes.to_rows * sizes.to_columns, first = (size_t)blockIdx.x * BLOCK;
    unsigned first_row = (unsigned)(first / sizes.to_columns);
    unsigned first_column = (unsigned)(first - (size_t)first_row * sizes.to_columns);
    bool inner = first_row > 0 && first_row + BLOCK / sizes.to_columns + 4 < sizes.from_rows
        && first + BLOCK <= len;
    if (inner && sizes.from_columns >= CHUNK && sizes.to_columns >= CHUNK) {
        uint4 chunks[CHUNKS];
#pragma unroll
        for (unsigned i = 0; i < CHUNKS; i++) {
            unsigned column = first_column + CHUNK * (threadIdx.x + i * THREADS);
            chunks[i] = chunk_of(from, sizes, first_row + column / sizes.to_columns,
                column % sizes.to_columns);
        }
#pragma unroll
        for (unsigned i = 0; i < CHUNKS; i++) {
            *(uint4*)(to + first + CHUNK * (threadIdx.x + i * THREADS)) = chunks[i];
        }
    } else {  // the first block and the last ones, narrow matrices, and rows of zeros
#pragma unroll
        for (unsigned i = 0; i < CHUNKS * CHUNK; i++) {
            unsigned offset = threadIdx.x + i * THREADS;
            unsigned row = first_row + (first_column + offset) / sizes.to_columns;
            unsigned column = (first_column + offset) % sizes.to_columns;
            if (first + offset >= len) return;
            bool inside = row < sizes.from_rows && column < sizes.from_columns;
            to[first + offset] = inside ? from[(size_t)row * sizes.from_columns + column]
                : (unsigned short)0;
        }
    }
}

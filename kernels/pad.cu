// Pads or slices row-major matrices: up to three in one launch, as attention has Q, K and V. The
// numbers are units of 16 bits, or of 8 where rows have an odd number of bytes.

struct Matrices {
    const void* from[3];
    void* to[3];
};

struct Sizes {
    unsigned from_rows, from_columns, to_rows, to_columns;
};

const unsigned CHUNK_BYTES = 16;  // of a store
const unsigned CHUNKS = 2;        // of a thread: independent loads keep the memory busy
const unsigned THREADS = 128;

// The 16 bytes of `from` from unit `at` on, at any alignment; 20 bytes from the multiple of 4 at or
// before it are read.
template <typename Unit>
__device__ inline uint4 load_chunk(const Unit* from, size_t at) {
    const unsigned EACH = 4 / sizeof(Unit);
    const unsigned* words = (const unsigned*)from + at / EACH;
    unsigned shift = at % EACH * 8 * sizeof(Unit);
    unsigned a = words[0], b = words[1], c = words[2], d = words[3], e = words[4];
    return make_uint4(__funnelshift_r(a, b, shift), __funnelshift_r(b, c, shift),
                      __funnelshift_r(c, d, shift),
                      __funnelshift_r(d, e, shift));
}

// The units [begin, end) of a chunk, zeros around them.
template <typename Unit>
__device__ inline unsigned keep(unsigned word, int first, int begin, int end) {
    const int EACH = 4 / sizeof(Unit);
    unsigned kept = 0u;
#pragma unroll
    for (int i = 0; i < EACH; i++) {
        unsigned unit = (unsigned)(Unit)~0u << i * 8 * sizeof(Unit);
        kept |= first + i >= begin && first + i < end ? unit : 0u;
    }
    return word & kept;
}
template <typename Unit>
__device__ inline uint4 keep(uint4 chunk, int begin, int end) {
    const int EACH = 4 / sizeof(Unit);
    return make_uint4(keep<Unit>(chunk.x, 0, begin, end), keep<Unit>(chunk.y, EACH, begin, end),
                      keep<Unit>(chunk.z, 2 * EACH, begin, end),
                      keep<Unit>(chunk.w, 3 * EACH, begin, end));
}

// The chunk of the result from (row, column) on, which lies in one row or two; `row` and the next
// two are in `from`, so that what is read beyond the chunk is too.
template <typename Unit>
__device__ inline uint4 chunk_of(const Unit* from, const Sizes& sizes, unsigned row,
    unsigned column) {
    const unsigned CHUNK = CHUNK_BYTES / sizeof(Unit);
    size_t begin = (size_t)row * sizes.from_columns;
    // In this row; the others begin the next one
    int here = (int)min(CHUNK, sizes.to_columns - column);
    int there = min((int)sizes.from_columns - (int)column, here);
    uint4 chunk = load_chunk(from, begin + min(column, sizes.from_columns));
    if (there < (int)CHUNK) chunk = keep<Unit>(chunk, 0, there);
    if (here < (int)CHUNK) {
        uint4 next = load_chunk(from, begin + sizes.from_columns - here);
        next = keep<Unit>(next, here, here + (int)sizes.from_columns);
        chunk.x |= next.x, chunk.y |= next.y, chunk.z |= next.z, chunk.w |= next.w;
    }
    return chunk;
}

// to[r][c] = from[r][c] inside of from, else 0. Grid (blocks, matrices); a block writes CHUNKS *
// THREADS chunks.
template <typename Unit>
__device__ inline void resize_units(const Matrices& matrices, const Sizes& sizes) {
    unsigned matrix = blockIdx.y;
    const Unit* from = (const Unit*)(matrix == 0   ? matrices.from[0]
                                     : matrix == 1 ? matrices.from[1]
                                                   : matrices.from[2]);
    Unit* to = (Unit*)(matrix == 0   ? matrices.to[0]
                       : matrix == 1 ? matrices.to[1]
                                     : matrices.to[2]);
    const unsigned CHUNK = CHUNK_BYTES / sizeof(Unit), BLOCK = CHUNKS * CHUNK * THREADS;
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
                : (Unit)0;
        }
    }
}

extern "C" __global__ void __launch_bounds__(THREADS) resize(Matrices matrices, Sizes sizes) {
    resize_units<unsigned short>(matrices, sizes);
}

extern "C" __global__ void __launch_bounds__(THREADS) resize_bytes(Matrices matrices, Sizes sizes) {
    resize_units<unsigned char>(matrices, sizes);
}

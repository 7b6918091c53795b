// Memory-efficient attention (Rabe and Staats 2021) as CUTLASS tiles it: two products of 32x32 warp
// tiles back to back, with the weights between them in shared memory.
//
// The head_dim is a parameter, a multiple of 8. Compiled per variant, by macros: NAME, TYPE,
// CAUSAL, and the tile: QUERIES  queries of a block KEYS     keys of a step, and the columns of the
// result that are computed at once BLOCKS   blocks per multiprocessor that the registers must allow
// STAGES   slices of K and V in shared memory GLOBAL   whether the result has more than KEYS
// columns: those beyond are kept in global memory in float32, and read
//          and written for each block of keys; the first KEYS stay in registers
// The tiles are CUTLASS's: 64x64 for a head_dim up to 64, 64x128 up to 128, 32x128 with GLOBAL for
// any.
//
// Registers and spilled bytes by NVRTC 12.9, fp16, in this order: sm_80 123 and 0, 128 and 0, 168
// and 24; sm_90 126 (causal 128) and 0, 128 and 0, 168 and 0.

#include "mma.cuh"

const int KEY_WARPS = KEYS / 32, WARPS = QUERIES / 32 * KEY_WARPS, THREADS = 32 * WARPS;
const int SLICE = 64;                          // columns of a slice of K or Q, rows of a slice of V
const int SLICE_BYTES = KEYS * SLICE * 2;     // KEYS rows of SLICE columns, or the other way round
const int Q_SLICE_BYTES = QUERIES * SLICE * 2;

// Where chunk `chunk` of row `row` lies in rows of `chunks` chunks, a multiple of 8: the rows that
// ldmatrix reads at once lie in different banks.
__device__ inline unsigned place(int row, int chunk, int chunks) {
    return 16 * (row * chunks + (chunk ^ (row % 8)));
}

// Copies ROWS x COLUMNS of a matrix of `dim` columns into a slice; zeros after row `rows` and
// column `columns`.
template <int ROWS, int COLUMNS>
__device__ inline void load_slice(unsigned to, const unsigned short* from, int dim, int rows,
    int columns) {
    const int CHUNKS = COLUMNS / 8;
#pragma unroll
    for (int i = 0; i < ROWS * CHUNKS / THREADS; i++) {
        int row = (threadIdx.x + i * THREADS) / CHUNKS, chunk = threadIdx.x % CHUNKS;
        bool there = row < rows && 8 * chunk < columns;
        copy_async(to + place(row, chunk, CHUNKS), there ? from + row * dim + 8 * chunk : from,
            there);
    }
}

// c += a b over 16 of the dimension summed over: a 32x16 from rows of `a_chunks` chunks, b 16x32
// from K, whose rows are the columns of b, or from V.
template <bool FROM_V>
__device__ inline void multiply_step(float (&c)[2][4][4], unsigned a_tile, int a_row, int a_chunk,
                                     int a_chunks,
                                     unsigned b_tile, int b_row, int b_chunk, int b_chunks) {
    int lane = threadIdx.x % 32, turn = lane % 8;  // of every row that this thread addresses
    unsigned a[2][4];
#pragma unroll
    for (int i = 0; i < 2; i++) {
        load_matrices(a[i], a_tile + (a_row + lane % 16 + i * 16) * 16 * a_chunks +
                                16 * ((a_chunk + lane / 16) ^ turn));
    }
#pragma unroll
    for (int j = 0; j < 4; j += 2) {
        unsigned b[4];
        if (FROM_V) {
            load_transposed(b, b_tile + (b_row + lane % 16) * 16 * b_chunks
                + 16 * ((b_chunk + j + lane / 16) ^ turn));
        } else {
            load_matrices(b, b_tile + (b_row + lane % 8 + lane / 16 * 8 + j * 8) * 16 * b_chunks +
                                 16 * ((b_chunk + lane / 8 % 2) ^ turn));
        }
#pragma unroll
        for (int i = 0; i < 2; i++) {
            multiply(c[i][j], a[i], b[0], b[1]);
            multiply(c[i][j + 1], a[i], b[2], b[3]);
        }
    }
}

__device__ inline void clear(float (&c)[2][4][4]) {
#pragma unroll
    for (int i = 0; i < 2; i++)
#pragma unroll
        for (int j = 0; j < 4; j++)
#pragma unroll
            for (int e = 0; e < 4; e++) c[i][j][e] = 0.0f;
}

// Slices in the order they are used: those of K over the columns, then those of V over the blocks
// of result columns and the rows of each; then the next block of keys.
struct Slices {
    const unsigned short *k, *v;
    int dim, seq, blocks;
    int block = 0, part = 0;  // the next one to copy
    unsigned ring, stage = 0;
    __device__ int k_parts() const { return (dim + SLICE - 1) / SLICE; }
    __device__ int v_parts() const { return (dim + KEYS - 1) / KEYS * (KEYS / SLICE); }

    __device__ void copy_next() {
        if (block < blocks) {
            unsigned to = ring + stage * SLICE_BYTES;
            int keys = seq - block * KEYS;
            if (part < k_parts()) {
                int column = part * SLICE;
                load_slice<KEYS, SLICE>(to, k + (size_t)block * KEYS * dim + column, dim, keys,
                    dim - column);
            } else {
                int v_part = part - k_parts();
                int column = v_part / (KEYS / SLICE) * KEYS, row = v_part % (KEYS / SLICE) * SLICE;
                const unsigned short* from = v + (size_t)(block * KEYS + row) * dim + column;
                load_slice<SLICE, KEYS>(to, from, dim, keys - row, dim - column);
            }
            if (++part == k_parts() + v_parts()) part = 0, block++;
            stage = stage + 1 == STAGES ? 0 : stage + 1;
        }
        copies_end_group();
    }
};

// Grid (blocks of queries, heads, batch). `group` query heads share a head of K and V; `scale`
// includes log2(e). `kept` holds the columns of the result beyond KEYS, in float32, if GLOBAL.
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
    NAME(const unsigned short* q, const unsigned short* k, const unsigned short* v,
         unsigned short* out, float* kept,
         int seq, int dim, int group, float scale) {
    extern __shared__ __align__(128) char shared[];
    __shared__ float tops[KEY_WARPS][QUERIES];
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    int warp_row = warp / KEY_WARPS * 32, warp_column = warp % KEY_WARPS * 32;
    int block = CAUSAL ? gridDim.x - 1 - blockIdx.x : blockIdx.x;
    int first = block * QUERIES;
    int head = blockIdx.z * gridDim.y + blockIdx.y;
    size_t kv_rows = (size_t)(head / group) * seq, q_rows = (size_t)head * seq + first;
    int keys = CAUSAL ? min(seq, first + QUERIES) : seq;

    // Weights, ring of slices, Q by slices of columns.
    unsigned weights = shared_address(shared), ring = weights + QUERIES * KEYS * 2;
    unsigned q_tile = ring + STAGES * SLICE_BYTES;
    Slices slices = {k + kv_rows * dim, v + kv_rows * dim, dim, seq, (keys + KEYS - 1) / KEYS};
    slices.ring = ring;
    for (int part = 0; part < slices.k_parts(); part++) {
        load_slice<QUERIES, SLICE>(q_tile + part * Q_SLICE_BYTES, q + q_rows * dim + part * SLICE,
                                   dim, seq - first,
                                   dim - part * SLICE);
    }
    for (int i = 0; i < STAGES - 1; i++) slices.copy_next();
    unsigned stage = 0;
    // The next slice, once all threads see it and have left the one that is overwritten next.
    auto next_slice = [&]() {
        copies_wait<STAGES - 2>();
        __syncthreads();
        slices.copy_next();
        unsigned slice = ring + stage * SLICE_BYTES;
        stage = stage + 1 == STAGES ? 0 : stage + 1;
        return slice;
    };

    // Adds the product of the weights and the columns of V from `column` on that this warp owns.
    auto add_columns = [&](float (&to)[2][4][4], int column) {
#pragma unroll
        for (int part = 0; part < KEYS / SLICE; part++) {
            unsigned slice = next_slice();
            if (column + warp_column < dim) {
#pragma unroll
                for (int i = 0; i < SLICE / 16; i++) {
                    multiply_step<true>(to, weights, warp_row, part * SLICE / 8 + 2 * i, KEYS / 8,
                                        slice, i * 16,
                                        warp_column / 8, KEYS / 8);
                }
            }
        }
    };
    // This thread's result in `kept`: rows 8 apart, pairs of columns 8 apart.
    int kept_columns = dim - KEYS, kept_rows = seq - first - warp_row - lane / 4;
    float* kept_first = kept + (q_rows + warp_row + lane / 4) * kept_columns + warp_column
        + lane % 4 * 2;
    auto is_kept = [&](int column, int i, int half, int j) {
        return i * 16 + half * 8 < kept_rows && column + warp_column + j * 8 + lane % 4 * 2 < dim;
    };
    auto kept_pair = [&](int column, int i, int half, int j) {
        return (float2*)(kept_first + (i * 16 + half * 8) * kept_columns + column - KEYS + j * 8);
    };

    float result[2][4][4], reference[2][2], sum[2][2];
    clear(result);
#pragma unroll
    for (int i = 0; i < 2; i++) {
        reference[i][0] = reference[i][1] = LOWEST;
        sum[i][0] = sum[i][1] = 0.0f;
    }
    for (int step = 0; step < slices.blocks; step++) {
        float s[2][4][4];
        clear(s);
        for (int part = 0; part < slices.k_parts(); part++) {
            unsigned slice = next_slice();
#pragma unroll
            for (int i = 0; i < SLICE / 16; i++) {
                if (part * SLICE + i * 16 < dim) {
                    multiply_step<false>(s, q_tile + part * Q_SLICE_BYTES, warp_row, 2 * i,
                                         SLICE / 8, slice,
                                         warp_column, 2 * i, SLICE / 8);
                }
            }
        }

        bool masked = (step + 1) * KEYS > (CAUSAL ? min(seq, first + 1) : seq);
#pragma unroll
        for (int i = 0; i < 2; i++)
#pragma unroll
            for (int half = 0; half < 2; half++) {
                int row = warp_row + i * 16 + half * 8 + lane / 4;
                float top = __int_as_float(0xff800000);
#pragma unroll
                for (int j = 0; j < 4; j++)
#pragma unroll
                    for (int e = 2 * half; e < 2 * half + 2; e++) {
                        int key = step * KEYS + warp_column + j * 8 + lane % 4 * 2 + e % 2;
                        if (masked && (key >= seq || (CAUSAL && key > first + row))) {
                            s[i][j][e] = __int_as_float(0xff800000);
                        }
                        top = fmaxf(top, s[i][j][e]);
                    }
                top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, 1));
                top = fmaxf(top, __shfl_xor_sync(0xffffffffu, top, 2));
                if (lane % 4 == 0) tops[warp % KEY_WARPS][row] = top;
            }
        __syncthreads();
        float factor[2][2];
#pragma unroll
        for (int i = 0; i < 2; i++)
#pragma unroll
            for (int half = 0; half < 2; half++) {
                int row = warp_row + i * 16 + half * 8 + lane / 4;
                float top = tops[0][row];
#pragma unroll
                for (int j = 1; j < KEY_WARPS; j++) top = fmaxf(top, tops[j][row]);
                float raised = fmaxf(reference[i][half], top), offset = raised * scale;
                factor[i][half] = exp2_fast((reference[i][half] - raised) * scale);
                reference[i][half] = raised;
                if (fabsf(offset) > LARGE) {
                    offset = 0.0f;
#pragma unroll
                    for (int j = 0; j < 4; j++)
                        s[i][j][2 * half] -= raised, s[i][j][2 * half + 1] -= raised;
                }
                sum[i][half] *= factor[i][half];
#pragma unroll
                for (int j = 0; j < 4; j++) {
                    float low = exp2_fast(fmaf(s[i][j][2 * half], scale, -offset));
                    float high = exp2_fast(fmaf(s[i][j][2 * half + 1], scale, -offset));
                    sum[i][half] += low + high;
                    unsigned at = weights + place(row, warp_column / 8 + j, KEYS / 8)
                        + lane % 4 * 4;
                    store_shared(at, pack(low, high));
                }
            }

        // The result of these keys, KEYS columns at a time; the first slice of V also publishes the
        // weights.
#pragma unroll
        for (int i = 0; i < 2; i++)
#pragma unroll
            for (int j = 0; j < 4; j++)
#pragma unroll
                for (int e = 0; e < 4; e++) result[i][j][e] *= factor[i][e / 2];
        add_columns(result, 0);
        for (int column = KEYS; GLOBAL && column < dim; column += KEYS) {
            // Read before the product, so that it hides the latency.
            float2 before[2][2][4];
#pragma unroll
            for (int i = 0; i < 2; i++)
#pragma unroll
                for (int half = 0; half < 2; half++)
#pragma unroll
                    for (int j = 0; j < 4; j++) {
                        bool there = step > 0 && is_kept(column, i, half, j);
                        before[i][half][j] = there ? *kept_pair(column, i, half, j)
                            : make_float2(0.0f, 0.0f);
                    }
            float part[2][4][4];
            clear(part);
            add_columns(part, column);
#pragma unroll
            for (int i = 0; i < 2; i++)
#pragma unroll
                for (int half = 0; half < 2; half++)
#pragma unroll
                    for (int j = 0; j < 4; j++) {
                        if (!is_kept(column, i, half, j)) continue;
                        float2* pair = kept_pair(column, i, half, j);
                        float2 sum = before[i][half][j];
                        sum.x = fmaf(sum.x, factor[i][half], part[i][j][2 * half]);
                        sum.y = fmaf(sum.y, factor[i][half], part[i][j][2 * half + 1]);
                        *pair = sum;
                    }
        }
    }

    // The sums of all warps that share a row.
    __syncthreads();
#pragma unroll
    for (int i = 0; i < 2; i++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
            float part = sum[i][half];
            part += __shfl_xor_sync(0xffffffffu, part, 1);
            part += __shfl_xor_sync(0xffffffffu, part, 2);
            if (lane % 4 == 0)
                tops[warp % KEY_WARPS][warp_row + i * 16 + half * 8 + lane / 4] = part;
        }
    __syncthreads();
#pragma unroll
    for (int i = 0; i < 2; i++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
            int row = warp_row + i * 16 + half * 8 + lane / 4;
            float total = tops[0][row];
#pragma unroll
            for (int j = 1; j < KEY_WARPS; j++) total += tops[j][row];
            float inverse = 1.0f / total;
            if (first + row >= seq) continue;
            size_t start = (q_rows + row) * dim;
#pragma unroll
            for (int j = 0; j < 4; j++) {
                int column = warp_column + j * 8 + lane % 4 * 2;
                if (column >= dim) continue;
                unsigned pair = pack(result[i][j][2 * half] * inverse,
                    result[i][j][2 * half + 1] * inverse);
                *(unsigned*)(out + start + column) = pair;
            }
            for (int column = KEYS; GLOBAL && column < dim; column += KEYS) {
#pragma unroll
                for (int j = 0; j < 4; j++) {
                    if (!is_kept(column, i, half, j)) continue;
                    const float2* pair = kept_pair(column, i, half, j);
                    int at = column + warp_column + j * 8 + lane % 4 * 2;
                    *(unsigned*)(out + start + at) = pack(pair->x * inverse, pair->y * inverse);
                }
            }
        }
}

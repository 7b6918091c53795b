// FlashAttention-2 forward (Dao 2023) for sm_80 and later: O = softmax(scale Q K^T) V without the
// scores in memory.
//
// A block owns QUERIES rows of Q and walks over the keys from the last step to the first, so that
// only the first steps need a mask. Two steps of K and V are in shared memory: one is used while
// the next arrives. A row is rescaled only when a score exceeds its reference by SLACK, which is
// seldom after the first steps.
//
// Compiled per variant, by macros: NAME, HEAD_DIM (a multiple of 8 up to 256), TYPE, CAUSAL, and
// how it is cut: QUERIES        queries of a block KEYS           keys of a step WARPS
// each owns QUERIES / WARPS queries, all keys and the whole head BLOCKS         blocks per
// multiprocessor that the registers must allow QUERY_REGISTERS  steps of 16 columns of Q that stay
// in registers; the others are read again for each step DATA_DIM       columns of the tensors.
// Where fewer than HEAD_DIM, their rows begin at any even address; shared memory
//                has the others as zeros, and the result is written as wide as the tensors are
//
// Registers and spilled bytes with the tilings of src/device/cuda/attention/mod.rs, by NVRTC 12.9,
// fp16, every multiple of 8 from 8 to 256: sm_80 77 to 255, and none but 12 bytes at 128 and 144,
// causal; sm_90 77 to 255, and none but 12 bytes at 144 (causal 24), 16 at 168 (causal 8) and 8 at
// 184, causal. With DATA_DIM 107 and 129: up to 12 bytes.

#include "mma.cuh"

const int THREADS = 32 * WARPS;
const int TILES = QUERIES / (16 * WARPS);  // 16-row tiles of a warp
const int KEY_TILES = KEYS / 8;
const int DIM_TILES = HEAD_DIM / 8;        // also the 16-byte chunks of a row
// Full steps of the first product; a half step follows if DIM_TILES is odd
const int DIM_STEPS = HEAD_DIM / 16;
const bool HALF_STEP = DIM_TILES % 2 == 1;
const int ROW_BYTES = 2 * HEAD_DIM;
const int TILE_BYTES = KEYS * ROW_BYTES;

// Rows lie in shared memory as in global memory, without gaps, so that a line of 128 bytes stays
// one. ldmatrix reads one chunk of eight rows at a time: they lie in different banks if the number
// of chunks is odd, and otherwise once the chunks of a row trade places within aligned groups of 2,
// 4 or 8, the largest that divides the row.
const int GROUP = HALF_STEP ? 1 : DIM_TILES % 4 == 2 ? 2 : DIM_TILES % 8 == 4 ? 4 : 8;
const int GROUP_BITS = GROUP == 1 ? 0 : GROUP == 2 ? 1 : GROUP == 4 ? 2 : 3;
const int TURNS = GROUP > 2 ? GROUP / 2 : 1;  // places that two neighbouring chunks may take
__device__ constexpr int period() {
    int i = 1;
    while (GROUP > 1 && i * THREADS % (8 * DIM_TILES) != 0) i++;
    return i;
}
constexpr int PERIOD = period();
// Chunk c of row r lies at place c ^ turn(r).
__device__ inline int turn(int row) { return row % 8 * GROUP / 8; }
// How far, in powers of two, a score may exceed the reference of its row before the row is
// rescaled.
const float SLACK = 6.0f;

// Copies rows, contiguous in global memory, into shared memory; zeros after the first `rows` if
// CHECKED. `from` is this thread's first chunk, and `turns` what turned() gives.
template <int ROWS, bool CHECKED>
__device__ inline void load_rows(unsigned to, const char* from, unsigned thread, unsigned turns,
    int rows) {
    const int CHUNKS = ROWS * DIM_TILES;
    to += 16 * thread;
#pragma unroll
    for (int i = 0; i * THREADS < CHUNKS; i++) {
        unsigned at = to ^ (turns >> (i % PERIOD * GROUP_BITS) & 16 * (GROUP - 1));
        if (CHUNKS % THREADS == 0 || (i + 1) * THREADS <= CHUNKS || thread + i * THREADS < CHUNKS) {
            if (CHECKED) {
                bool there = thread + i * THREADS < rows * DIM_TILES;
                copy_async(at + 16 * THREADS * i, there ? from + 16 * THREADS * i : from, there);
            } else {
                copy_async(at + 16 * THREADS * i, from + 16 * THREADS * i);
            }
        }
    }
}

// The turns of the rows that this thread copies to, 16-fold and packed: they repeat every PERIOD
// chunks of a thread.
__device__ inline unsigned turned(unsigned thread) {
    unsigned turns = 0;
#pragma unroll
    for (int i = 0; i < PERIOD; i++)
        turns |= 16 * turn((thread + i * THREADS) / DIM_TILES) << (i * GROUP_BITS);
    return turns;
}

// Rows that are not aligned to 16 bytes. A warp copies pairs of rows, 2 (warp + WARPS i) and the
// next, in units of 8 bytes or, where DATA_DIM is no multiple of 4, of 4. Where it is odd one row
// of each pair begins in the middle of a unit: it is copied with the number before it, and moved by
// one once it has arrived.
const bool UNALIGNED = DATA_DIM != HEAD_DIM;
const bool ODD = DATA_DIM % 2 == 1;
const int UNIT = DATA_DIM % 4 == 0 ? 4 : 2;  // numbers of a unit
const int UNITS = (DATA_DIM + UNIT - 1) / UNIT;
const int LAST_ROUND = (UNITS - 1) / 32;     // of a warp's copies of a row

const int MOVING_LANES = DIM_TILES <= 16 ? 16 : 32;  // of a row

struct Pairs {
    // Bytes from the rows to this thread's first unit of the first row that it copies
    unsigned thread_start;
    unsigned next_row;       // bytes from there to its unit of the second row
    unsigned to[2];          // where those two go in a tile
    bool ends_in_half[2];    // whether its last unit of that row begins with the row's last number
    bool in_last_round;
    // Chunks of the rows to move: where this thread's first one lies and where the one after it;
    // whether they exist.
    unsigned moved, after_moved;
    bool moves, has_after;

    // `parity` of the number of elements before the rows: 1 if their first one begins in the middle
    // of a unit.
    __device__ Pairs(unsigned thread, unsigned parity) {
        unsigned lane = thread % 32, warp = thread / 32;
        unsigned odd_row = ODD ? 1 - parity : 2;  // of a pair
        thread_start = warp * (4 * DATA_DIM) + lane * (2 * UNIT) - (odd_row == 0 ? 2 : 0);
        next_row = 2 * DATA_DIM + (odd_row == 0 ? 2 : odd_row == 1 ? -2 : 0);
        in_last_round = lane + 32 * LAST_ROUND < UNITS;
#pragma unroll
        for (int i = 0; i < 2; i++) {
            to[i] = (2 * warp + i) * ROW_BYTES
                + (16 * (lane * UNIT / 8 ^ turn(2 * warp + i)) | lane * UNIT % 8 * 2);
            ends_in_half[i] = ODD && i != odd_row && lane + 32 * LAST_ROUND == UNITS - 1;
        }
        unsigned row = 2 * (warp + WARPS * (lane / MOVING_LANES)) + odd_row,
            chunk = lane % MOVING_LANES;
        moves = chunk < DIM_TILES, has_after = chunk + 1 < DIM_TILES;
        // Threads without a chunk read another's, so that no branch is needed.
        moved = row * ROW_BYTES + 16 * ((moves ? chunk : 0) ^ turn(row));
        after_moved = row * ROW_BYTES + 16 * ((has_after ? chunk + 1 : 0) ^ turn(row));
    }

    // `from` is the rows plus thread_start. If CHECKED, zeros after the first `rows`, and nothing
    // beyond their last number is read. Else there is a row after the last one: the last unit of a
    // row that is not moved brings its first number along, into a column where Q has a zero and of
    // which the result is not written.
    template <int ROWS, bool CHECKED>
    __device__ void copy(unsigned tile, const char* from, int rows) const {
        const char* starts[2] = {from, from + (int)next_row};
        unsigned places[2] = {tile + to[0], tile + to[1]};
        // Opaque to the compiler, which would add up each copy's address from the beginning.
        asm("" : "+l"(starts[1]), "+r"(places[0]), "+r"(places[1]));
#pragma unroll
        for (int i = 0; i < ROWS / (2 * WARPS); i++)
#pragma unroll
            for (int row = 0; row < 2; row++)
#pragma unroll
                for (int round = 0; round <= LAST_ROUND; round++) {
                    const char* at = starts[row] + (WARPS * i * 4 * DATA_DIM + round * 64 * UNIT);
                    bool there = !CHECKED || (int)(2 * (threadIdx.x / 32 + WARPS * i) + row) < rows;
                    if (round < LAST_ROUND || in_last_round) {
                        unsigned place = places[row]
                            + (2 * WARPS * i * ROW_BYTES + round * 64 * UNIT);
                        if (CHECKED && round == LAST_ROUND && there && ends_in_half[row]) {
                            store_shared(place, *(const unsigned short*)at);
                        } else if (CHECKED) {
                            copy_async_small<2 * UNIT>(
                                place, there ? at : from - (int)thread_start, there);
                        } else {
                            copy_async_small<2 * UNIT>(place, at);
                        }
                    }
                }
    }

    // Moves the odd rows by one number, once this warp's copies have arrived.
    template <int ROWS>
    __device__ void move(unsigned tile) const {
        __syncwarp();
#pragma unroll
        for (int i = 0; i < ROWS / (2 * WARPS); i += 32 / MOVING_LANES) {
            unsigned step = tile + 2 * WARPS * i * ROW_BYTES;
            unsigned b, c, d, a = load_shared(step + moved, b, c, d),
                e = load_shared(step + after_moved);
            e = has_after ? e : 0;
            __syncwarp();
            if (moves) {
                store_shared(step + moved, __funnelshift_r(a, b, 16), __funnelshift_r(b, c, 16),
                             __funnelshift_r(c, d, 16), __funnelshift_r(d, e, 16));
            }
        }
    }
};

struct Rows {
    float o[TILES][DIM_TILES][4];
    // What the scores of a row are relative to: their maximum, or a little less
    float reference[TILES][2];
    float sum[TILES][2];        // of this thread's columns
    bool large;                 // whether the reference of a row is LARGE
};

// Where this thread's row of a matrix of two by two 8x8 matrices begins, for each place that step %
// TURNS may give it.
struct Places {
    unsigned at[TURNS];
    __device__ Places(unsigned row, unsigned half) {
#pragma unroll
        for (int i = 0; i < TURNS; i++) at[i] = row * ROW_BYTES + 16 * ((half + 2 * i) ^ turn(row));
    }
    __device__ unsigned step(int step) const {
        return at[step % TURNS] + step / TURNS * TURNS * 32;
    }
};

struct Lane {
    Places q_and_v, k;
    unsigned half_step;
    __device__ explicit Lane(unsigned lane)
        : q_and_v(lane % 16, lane / 16), k(lane % 8 + lane / 16 * 8, lane / 8 % 2),
          half_step(lane * ROW_BYTES + DIM_STEPS * 32) {}
};

// s = Q K^T for this warp's rows.
__device__ inline void scores(float (&s)[TILES][KEY_TILES][4],
                              unsigned (&kept)[TILES][QUERY_REGISTERS + 1][4],
                              const Lane& lane, unsigned q_warp, unsigned k_tile) {
#pragma unroll
    for (int tile = 0; tile < TILES; tile++)
#pragma unroll
        for (int j = 0; j < KEY_TILES; j++)
#pragma unroll
            for (int e = 0; e < 4; e++) s[tile][j][e] = 0.0f;
#pragma unroll
    for (int step = 0; step < DIM_STEPS; step++) {
        unsigned a[TILES][4];
#pragma unroll
        for (int tile = 0; tile < TILES; tile++) {
            if (step < QUERY_REGISTERS) {
#pragma unroll
                for (int e = 0; e < 4; e++) a[tile][e] = kept[tile][step][e];
            } else {
                load_matrices(a[tile], q_warp + tile * 16 * ROW_BYTES + lane.q_and_v.step(step));
            }
        }
#pragma unroll
        for (int j = 0; j < KEY_TILES; j += 2) {
            unsigned b[4];
            load_matrices(b, k_tile + j * 8 * ROW_BYTES + lane.k.step(step));
#pragma unroll
            for (int tile = 0; tile < TILES; tile++) {
                multiply(s[tile][j], a[tile], b[0], b[1]);
                multiply(s[tile][j + 1], a[tile], b[2], b[3]);
            }
        }
    }
    if (HALF_STEP) {
        unsigned a[TILES][2];
#pragma unroll
        for (int tile = 0; tile < TILES; tile++) {
            load_matrices(a[tile], q_warp + tile * 16 * ROW_BYTES + lane.q_and_v.step(DIM_STEPS));
        }
#pragma unroll
        for (int j = 0; j < KEY_TILES; j += 4) {
            unsigned b[4];
            load_matrices(b, k_tile + j * 8 * ROW_BYTES + lane.half_step);
#pragma unroll
            for (int tile = 0; tile < TILES; tile++)
#pragma unroll
                for (int i = 0; i < 4; i++) multiply(s[tile][j + i], a[tile], b[i]);
        }
    }
}

// Replaces the scores by weights relative to each row's reference, which is raised first where a
// score exceeds it.
__device__ inline void weigh(float (&s)[TILES][KEY_TILES][4], Rows& rows, float scale) {
    float top[TILES][2], offset[TILES][2];
    bool exceeds = rows.large;
#pragma unroll
    for (int tile = 0; tile < TILES; tile++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
            float t = fmaxf(s[tile][0][2 * half], s[tile][0][2 * half + 1]);
#pragma unroll
            for (int j = 1; j < KEY_TILES; j++) {
                t = fmaxf(t, fmaxf(s[tile][j][2 * half], s[tile][j][2 * half + 1]));
            }
            top[tile][half] = t;
            offset[tile][half] = rows.reference[tile][half] * scale;
            exceeds |= fmaf(t, scale, -offset[tile][half]) > SLACK;
        }
    if (__any_sync(0xffffffffu, exceeds)) {
        rows.large = false;
#pragma unroll
        for (int tile = 0; tile < TILES; tile++)
#pragma unroll
            for (int half = 0; half < 2; half++) {
                float t = top[tile][half], before = rows.reference[tile][half];
                t = fmaxf(t, __shfl_xor_sync(0xffffffffu, t, 1));
                t = fmaxf(t, __shfl_xor_sync(0xffffffffu, t, 2));
                float raised = fmaxf(before, t), factor = exp2_fast((before - raised) * scale);
                rows.reference[tile][half] = raised;
                rows.sum[tile][half] *= factor;
#pragma unroll
                for (int d = 0; d < DIM_TILES; d++) {
                    rows.o[tile][d][2 * half] *= factor;
                    rows.o[tile][d][2 * half + 1] *= factor;
                }
                offset[tile][half] = raised * scale;
                if (fabsf(offset[tile][half]) > LARGE) {
                    rows.large = true;
                    offset[tile][half] = 0.0f;
#pragma unroll
                    for (int j = 0; j < KEY_TILES; j++) {
                        s[tile][j][2 * half] -= raised;
                        s[tile][j][2 * half + 1] -= raised;
                    }
                }
            }
    }
#pragma unroll
    for (int j = 0; j < KEY_TILES; j++)
#pragma unroll
        for (int tile = 0; tile < TILES; tile++)
#pragma unroll
            for (int e = 0; e < 4; e++) {
                float weight = exp2_fast(fmaf(s[tile][j][e], scale, -offset[tile][e / 2]));
                rows.sum[tile][e / 2] += weight;
                s[tile][j][e] = weight;
            }
}

// o += weights V.
__device__ inline void accumulate(Rows& rows, float (&s)[TILES][KEY_TILES][4], const Lane& lane,
                                  unsigned v_tile) {
#pragma unroll
    for (int j = 0; j < KEY_TILES; j += 2) {
        unsigned a[TILES][4];
#pragma unroll
        for (int tile = 0; tile < TILES; tile++) {
            a[tile][0] = pack(s[tile][j][0], s[tile][j][1]);
            a[tile][1] = pack(s[tile][j][2], s[tile][j][3]);
            a[tile][2] = pack(s[tile][j + 1][0], s[tile][j + 1][1]);
            a[tile][3] = pack(s[tile][j + 1][2], s[tile][j + 1][3]);
        }
#pragma unroll
        for (int d = 0; d + 1 < DIM_TILES; d += 2) {
            unsigned b[4];
            load_transposed(b, v_tile + j * 8 * ROW_BYTES + lane.q_and_v.step(d / 2));
#pragma unroll
            for (int tile = 0; tile < TILES; tile++) {
                multiply(rows.o[tile][d], a[tile], b[0], b[1]);
                multiply(rows.o[tile][d + 1], a[tile], b[2], b[3]);
            }
        }
        if (HALF_STEP) {
            unsigned b[2];
            load_transposed(b, v_tile + j * 8 * ROW_BYTES + lane.q_and_v.step(DIM_STEPS));
#pragma unroll
            for (int tile = 0; tile < TILES; tile++)
                multiply(rows.o[tile][DIM_TILES - 1], a[tile], b[0], b[1]);
        }
    }
}

// Grid (blocks of queries, heads, batch). `group` query heads share a head of K and V; `scale`
// includes log2(e).
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
    NAME(const unsigned short* q, const unsigned short* k, const unsigned short* v,
         unsigned short* out, int seq,
         int group, float scale) {
    extern __shared__ __align__(128) char shared[];
    unsigned thread = threadIdx.x, warp = thread / 32;
    int lane = thread % 32;
    // The longest rows of a causal mask first.
    int block = CAUSAL ? gridDim.x - 1 - blockIdx.x : blockIdx.x;
    int first = block * QUERIES;
    int head = blockIdx.z * gridDim.y + blockIdx.y;
    int kv_head = blockIdx.z * (gridDim.y / group) + blockIdx.y / group;
    const char* q_rows = (const char*)(q + ((size_t)head * seq + first) * DATA_DIM);
    const char* k_rows = (const char*)(k + (size_t)kv_head * seq * DATA_DIM);
    const char* v_rows = (const char*)(v + (size_t)kv_head * seq * DATA_DIM);
    const int STEP_BYTES = KEYS * DATA_DIM * 2;

    unsigned q_shared = shared_address(shared);
    unsigned k_shared = q_shared + QUERIES * ROW_BYTES, v_shared = k_shared + 2 * TILE_BYTES;
    unsigned q_warp = q_shared + warp * 16 * TILES * ROW_BYTES;
    const Lane places(lane);
    unsigned turns = turned(thread);

    int keys = CAUSAL ? min(seq, first + QUERIES) : seq;
    int step = (keys + KEYS - 1) / KEYS - 1;
    // Steps that end at or below this key need no mask.
    int unmasked = CAUSAL ? min(seq, first + 1) : seq;

    k_rows += (size_t)step * STEP_BYTES;
    v_rows += (size_t)step * STEP_BYTES;
    unsigned parity = kv_head & seq & 1;
    const Pairs q_pairs(thread, head & seq & 1), kv_pairs(thread, parity);
    if (UNALIGNED) {
        // The columns beyond the data, which no copy writes.
        for (int i = thread; i < (QUERIES * ROW_BYTES + 4 * TILE_BYTES) / 16; i += THREADS) {
            ((uint4*)shared)[i] = make_uint4(0, 0, 0, 0);
        }
        __syncthreads();
        k_rows += (int)kv_pairs.thread_start;
        v_rows += (int)kv_pairs.thread_start;
        q_pairs.copy<QUERIES, true>(q_shared, q_rows + (int)q_pairs.thread_start, seq - first);
        kv_pairs.copy<KEYS, true>(k_shared, k_rows, seq - step * KEYS);
        kv_pairs.copy<KEYS, true>(v_shared, v_rows, seq - step * KEYS);
        copies_end_group();
        copies_wait<0>();
        if (ODD) q_pairs.move<QUERIES>(q_shared);
    } else {
        k_rows += 16 * thread;
        v_rows += 16 * thread;
        load_rows<QUERIES, true>(q_shared, q_rows + 16 * thread, thread, turns, seq - first);
        load_rows<KEYS, true>(k_shared, k_rows, thread, turns, seq - step * KEYS);
        load_rows<KEYS, true>(v_shared, v_rows, thread, turns, seq - step * KEYS);
        copies_end_group();
    }

    Rows rows;
    rows.large = false;
#pragma unroll
    for (int tile = 0; tile < TILES; tile++) {
        rows.reference[tile][0] = rows.reference[tile][1] = LOWEST;
        rows.sum[tile][0] = rows.sum[tile][1] = 0.0f;
#pragma unroll
        for (int d = 0; d < DIM_TILES; d++)
#pragma unroll
            for (int e = 0; e < 4; e++) rows.o[tile][d][e] = 0.0f;
    }
    unsigned kept[TILES][QUERY_REGISTERS + 1][4];
    if (QUERY_REGISTERS > 0) {
        copies_wait<0>();
        __syncthreads();
#pragma unroll
        for (int tile = 0; tile < TILES; tile++)
#pragma unroll
            for (int i = 0; i < QUERY_REGISTERS; i++) {
                load_matrices(kept[tile][i],
                    q_warp + tile * 16 * ROW_BYTES + places.q_and_v.step(i));
            }
    }

    unsigned stage = 0;
    auto arrive = [&]() {
        copies_wait<0>();
        if (UNALIGNED && ODD) {
            kv_pairs.move<KEYS>(k_shared + stage);
            kv_pairs.move<KEYS>(v_shared + stage);
        }
        __syncthreads();
        k_rows -= STEP_BYTES;
        v_rows -= STEP_BYTES;
        unsigned next = TILE_BYTES - stage;
        if (step > 0 && UNALIGNED) {
            kv_pairs.copy<KEYS, false>(k_shared + next, k_rows, KEYS);
            kv_pairs.copy<KEYS, false>(v_shared + next, v_rows, KEYS);
        } else if (step > 0) {
            load_rows<KEYS, false>(k_shared + next, k_rows, thread, turns, KEYS);
            load_rows<KEYS, false>(v_shared + next, v_rows, thread, turns, KEYS);
        }
        copies_end_group();
    };
    for (; step >= 0 && (step + 1) * KEYS > unmasked; step--) {
        arrive();
        float s[TILES][KEY_TILES][4];
        scores(s, kept, places, q_warp, k_shared + stage);
        int row = first + warp * 16 * TILES + lane / 4, column = step * KEYS + lane % 4 * 2;
#pragma unroll
        for (int tile = 0; tile < TILES; tile++)
#pragma unroll
            for (int e = 0; e < 4; e++) {
                // The last key of this row, counted from this thread's first column.
                int last = (CAUSAL ? min(seq - 1, row + tile * 16 + e / 2 * 8) : seq - 1) - column;
#pragma unroll
                for (int j = 0; j < KEY_TILES; j++) {
                    if (j * 8 + e % 2 > last) s[tile][j][e] = __int_as_float(0xff800000);
                }
            }
        weigh(s, rows, scale);
        accumulate(rows, s, places, v_shared + stage);
        stage = TILE_BYTES - stage;
    }
    for (; step >= 0; step--) {
        arrive();
        float s[TILES][KEY_TILES][4];
        scores(s, kept, places, q_warp, k_shared + stage);
        weigh(s, rows, scale);
        accumulate(rows, s, places, v_shared + stage);
        stage = TILE_BYTES - stage;
    }

    // Through this warp's rows of Q, which no other warp reads, to whole rows of O.
    __syncwarp();
    unsigned pairs = q_warp + lane / 4 * ROW_BYTES + lane % 4 * 4, turn16 = 16 * turn(lane / 4);
#pragma unroll
    for (int tile = 0; tile < TILES; tile++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
            float sum = rows.sum[tile][half];
            sum += __shfl_xor_sync(0xffffffffu, sum, 1);
            sum += __shfl_xor_sync(0xffffffffu, sum, 2);
            float inverse = 1.0f / sum;
#pragma unroll
            for (int d = 0; d < DIM_TILES; d++) {
                unsigned pair = pack(rows.o[tile][d][2 * half] * inverse,
                    rows.o[tile][d][2 * half + 1] * inverse);
                unsigned at = pairs + (tile * 16 + half * 8) * ROW_BYTES + (16 * d ^ turn16);
                store_shared(at, pair);
            }
        }
    __syncwarp();
    const int WARP_ROWS = 16 * TILES;
    int row = first + warp * WARP_ROWS;
    const char* rows_shared = shared + warp * WARP_ROWS * ROW_BYTES;
    if (UNALIGNED) {
        for (int i = 0; i < min(WARP_ROWS, seq - row); i++) {
            unsigned short* to = out + ((size_t)head * seq + row + i) * DATA_DIM;
#pragma unroll
            for (int column = lane; column < DATA_DIM; column += 32) {
                int at = i * ROW_BYTES + 16 * (column / 8 ^ turn(i)) + column % 8 * 2;
                to[column] = *(const unsigned short*)(rows_shared + at);
            }
        }
        return;
    }
    char* o_rows = (char*)(out + ((size_t)head * seq + row) * HEAD_DIM);
    int chunks = min(WARP_ROWS, seq - row) * DIM_TILES;
    for (int chunk = lane; chunk < chunks; chunk += 32) {
        *(uint4*)(o_rows + 16 * chunk) =
            *(const uint4*)(rows_shared + 16 * (chunk ^ turn(chunk / DIM_TILES)));
    }
}

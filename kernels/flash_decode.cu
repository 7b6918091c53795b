// Attention of one query over a KV cache, FlashDecoding's way: the keys are shared out among the
// blocks, and the last block of a head puts the parts together.
//
// O = softmax(scale Q K^T) V. Q and O are [heads, HEAD_DIM], K and V [KV heads, context, HEAD_DIM],
// batch and heads as one; `group` query heads share a KV head. Any HEAD_DIM from 1 to 256.
//
// The cache is read once, and nothing else matters: at 18 bytes a cycle a multiprocessor of an H200
// has 14 instructions of a thread for each element. Hence
// - the tensor cores: eight queries, of which a cache without groups has one, cost as much as one.
//   Scores are K Q^T and the result is V^T P^T, so that rows of the cache are the long side;
// - copies of 16 bytes at any HEAD_DIM: a tile of rows of one KV head is contiguous memory, and is
//   copied as one stream of bytes whose rows are found again in shared memory. Only where rows are
//   a multiple of 16 bytes anyway are they spread, so that columns do not share their banks;
// - a ring of UNITS tiles, K and V in turn, of which all but the one in use are under way.
//
// Tiles of all heads are numbered through, and each block takes as many of them, one after the
// other: part of a head, some whole heads, part of a head. What it has of a head that it shares
// with others goes to `parts`; the last of these to come in merges them.
//
// Macros: NAME, TYPE, HEAD_DIM, UNITS, and BLOCKS of a multiprocessor. Grid: any number of blocks
// up to that of all tiles. Dynamic shared memory: UNITS * UNIT_BYTES + WARPS * rows * 256, where
// `rows` is min(group, 8).

#include "mma.cuh"

const int WARPS = 4, THREADS = 32 * WARPS;
const int KEYS = 64;    // of a tile: 16 of each warp
const int QUERIES = 8;  // of a pass: the columns of a tensor core's product

// Elements from one row to the next in shared memory.
const bool SPREAD = HEAD_DIM % 8 == 0;
const int STRIDE = HEAD_DIM % 16 == 0 ? HEAD_DIM + 8 : HEAD_DIM;
// The eight rows that a warp reads at once are STEP apart: then STEP * STRIDE is 8 times an odd
// number, and they lie in different banks.
const int STEP = HEAD_DIM % 8 == 0 ? 1 : HEAD_DIM % 4 == 0 ? 2 : HEAD_DIM % 2 == 0 ? 4 : 8;
// Rows and their pairs of elements may begin in the middle of a word.
const bool ODD = HEAD_DIM % 2 == 1;
const int COLUMN_TILES = (HEAD_DIM + 15) / 16;
// A tile, the bytes before it up to a multiple of 16, and what is read beyond its last row.
const int UNIT_BYTES = (2 * KEYS * STRIDE + 16 + 64) / 16 * 16;
const int MERGED = 64;  // columns that the warps of a block merge at once

struct Shape {
    int context, group, passes, tiles;
    unsigned rows;  // queries of a pass, the last of a group may have fewer
};

// A pass over a KV head, counted through all of them, and a tile of it.
struct Place {
    int pass, tile;
    __device__ Place(long long number, int tiles)
        : pass((int)(number / tiles)), tile((int)(number % tiles)) {}
    __device__ void next(int tiles) {
        if (++tile == tiles) {
            tile = 0;
            pass++;
        }
    }
};

// Key `row` of the eight that warps and lanes know as number `eight` of a tile.
__device__ inline int key_of(int eight, int row) {
    return eight / STEP * (8 * STEP) + eight % STEP + STEP * row;
}

// The first element of a tile, and how many lie between a multiple of 16 bytes and it.
__device__ inline size_t first_of(Place at, Shape shape) {
    return ((size_t)(at.pass / shape.passes) * shape.context + at.tile * KEYS) * HEAD_DIM;
}
__device__ inline unsigned skew_of(Place at, Shape shape) {
    return SPREAD ? 0 : (unsigned)first_of(at, shape) % 8;
}

// Starts the copies of a tile of K or V; zeros follow the last key.
__device__ inline void copy_tile(unsigned to, const unsigned short* tensor, Place at, Shape shape) {
    unsigned skew = skew_of(at, shape);
    const char* from = (const char*)(tensor + first_of(at, shape) - skew);
    int keys = min(KEYS, shape.context - at.tile * KEYS);
    int there = 2 * (keys * HEAD_DIM + (int)skew);
    const int CHUNKS = KEYS * HEAD_DIM / 8;
    for (int i = threadIdx.x; i < CHUNKS + (skew > 0); i += THREADS) {
        const int OF_ROW = SPREAD ? HEAD_DIM / 8 : 1;
        int place = SPREAD ? i / OF_ROW * (2 * STRIDE) + i % OF_ROW * 16 : 16 * i;
        int bytes = max(0, min(16, there - 16 * i));
        if (0 < bytes && bytes < 16) {
            // By element: the tensor may end within these 16 bytes.
            const unsigned short* rest = (const unsigned short*)(from + 16 * i);
            unsigned words[4] = {0, 0, 0, 0};
            for (int e = 0; e < bytes / 2; e++) words[e / 2] |= (unsigned)rest[e] << 16 * (e % 2);
            for (int w = 0; w < 4; w++) store_shared(to + place + 4 * w, words[w]);
            continue;
        }
        // Nothing is read where there are no bytes, and no address lies outside of the tensor.
        copy_async_part(to + place, bytes > 0 ? from + 16 * i : from, bytes);
    }
}

// Two neighbouring elements, from an address that is a multiple of 2.
__device__ inline unsigned load_pair(unsigned at) {
    if (!ODD) return load_shared(at);
    return __funnelshift_r(load_shared(at & ~3u), load_shared((at & ~3u) + 4), 8 * (at & 2));
}

// Of a pair of elements at a column: those that are within the row.
__device__ inline unsigned mask_of(int column) {
    return column + 1 < HEAD_DIM ? ~0u : column < HEAD_DIM ? 0xffffu : 0u;
}

// Transposes an 8x8 matrix of 16-bit numbers over the warp.
__device__ inline unsigned transpose(unsigned pair) {
    unsigned other;
    asm volatile("movmatrix.sync.aligned.m8n8.trans.b16 %0, %1;" : "=r"(other) : "r"(pair));
    return other;
}

// Over the lanes that hold the same queries.
template <typename Combine>
__device__ float over_keys(float value, Combine combine) {
    for (int lanes = 4; lanes < 32; lanes *= 2)
        value = combine(value, __shfl_xor_sync(0xffffffffu, value, lanes));
    return value;
}

// What a warp has of a pass: of queries 2 (lane % 4) and the next the largest score, the sum of the
// weights relative to it, and the values weighted so. result[t] holds columns 16 t + 2 (lane / 4)
// and the next, two queries each.
struct Sums {
    float top[2], total[2], result[COLUMN_TILES][4];

    __device__ void clear() {
        for (int i = 0; i < 2; i++) top[i] = LOWEST, total[i] = 0.0f;
#pragma unroll
        for (int t = 0; t < COLUMN_TILES; t++)
            for (int i = 0; i < 4; i++) result[t][i] = 0.0f;
    }
};

// The queries of a pass, as the tensor cores take them: zeros beyond HEAD_DIM and the last query.
struct Queries {
    unsigned pairs[COLUMN_TILES][2];

    __device__ void load(const unsigned short* q, Place at, Shape shape, int lane) {
        int head = at.pass / shape.passes, first = at.pass % shape.passes * QUERIES;
        int query = first + lane / 4;
        q += ((size_t)head * shape.group + query) * HEAD_DIM;
#pragma unroll
        for (int t = 0; t < COLUMN_TILES; t++)
            for (int half = 0; half < 2; half++) {
                int column = 16 * t + 8 * half + lane % 4 * 2;
                unsigned low = 0, high = 0;
                if (query < shape.group && column < HEAD_DIM) low = q[column];
                if (query < shape.group && column + 1 < HEAD_DIM) high = q[column + 1];
                pairs[t][half] = low | high << 16;
            }
    }
};

// Scores of a warp's 16 keys: rows lane / 4 of its two eights, two queries each.
__device__ inline void score(float (&scores)[4], unsigned tile, const Queries& queries, int warp,
                             int lane) {
    unsigned low = tile + 2 * (key_of(2 * warp, lane / 4) * STRIDE + lane % 4 * 2);
    unsigned high = tile + 2 * (key_of(2 * warp + 1, lane / 4) * STRIDE + lane % 4 * 2);
#pragma unroll
    for (int t = 0; t < COLUMN_TILES; t++) {
        unsigned keys[4] = {load_pair(low + 32 * t), load_pair(high + 32 * t),
                            load_pair(low + 32 * t + 16), load_pair(high + 32 * t + 16)};
        // What follows a row may be no number, and so is its product with zero.
        if (HEAD_DIM % 16 != 0 && t == COLUMN_TILES - 1) {
            unsigned first = mask_of(16 * t + lane % 4 * 2);
            unsigned second = mask_of(16 * t + 8 + lane % 4 * 2);
            keys[0] &= first, keys[1] &= first, keys[2] &= second, keys[3] &= second;
        }
        multiply(scores, keys, queries.pairs[t][0], queries.pairs[t][1]);
    }
}

// Turns scores into weights, and raises the tops of the warp to them.
__device__ inline void weigh(float (&scores)[4], Sums& sums, int keys, float scale, int warp,
                             int lane) {
    const float NONE = -3e38f;  // below any score
    auto larger = [](float a, float b) { return fmaxf(a, b); };
    if (keys < KEYS) {
        for (int i = 0; i < 4; i++)
            if (key_of(2 * warp + i / 2, lane / 4) >= keys) scores[i] = NONE;
    }
    bool raised = false;
    float tops[2];
    for (int i = 0; i < 2; i++) {
        tops[i] = fmaxf(sums.top[i], over_keys(fmaxf(scores[i], scores[i + 2]), larger));
        raised |= tops[i] > sums.top[i];
    }
    if (__any_sync(0xffffffffu, raised)) {
        for (int i = 0; i < 2; i++) {
            float decay = exp2_fast((sums.top[i] - tops[i]) * scale);
            sums.top[i] = tops[i];
            sums.total[i] *= decay;
#pragma unroll
            for (int t = 0; t < COLUMN_TILES; t++) {
                sums.result[t][i] *= decay;
                sums.result[t][i + 2] *= decay;
            }
        }
    }
    for (int i = 0; i < 4; i++) {
        scores[i] = scores[i] == NONE ? 0.0f : exp2_fast((scores[i] - sums.top[i % 2]) * scale);
        sums.total[i % 2] += scores[i];
    }
}

// Adds the weighted values of a warp's 16 keys.
__device__ inline void add_values(Sums& sums, const float (&weights)[4], unsigned tile, int warp,
                                  int lane) {
    unsigned first = transpose(pack(weights[0], weights[1]));
    unsigned second = transpose(pack(weights[2], weights[3]));
    unsigned rows[4];
    for (int i = 0; i < 4; i++) {
        int key = key_of(2 * warp + i / 2, lane % 4 * 2 + i % 2);
        rows[i] = tile + 2 * (key * STRIDE + lane / 4 * 2);
    }
#pragma unroll
    for (int t = 0; t < COLUMN_TILES; t++) {
        unsigned a = load_pair(rows[0] + 32 * t), b = load_pair(rows[1] + 32 * t);
        unsigned c = load_pair(rows[2] + 32 * t), d = load_pair(rows[3] + 32 * t);
        // Row r of the product is column 16 t + 2 r, row r + 8 the next one.
        unsigned values[4] = {__byte_perm(a, b, 0x5410), __byte_perm(a, b, 0x7632),
                              __byte_perm(c, d, 0x5410), __byte_perm(c, d, 0x7632)};
        multiply(sums.result[t], values, first, second);
    }
}

// Of the parts of a pass, those of different blocks one after the other: top and total of each of
// its rows, then the rows.
struct Parts {
    float* of_rows;
    float* results;
    unsigned* arrived;
};

// The block that has a tile: block b has those from b * all / gridDim.x to that of the next.
__device__ inline int block_of(long long tile, long long all) {
    return (int)(((tile + 1) * gridDim.x + all - 1) / all - 1);
}

// Puts together what the warps have of a pass, and writes its result, or a part of it.
__device__ void finish(Sums& sums, float* scratch, unsigned short* o, Parts parts, Place at,
                       Shape shape, long long all, float scale, int warp, int lane) {
    __shared__ float of_warps[WARPS][QUERIES][2];
    __shared__ bool is_last;
    auto add = [](float a, float b) { return a + b; };
    for (int i = 0; i < 2; i++) {
        sums.total[i] = over_keys(sums.total[i], add);
        if (lane < 4) {
            of_warps[warp][2 * lane + i][0] = sums.top[i];
            of_warps[warp][2 * lane + i][1] = sums.total[i];
        }
    }
    __syncthreads();
    auto top_of = [&](int row) {
        float top = LOWEST;
        for (int w = 0; w < WARPS; w++) top = fmaxf(top, of_warps[w][row][0]);
        return top;
    };
    auto total_of = [&](int row, float top) {
        float total = 0.0f;
        for (int w = 0; w < WARPS; w++)
            total += of_warps[w][row][1] * exp2_fast((of_warps[w][row][0] - top) * scale);
        return total;
    };

    int head = at.pass / shape.passes, first = at.pass % shape.passes * QUERIES;
    int rows = min((int)shape.rows, shape.group - first);
    long long first_tile = (long long)at.pass * shape.tiles;
    int first_block = block_of(first_tile, all);
    int blocks = block_of(first_tile + shape.tiles - 1, all) - first_block + 1;
    // Blocks and passes both count up from one part to the next.
    size_t part = ((size_t)at.pass + blockIdx.x) * shape.rows;
    o += ((size_t)head * shape.group + first) * HEAD_DIM;

    float decays[2];
    for (int i = 0; i < 2; i++)
        decays[i] = exp2_fast((sums.top[i] - top_of(lane % 4 * 2 + i)) * scale);
#pragma unroll
    for (int from = 0; from < HEAD_DIM; from += MERGED) {
#pragma unroll
        for (int t = from / 16; t < min(COLUMN_TILES, (from + MERGED) / 16); t++)
            for (int i = 0; i < 4; i++) {
                int row = lane % 4 * 2 + i % 2, column = 16 * t + lane / 4 * 2 + i / 2 - from;
                if (row < rows)
                    scratch[(warp * rows + row) * MERGED + column] =
                        sums.result[t][i] * decays[i % 2];
            }
        __syncthreads();
        for (int i = threadIdx.x; i < rows * MERGED; i += THREADS) {
            int row = i / MERGED, column = from + i % MERGED;
            if (column >= HEAD_DIM) continue;
            float sum = 0.0f;
            for (int w = 0; w < WARPS; w++) sum += scratch[w * rows * MERGED + i];
            if (blocks == 1) {
                o[row * HEAD_DIM + column] = from_float(sum / total_of(row, top_of(row)), TYPE);
            } else {
                parts.results[(part + row) * HEAD_DIM + column] = sum;
            }
        }
        __syncthreads();
    }
    if (blocks == 1) return;

    if (threadIdx.x < rows) {
        float top = top_of(threadIdx.x);
        parts.of_rows[2 * (part + threadIdx.x)] = top;
        parts.of_rows[2 * (part + threadIdx.x) + 1] = total_of(threadIdx.x, top);
    }
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) is_last = atomicAdd(&parts.arrived[at.pass], 1) == blocks - 1;
    __syncthreads();
    if (!is_last) return;
    __threadfence();
    if (threadIdx.x == 0) parts.arrived[at.pass] = 0;  // for the next launch
    part = ((size_t)at.pass + first_block) * shape.rows;
    for (int i = threadIdx.x; i < rows * HEAD_DIM; i += THREADS) {
        int row = i / HEAD_DIM;
        const float* of_row = parts.of_rows + 2 * (part + row);
        const float* result = parts.results + part * HEAD_DIM + i;
        float top = LOWEST, total = 0.0f, sum = 0.0f;
        for (int b = 0; b < blocks; b++) top = fmaxf(top, __ldcg(of_row + 2 * b * shape.rows));
        for (int b = 0; b < blocks; b++) {
            float decay = exp2_fast((__ldcg(of_row + 2 * b * shape.rows) - top) * scale);
            total += __ldcg(of_row + 2 * b * shape.rows + 1) * decay;
            sum += __ldcg(result + (size_t)b * shape.rows * HEAD_DIM) * decay;
        }
        o[i] = from_float(sum / total, TYPE);
    }
}

// `scale` is that of the scores times log2(e). `arrived` is zero before and after.
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
    NAME(const unsigned short* q, const unsigned short* k, const unsigned short* v,
         unsigned short* o, float* of_rows, float* results, unsigned* arrived, int kv_heads,
         int context, int group, float scale) {
    extern __shared__ __align__(16) unsigned char shared[];
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    Shape shape = {context, group, (group + QUERIES - 1) / QUERIES, (context + KEYS - 1) / KEYS,
                   (unsigned)min(group, QUERIES)};
    Parts parts = {of_rows, results, arrived};
    long long all = (long long)kv_heads * shape.passes * shape.tiles;
    long long begin = blockIdx.x * all / gridDim.x, end = (blockIdx.x + 1) * all / gridDim.x;
    unsigned ring = shared_address(shared);
    float* scratch = (float*)(shared + UNITS * UNIT_BYTES);

    // The next unit to copy, K and V in turn, and where it goes.
    Place ahead(begin, shape.tiles);
    long long units = 2 * (end - begin);
    bool is_v = false;
    int to = 0;
    auto copy_next = [&]() {
        if (units > 0) {
            copy_tile(ring + to * UNIT_BYTES, is_v ? v : k, ahead, shape);
            if (is_v) ahead.next(shape.tiles);
            is_v = !is_v;
            units--;
        }
        to = to + 1 == UNITS ? 0 : to + 1;
        copies_end_group();
    };
    int from = 0;
    // Waits for the next unit; that before it has been read by all, and makes room for another.
    auto next_unit = [&](unsigned skew) {
        copies_wait<UNITS - 2>();
        __syncthreads();
        copy_next();
        unsigned at = ring + from * UNIT_BYTES + 2 * skew;
        from = from + 1 == UNITS ? 0 : from + 1;
        return at;
    };
    for (int i = 0; i < UNITS - 1; i++) copy_next();

    Queries queries;
    Sums sums;
    Place at(begin, shape.tiles);
    for (long long tile = begin; tile < end; tile++) {
        if (tile == begin || at.tile == 0) {
            queries.load(q, at, shape, lane);
            sums.clear();
        }
        unsigned skew = skew_of(at, shape);
        float scores[4] = {};
        score(scores, next_unit(skew), queries, warp, lane);
        weigh(scores, sums, context - at.tile * KEYS, scale, warp, lane);
        add_values(sums, scores, next_unit(skew), warp, lane);
        if (tile + 1 == end || at.tile + 1 == shape.tiles)
            finish(sums, scratch, o, parts, at, shape, all, scale, warp, lane);
        at.next(shape.tiles);
    }
}

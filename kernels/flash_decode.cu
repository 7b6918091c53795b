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
// - a ring of UNITS tiles, K and V in turn, of which all but the one in use are under way. Queries
//   travel with the first tile of their keys;
// - nothing else that waits for memory before the last tile is done, and no more under way than
//   keeps memory busy: what queues in front of it makes each answer take microseconds.
//
// Tiles of all heads are numbered through, and each block takes as many of them, one after the
// other: part of a head, some whole heads, part of a head. What it has of a head that it shares
// with others goes to `parts`. Blocks report once, when all of their tiles are done, and the last
// block of a head merges its parts.
//
// Macros: NAME, TYPE, HEAD_DIM, UNITS, and BLOCKS of a multiprocessor. Grid: any number of blocks
// up to that of all tiles, which are fewer than 2^31. Dynamic shared memory: UNITS * UNIT_BYTES,
// and (UNITS + 1) / 2 times the `query_bytes` of min(group, 8) rows.

#include "mma.cuh"
#include "decode_tiles.cuh"
#include "decode_parts.cuh"

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

// Starts the copy of the 16 bytes at `at` of so many; zeros follow the last.
__device__ inline void copy_chunk(unsigned to, const char* from, int at, int there) {
    int bytes = max(0, min(16, there - at));
    if (0 < bytes && bytes < 16) {
        // By element: the tensor may end within these 16 bytes.
        const unsigned short* rest = (const unsigned short*)(from + at);
        unsigned words[4] = {0, 0, 0, 0};
        for (int e = 0; e < bytes / 2; e++) words[e / 2] |= (unsigned)rest[e] << 16 * (e % 2);
        for (int w = 0; w < 4; w++) store_shared(to + 4 * w, words[w]);
        return;
    }
    // Nothing is read where there are no bytes, and no address lies outside of the tensor.
    copy_async_part(to, bytes > 0 ? from + at : from, bytes);
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
        copy_chunk(to + place, from, 16 * i, there);
    }
}

// Starts the copies of the queries of a pass.
__device__ inline void copy_queries(unsigned to, const unsigned short* q, Rows rows) {
    const char* from = (const char*)(q + (size_t)rows.first * HEAD_DIM - rows.skew());
    int there = 2 * (rows.count * HEAD_DIM + rows.skew());
    for (int at = 16 * threadIdx.x; at < there; at += 16 * THREADS)
        copy_chunk(to + at, from, at, there);
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

// The queries of a pass, as the tensor cores take them: zeros beyond HEAD_DIM and the last query.
struct Queries {
    unsigned pairs[COLUMN_TILES][2];

    __device__ void load(unsigned from, Rows rows, int lane) {
        from += 2 * (rows.skew() + lane / 4 * HEAD_DIM);
#pragma unroll
        for (int t = 0; t < COLUMN_TILES; t++)
            for (int half = 0; half < 2; half++) {
                int column = 16 * t + 8 * half + lane % 4 * 2;
                pairs[t][half] = 0;
                if (lane / 4 < rows.count)
                    pairs[t][half] = load_pair(from + 2 * column) & mask_of(column);
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

// `scale` is that of the scores times log2(e). `arrived` is zero before and after.
extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS)
    NAME(const unsigned short* q, const unsigned short* k, const unsigned short* v,
         unsigned short* o, float2* of_rows, float4* results, unsigned* arrived, int kv_heads,
         int context, int group, float scale) {
    extern __shared__ __align__(16) unsigned char shared[];
    int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    Shape shape = {context, group, (group + QUERIES - 1) / QUERIES, (context + KEYS - 1) / KEYS,
                   min(group, QUERIES)};
    Parts parts = {of_rows, results, arrived};
    int all = kv_heads * shape.passes * shape.tiles, blocks = gridDim.x;
    Runs runs = {all / blocks, all % blocks};
    int begin = runs.begin(blockIdx.x), end = runs.begin(blockIdx.x + 1);
    unsigned ring = shared_address(shared), query_slots = ring + UNITS * UNIT_BYTES;
    int query_bytes = bytes_of(shape.rows * HEAD_DIM);

    // The next unit to copy, K and V in turn, and where it goes.
    Place ahead(begin, shape.tiles);
    int units = 2 * (end - begin);
    bool is_v = false, is_first = true;
    int to = 0, queries_to = 0;
    auto copy_next = [&]() {
        if (units > 0) {
            if (!is_v && (is_first || ahead.tile == 0)) {
                copy_queries(query_slots + queries_to * query_bytes, q, Rows(ahead.pass, shape));
                queries_to = queries_to + 1 == QUERY_SLOTS ? 0 : queries_to + 1;
                is_first = false;
            }
            copy_tile(ring + to * UNIT_BYTES, is_v ? v : k, ahead, shape);
            if (is_v) ahead.next(shape.tiles);
            is_v = !is_v;
            units--;
        }
        to = to + 1 == UNITS ? 0 : to + 1;
        copies_end_group();
    };
    int from = 0, queries_from = 0;
    // Waits for the next unit; that before it has been read by all, and makes room for another.
    auto next_unit = [&]() {
        copies_wait<UNITS - 2>();
        __syncthreads();
        copy_next();
        int unit = from * UNIT_BYTES;
        from = from + 1 == UNITS ? 0 : from + 1;
        return unit;
    };
    for (int i = 0; i < UNITS - 1; i++) copy_next();

    Queries queries;
    Sums sums;
    Place at(begin, shape.tiles);
    int first_pass = at.pass;
    for (int tile = begin; tile < end; tile++) {
        unsigned skew = skew_of(at, shape);
        int unit = next_unit();
        if (tile == begin || at.tile == 0) {
            queries.load(query_slots + queries_from * query_bytes, Rows(at.pass, shape), lane);
            queries_from = queries_from + 1 == QUERY_SLOTS ? 0 : queries_from + 1;
            sums.clear();
        }
        float scores[4] = {};
        score(scores, ring + unit + 2 * skew, queries, warp, lane);
        weigh(scores, sums, context - at.tile * KEYS, scale, warp, lane);
        unit = next_unit();
        add_values(sums, scores, ring + unit + 2 * skew, warp, lane);
        if (tile + 1 == end || at.tile + 1 == shape.tiles) {
            bool is_part = at.pass * shape.tiles < begin || (at.pass + 1) * shape.tiles > end;
            finish(sums, (float*)(shared + unit), o, parts, at.pass, is_part, shape, scale, warp,
                   lane);
        }
        at.next(shape.tiles);
    }
    report(o, parts, first_pass, (end - 1) / shape.tiles, shape, runs, scale);
}

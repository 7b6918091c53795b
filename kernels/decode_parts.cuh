// What the warps of kernels/flash_decode.cu have of a head, and how they and the blocks put it
// together.

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

// Of the parts of a pass, those of different blocks one after the other: top and total of each of
// its rows, then the rows.
struct Parts {
    float2* of_rows;
    float4* results;
    unsigned* arrived;
    // Blocks and passes both count up from one part to the next.
    __device__ size_t first_row(int pass, int block, Shape shape) {
        return ((size_t)pass + block) * shape.rows;
    }
};

// Puts together what the warps have of a pass, and writes its result, or a part of it. `scratch`
// is the tile that was read last.
__device__ inline void finish(Sums& sums, float* scratch, unsigned short* o, Parts parts, int pass,
                              bool is_part, Shape shape, float scale, int warp, int lane) {
    __shared__ float of_warps[WARPS][QUERIES][2];
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

    Rows rows(pass, shape);
    size_t part = parts.first_row(pass, blockIdx.x, shape);
    o += (size_t)rows.first * HEAD_DIM;
    float decays[2];
    for (int i = 0; i < 2; i++)
        decays[i] = exp2_fast((sums.top[i] - top_of(lane % 4 * 2 + i)) * scale);
#pragma unroll
    for (int from = 0; from < HEAD_DIM; from += MERGED) {
#pragma unroll
        for (int t = from / 16; t < min(COLUMN_TILES, (from + MERGED) / 16); t++)
            for (int i = 0; i < 4; i++) {
                int row = lane % 4 * 2 + i % 2, column = 16 * t + lane / 4 * 2 + i / 2 - from;
                if (row < rows.count)
                    scratch[(warp * QUERIES + row) * MERGED + column] =
                        sums.result[t][i] * decays[i % 2];
            }
        __syncthreads();
        for (int i = threadIdx.x; i < rows.count * MERGED; i += THREADS) {
            int row = i / MERGED, column = from + i % MERGED;
            if (column >= 4 * FOURS) continue;
            float sum = 0.0f;
            for (int w = 0; w < WARPS; w++) sum += scratch[w * QUERIES * MERGED + i];
            if (is_part) {
                ((float*)parts.results)[(part + row) * (4 * FOURS) + column] = sum;
            } else if (column < HEAD_DIM) {
                o[row * HEAD_DIM + column] = from_float(sum / total_of(row, top_of(row)), TYPE);
            }
        }
        __syncthreads();
    }
    if (is_part && threadIdx.x < rows.count) {
        float top = top_of(threadIdx.x);
        parts.of_rows[part + threadIdx.x] = make_float2(top, total_of(threadIdx.x, top));
    }
}

// Puts together the parts of a pass.
__device__ inline void merge(unsigned short* o, Parts parts, int pass, Sharers sharers, Shape shape,
                             float scale) {
    Rows rows(pass, shape);
    size_t part = parts.first_row(pass, sharers.first, shape);
    for (int i = threadIdx.x; i < rows.count * FOURS; i += THREADS) {
        int row = i / FOURS, column = i % FOURS * 4;
        const float2* of_row = parts.of_rows + part + row;
        const float4* result = parts.results + part * FOURS + i;
        float top = LOWEST, total = 0.0f, sums[4] = {};
        for (int from = 0; from < sharers.count; from += PARTS_AT_ONCE) {
            float2 of_rows[PARTS_AT_ONCE];
            float4 results[PARTS_AT_ONCE];
#pragma unroll
            for (int j = 0; j < PARTS_AT_ONCE; j++) {
                size_t rows_before = (size_t)min(from + j, sharers.count - 1) * shape.rows;
                of_rows[j] = __ldcg(of_row + rows_before);
                results[j] = __ldcg(result + rows_before * FOURS);
            }
#pragma unroll
            for (int j = 0; j < PARTS_AT_ONCE; j++) {
                if (from + j >= sharers.count) break;
                float higher = fmaxf(top, of_rows[j].x);
                float decay = exp2_fast((top - higher) * scale);
                float weight = exp2_fast((of_rows[j].x - higher) * scale);
                top = higher;
                total = total * decay + of_rows[j].y * weight;
                sums[0] = sums[0] * decay + results[j].x * weight;
                sums[1] = sums[1] * decay + results[j].y * weight;
                sums[2] = sums[2] * decay + results[j].z * weight;
                sums[3] = sums[3] * decay + results[j].w * weight;
            }
        }
        for (int j = 0; j < 4; j++)
            if (column + j < HEAD_DIM)
                o[(size_t)(rows.first + row) * HEAD_DIM + column + j] =
                    from_float(sums[j] / total, TYPE);
    }
}

// Reports that this block has its parts of two passes, which may be one, and merges those of which
// it is the last block.
__device__ inline void report(unsigned short* o, Parts parts, int first, int last, Shape shape,
                              Runs runs, float scale) {
    __shared__ bool is_last[2];
    __syncthreads();
    // Two threads, so that they wait for memory at the same time.
    if (threadIdx.x < 2) {
        int pass = threadIdx.x == 0 ? first : last;
        int blocks = Sharers(pass, shape, runs).count;
        bool merges = false;
        if (blocks > 1 && (threadIdx.x == 0 || first != last)) {
            __threadfence();
            merges = atomicAdd(&parts.arrived[pass], 1) == blocks - 1;
            __threadfence();
            if (merges) parts.arrived[pass] = 0;  // for the next launch
        }
        is_last[threadIdx.x] = merges;
    }
    __syncthreads();
    for (int i = 0; i < 2; i++) {
        int pass = i == 0 ? first : last;
        if (is_last[i]) merge(o, parts, pass, Sharers(pass, shape, runs), shape, scale);
    }
}

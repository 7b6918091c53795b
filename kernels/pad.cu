// Pads or slices row-major matrices of 16-bit numbers: up to three in one launch, as attention has Q, K and V.

struct Matrices {
    const unsigned short* from[3];
    unsigned short* to[3];
};

// to[r][c] = from[r][c] inside of from, else 0. Grid (blocks, matrices).
//
// A warp writes 128 bytes in a row, a pair of numbers a thread, and reads the same numbers one by one: they lie at any
// alignment, and neighbours come from the L1 cache. PAIRS independent pairs a thread keep the memory busy.
extern "C" __global__ void __launch_bounds__(256) resize(Matrices matrices, unsigned from_rows, unsigned from_columns,
                                                         unsigned to_rows, unsigned to_columns) {
    const unsigned PAIRS = 8;
    const unsigned short* from = matrices.from[blockIdx.y];
    unsigned short* to = matrices.to[blockIdx.y];
    size_t len = (size_t)to_rows * to_columns;
    size_t at = 2 * (blockIdx.x * (size_t)(PAIRS * blockDim.x) + threadIdx.x);
    if (at >= len) return;

    unsigned step = 2 * blockDim.x;
    unsigned step_rows = step / to_columns, step_columns = step % to_columns;
    unsigned row = (unsigned)(at / to_columns), column = (unsigned)(at - (size_t)row * to_columns);
    unsigned pairs[PAIRS];
#pragma unroll
    for (unsigned i = 0; i < PAIRS; i++) {
        bool wraps = column + 1 == to_columns;
        unsigned next_row = row + wraps, next_column = wraps ? 0 : column + 1;
        unsigned low = 0, high = 0;
        if (row < from_rows && column < from_columns) low = from[(size_t)row * from_columns + column];
        if (next_row < from_rows && next_column < from_columns) {
            high = from[(size_t)next_row * from_columns + next_column];
        }
        pairs[i] = high << 16 | low;
        row += step_rows;
        column += step_columns;
        if (column >= to_columns) {
            column -= to_columns;
            row++;
        }
    }
#pragma unroll
    for (unsigned i = 0; i < PAIRS; i++, at += step) {
        // The last number of an odd length has no neighbour.
        if (at + 1 < len) {
            *(unsigned*)(to + at) = pairs[i];
        } else if (at < len) {
            to[at] = (unsigned short)pairs[i];
        }
    }
}

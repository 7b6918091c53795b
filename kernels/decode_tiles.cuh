// How kernels/flash_decode.cu cuts a KV cache: into tiles of keys, and those into a run for each
// block. Macros: those of that file.

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
// Some rows, the bytes before them up to a multiple of 16, and what is read beyond the last.
__device__ constexpr int bytes_of(int elements) { return (2 * elements + 16 + 64) / 16 * 16; }
// Of a tile. The warps of a block merge at least 16 columns at once in the room of one.
const int COLUMN_BYTES = 4 * WARPS * QUERIES;
const int TILE_BYTES = bytes_of(KEYS * STRIDE);
const int UNIT_BYTES = TILE_BYTES > 16 * COLUMN_BYTES ? TILE_BYTES : 16 * COLUMN_BYTES;
const int MERGED = UNIT_BYTES / COLUMN_BYTES / 16 * 16;
// First tiles of a pass that are in the ring at the same time.
const int QUERY_SLOTS = (UNITS + 1) / 2;
// Groups of four columns of a part.
const int FOURS = (HEAD_DIM + 3) / 4;
const int PARTS_AT_ONCE = 8;

struct Shape {
    int context, group, passes, tiles;
    int rows;  // queries of a pass, the last of a group may have fewer
};

// A pass over a KV head, counted through all of them, and a tile of it.
struct Place {
    int pass, tile;
    __device__ Place(int number, int tiles) : pass(number / tiles), tile(number % tiles) {}
    __device__ void next(int tiles) {
        if (++tile == tiles) {
            tile = 0;
            pass++;
        }
    }
};

// The queries of a pass.
struct Rows {
    int first, count;  // first of all heads
    __device__ Rows(int pass, Shape shape) {
        int of_group = pass % shape.passes * QUERIES;
        first = pass / shape.passes * shape.group + of_group;
        count = min(shape.rows, shape.group - of_group);
    }
    // How many elements lie between a multiple of 16 bytes and the first.
    __device__ int skew() { return (int)((size_t)first * HEAD_DIM % 8); }
};

// Which tiles each block has: as many as any other, the first ones perhaps one more.
struct Runs {
    int length, longer;
    __device__ int begin(int block) { return block * length + min(block, longer); }
    __device__ int block_of(int tile) {
        return tile < longer * (length + 1) ? tile / (length + 1) : (tile - longer) / length;
    }
};

// The blocks that have tiles of a pass.
struct Sharers {
    int first, count;
    __device__ Sharers(int pass, Shape shape, Runs runs) {
        first = runs.block_of(pass * shape.tiles);
        count = runs.block_of((pass + 1) * shape.tiles - 1) - first + 1;
    }
};

// What the attention kernels share: the tensor core and asynchronous copy instructions of sm_80 and
// later, by name.
//
// FP16 or BF16 operands, chosen by the macro TYPE; float32 accumulators. Fragments are as the PTX
// manual lays them out over a warp: thread t holds, of an 8x8 matrix, the elements 2 (t % 4) and 2
// (t % 4) + 1 of row t / 4.

#include "common.cuh"

__device__ inline unsigned shared_address(const void* pointer) {
    return (unsigned)__cvta_generic_to_shared(pointer);
}

// Copies 16 bytes from global to shared memory behind the program's back; zeros if not `there`.
__device__ inline void copy_async(unsigned to, const void* from, bool there) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from),
        "r"(there ? 16 : 0));
}
__device__ inline void copy_async(unsigned to, const void* from) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(from));
}
// Copies so many of 16 bytes, and zeros for the others. Memory is asked for whole lines.
__device__ inline void copy_async_part(unsigned to, const void* from, int bytes) {
    asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(to), "l"(from),
        "r"(bytes));
}
// Copies 4 or 8 bytes, or zeros if not `there`.
template <int bytes>
__device__ inline void copy_async_small(unsigned to, const void* from, bool there) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(to), "l"(from), "n"(bytes),
                 "r"(there ? bytes : 0));
}
template <int bytes>
__device__ inline void copy_async_small(unsigned to, const void* from) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2;" ::"r"(to), "l"(from), "n"(bytes));
}
__device__ inline void copies_end_group() { asm volatile("cp.async.commit_group;"); }
// Waits until at most `pending` of this thread's groups are under way.
template <int pending>
__device__ inline void copies_wait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
}

// Four 8x8 matrices: thread t gives the address of row t % 8 of matrix t / 8.
__device__ inline void load_matrices(unsigned (&to)[4], unsigned at) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(at));
}
__device__ inline void load_matrices(unsigned (&to)[2], unsigned at) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];" : "=r"(to[0]),
        "=r"(to[1]) : "r"(at));
}
__device__ inline void load_transposed(unsigned (&to)[4], unsigned at) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3])
                 : "r"(at));
}
__device__ inline void load_transposed(unsigned (&to)[2], unsigned at) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];" : "=r"(to[0]),
        "=r"(to[1]) : "r"(at));
}

__device__ inline unsigned load_shared(unsigned at) {
    unsigned value;
    asm volatile("ld.shared.b32 %0, [%1];" : "=r"(value) : "r"(at));
    return value;
}
// Four words from a multiple of 16 bytes: the first is returned.
__device__ inline unsigned load_shared(unsigned at, unsigned& second, unsigned& third,
    unsigned& fourth) {
    unsigned first;
    asm volatile("ld.shared.v4.b32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(first), "=r"(second), "=r"(third), "=r"(fourth)
                 : "r"(at));
    return first;
}
__device__ inline void store_shared(unsigned at, unsigned word) {
    asm volatile("st.shared.b32 [%0], %1;" ::"r"(at), "r"(word) : "memory");
}
__device__ inline void store_shared(unsigned at, unsigned a, unsigned b, unsigned c, unsigned d) {
    asm volatile("st.shared.v4.b32 [%0], {%1, %2, %3, %4};" ::"r"(at), "r"(a), "r"(b), "r"(c),
        "r"(d) : "memory");
}

// c += a b: 16x16 times 16x8.
__device__ inline void multiply(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
    if (TYPE == BF16) {
        asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
            "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
            "{%0, %1, %2, %3};"
            : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
    } else {
        asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 "
            "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
            "{%0, %1, %2, %3};"
            : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
            : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
    }
}
// c += a b: 16x8 times 8x8.
__device__ inline void multiply(float (&c)[4], const unsigned (&a)[2], unsigned b) {
    if (TYPE == BF16) {
        asm("mma.sync.aligned.m16n8k8.row.col.f32.bf16.bf16.f32 "
            "{%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
            : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
            : "r"(a[0]), "r"(a[1]), "r"(b));
    } else {
        asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 "
            "{%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
            : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
            : "r"(a[0]), "r"(a[1]), "r"(b));
    }
}

// Two float32 as a pair of 16-bit numbers, the first in the lower half.
__device__ inline unsigned pack(float low, float high) {
    unsigned pair;
    if (TYPE == BF16) {
        asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    } else {
        asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    }
    return pair;
}

// What the scores of a row are relative to before there is one: finite, so that no difference is
// NaN.
const float LOWEST = -1e30f;
// Beyond it the product of a score and the scale rounds by too much, and the difference of the
// scores comes first.
const float LARGE = 1048576.0f;

// 2^x, to 2 units in the last place; 0 for -inf.
__device__ inline float exp2_fast(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

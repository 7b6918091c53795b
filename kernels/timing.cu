// What measuring needs on the GPU itself: to keep it busy, to hold it back, to count its cycles,
// and to do nothing.

__device__ unsigned long long now_ns() {
    unsigned long long now;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
    return now;
}

// Keeps the GPU busy while the host enqueues, so that what follows starts without waiting for it.
// One thread. Ends by itself: nothing that the host does or fails to do can hang the GPU here.
extern "C" __global__ void spin(unsigned long long nanoseconds) {
    unsigned long long start = now_ns();
    while (now_ns() - start < nanoseconds) {
    }
}

// Holds back what is enqueued behind it until the host writes `ticket` or a later one to `gate`
// (host memory), or the time is over. One thread.
extern "C" __global__ void hold(const unsigned* gate, unsigned ticket,
    unsigned long long limit_ns) {
    unsigned long long start = now_ns();
    unsigned shown;
    do {
        asm volatile("ld.relaxed.sys.global.u32 %0, [%1];" : "=r"(shown) : "l"(gate) : "memory");
    } while ((int)(shown - ticket) < 0 && now_ns() - start < limit_ns);
}

// The cycle counter of SM 0 and the time, as a pair, to `stamp` (host memory). Every SM counts by
// itself, and a block cannot choose where it runs: so there are enough blocks for all SMs, and
// those elsewhere do nothing.
extern "C" __global__ void stamp_cycles(ulonglong2* stamp) {
    unsigned sm;
    asm volatile("mov.u32 %0, %%smid;" : "=r"(sm));
    if (sm != 0) return;
    ulonglong2 pair;
    asm volatile("mov.u64 %0, %%clock64;" : "=l"(pair.x));
    pair.y = now_ns();
    *stamp = pair;
}

// Ends in a trap, which takes the context with it: for faults on purpose.
extern "C" __global__ void trap() {
    asm volatile("trap;");
}

// What a launch costs by itself.
extern "C" __global__ void empty() {}

// to = from, 16 bytes a thread and step.
extern "C" __global__ void copy(const uint4* from, uint4* to, size_t len) {
    for (size_t i = blockIdx.x * (size_t)blockDim.x + threadIdx.x; i < len;
         i += (size_t)gridDim.x * blockDim.x) {
        to[i] = from[i];
    }
}

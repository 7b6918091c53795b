// Keeps the GPU busy while the host enqueues, so that what follows starts without waiting for it.

// One thread. Ends by itself: nothing that the host does or fails to do can hang the GPU here.
extern "C" __global__ void spin(unsigned long long nanoseconds) {
    unsigned long long start, now;
    asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(start));
    do {
        asm volatile("mov.u64 %0, %%globaltimer;" : "=l"(now));
    } while (now - start < nanoseconds);
}

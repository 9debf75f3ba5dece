// Kernels whose text is compiled twice: by nvcc for the device, and by any compiler for the host,
// where tests run them.
#pragma once

// REHEARSE_PORTABLE: functions that either side may call; REHEARSE_KERNEL: lambdas that a queue
// runs.
#ifdef __CUDACC__
#define REHEARSE_PORTABLE __host__ __device__
#define REHEARSE_KERNEL __device__
#else
#define REHEARSE_PORTABLE
#define REHEARSE_KERNEL
#endif

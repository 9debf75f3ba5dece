// A CUDA driver that knows no GPU but accepts kernels: what cuDNN needs to compile for a GPU that
// is described to it. It takes the driver's place by its name, libcuda.so.1.

namespace {
constexpr int kSuccess = 0, kNoDevice = 100;  // CUDA_SUCCESS, CUDA_ERROR_NO_DEVICE
int kernel = 0;
}  // namespace

extern "C" {

int cuInit(unsigned) {
  return kNoDevice;
}
int cuDeviceGetCount(int* count) {
  *count = 0;
  return kSuccess;
}
int cuLibraryLoadData(void** library, ...) {
  *library = &kernel;
  return kSuccess;
}
int cuLibraryGetKernel(void** it, ...) {
  *it = &kernel;
  return kSuccess;
}

#define ACCEPTED(name) \
  int name() {         \
    return kSuccess;   \
  }
ACCEPTED(cuLibraryUnload)
ACCEPTED(cuKernelGetAttribute)
ACCEPTED(cuKernelSetAttribute)
ACCEPTED(cuFuncGetAttribute)
ACCEPTED(cuFuncSetAttribute)

// What is only looked for.
#define UNAVAILABLE(name) \
  int name() {            \
    return kNoDevice;     \
  }
UNAVAILABLE(cuCtxGetCurrent)
UNAVAILABLE(cuCtxGetDevice)
UNAVAILABLE(cuCtxGetLimit)
UNAVAILABLE(cuCtxPopCurrent)
UNAVAILABLE(cuCtxPushCurrent)
UNAVAILABLE(cuDeviceGet)
UNAVAILABLE(cuDeviceGetAttribute)
UNAVAILABLE(cuDevicePrimaryCtxRelease)
UNAVAILABLE(cuDevicePrimaryCtxReset)
UNAVAILABLE(cuDevicePrimaryCtxRetain)
UNAVAILABLE(cuDriverGetVersion)
UNAVAILABLE(cuGetErrorName)
UNAVAILABLE(cuGetErrorString)
UNAVAILABLE(cuLaunchCooperativeKernel)
UNAVAILABLE(cuLaunchKernel)
UNAVAILABLE(cuLaunchKernelEx)
UNAVAILABLE(cuLibraryLoadFromFile)
UNAVAILABLE(cuLinkAddData)
UNAVAILABLE(cuLinkAddData_v2)
UNAVAILABLE(cuLinkAddFile_v2)
UNAVAILABLE(cuLinkComplete)
UNAVAILABLE(cuLinkCreate)
UNAVAILABLE(cuLinkCreate_v2)
UNAVAILABLE(cuLinkDestroy)
UNAVAILABLE(cuMemcpyDtoH_v2)
UNAVAILABLE(cuModuleGetFunction)
UNAVAILABLE(cuModuleGetGlobal_v2)
UNAVAILABLE(cuModuleLoadData)
UNAVAILABLE(cuModuleLoadDataEx)
UNAVAILABLE(cuModuleLoadFatBinary)
UNAVAILABLE(cuModuleUnload)
UNAVAILABLE(cuOccupancyMaxActiveBlocksPerMultiprocessor)
UNAVAILABLE(cuOccupancyMaxPotentialClusterSize)
UNAVAILABLE(cuStreamGetCtx)
UNAVAILABLE(cuStreamSynchronize)
UNAVAILABLE(cuTensorMapEncodeTiled)

}  // extern "C"

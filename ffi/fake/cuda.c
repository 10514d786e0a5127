/* Fake libcuda.so.1: one device with a context, and nothing that computes. FAKE_CUDA=none has no
 * device. */

#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#define CUDA_SUCCESS 0
#define CUDA_ERROR_INVALID_VALUE 1
#define CUDA_ERROR_NO_DEVICE 100
#define CUDA_ERROR_INVALID_CONTEXT 201
#define CUDA_ERROR_NOT_SUPPORTED 801

#define NAME "Fake GPU"
#define BUS_ID "0000:01:00.0"
#define STACK 16

typedef int CUresult;
typedef void *CUcontext;

static int retained;
static char primary, other;
static _Thread_local CUcontext stack[STACK];
static _Thread_local int depth;

static int has_device(void)
{
    const char *text = getenv("FAKE_CUDA");
    return !text || strcmp(text, "none") != 0;
}

CUresult cuInit(unsigned flags)
{
    return flags ? CUDA_ERROR_INVALID_VALUE : has_device() ? CUDA_SUCCESS : CUDA_ERROR_NO_DEVICE;
}

CUresult cuDriverGetVersion(int *version) { *version = 12040; return CUDA_SUCCESS; }
CUresult cuDeviceGetCount(int *count) { *count = has_device(); return CUDA_SUCCESS; }

CUresult cuDeviceGet(int *device, int ordinal)
{
    *device = ordinal;
    return ordinal == 0 && has_device() ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

CUresult cuDeviceGetName(char *name, int length, int device)
{
    snprintf(name, (size_t)length, NAME);
    return device ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

CUresult cuDeviceGetPCIBusId(char *name, int length, int device)
{
    snprintf(name, (size_t)length, BUS_ID);
    return device ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

CUresult cuDeviceComputeCapability(int *major, int *minor, int device)
{
    *major = 8;
    *minor = 6;
    return device ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *context, int device)
{
    __atomic_add_fetch(&retained, 1, __ATOMIC_RELAXED);
    *context = &primary;
    return device ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRelease_v2(int device)
{
    int left = __atomic_sub_fetch(&retained, 1, __ATOMIC_RELAXED);
    return device || left < 0 ? CUDA_ERROR_INVALID_CONTEXT : CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRelease(int device) { return cuDevicePrimaryCtxRelease_v2(device); }

CUresult cuCtxPushCurrent_v2(CUcontext context)
{
    if (depth == STACK || (context != &primary && context != &other))
        return CUDA_ERROR_INVALID_CONTEXT;
    stack[depth++] = context;
    return CUDA_SUCCESS;
}

CUresult cuCtxPopCurrent_v2(CUcontext *context)
{
    if (!depth)
        return CUDA_ERROR_INVALID_CONTEXT;
    depth--;
    if (context)
        *context = stack[depth];
    return CUDA_SUCCESS;
}

CUresult cuCtxCreate_v2(CUcontext *context, unsigned flags, int device)
{
    (void)flags;
    *context = &other;
    return device ? CUDA_ERROR_INVALID_VALUE : cuCtxPushCurrent_v2(&other);
}

CUresult cuCtxDestroy_v2(CUcontext context)
{
    return context == &other ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}

CUresult cuGetErrorString(CUresult error, const char **text)
{
    *text = error == CUDA_ERROR_NO_DEVICE ? "no CUDA-capable device is detected" : "an error";
    return CUDA_SUCCESS;
}

CUresult cuGetErrorName(CUresult error, const char **text) { return cuGetErrorString(error, text); }

/* What FFmpeg wants to find before it starts, and never calls to encode pictures of this side. */
#define ABSENT(name) CUresult name(void) { return CUDA_ERROR_NOT_SUPPORTED; }
ABSENT(cuDeviceGetAttribute)
ABSENT(cuCtxSetLimit)
ABSENT(cuMemAlloc_v2)
ABSENT(cuMemAllocPitch_v2)
ABSENT(cuMemAllocManaged)
ABSENT(cuMemsetD8Async)
ABSENT(cuMemFree_v2)
ABSENT(cuMemcpy)
ABSENT(cuMemcpyAsync)
ABSENT(cuMemcpy2D_v2)
ABSENT(cuMemcpy2DAsync_v2)
ABSENT(cuMemcpyHtoD_v2)
ABSENT(cuMemcpyHtoDAsync_v2)
ABSENT(cuMemcpyDtoH_v2)
ABSENT(cuMemcpyDtoHAsync_v2)
ABSENT(cuMemcpyDtoD_v2)
ABSENT(cuMemcpyDtoDAsync_v2)
ABSENT(cuCtxGetDevice)
ABSENT(cuDevicePrimaryCtxSetFlags)
ABSENT(cuDevicePrimaryCtxGetState)
ABSENT(cuDevicePrimaryCtxReset)
ABSENT(cuStreamCreate)
ABSENT(cuStreamQuery)
ABSENT(cuStreamSynchronize)
ABSENT(cuStreamDestroy_v2)
ABSENT(cuStreamAddCallback)
ABSENT(cuEventCreate)
ABSENT(cuEventDestroy_v2)
ABSENT(cuEventSynchronize)
ABSENT(cuEventQuery)
ABSENT(cuEventRecord)
ABSENT(cuLaunchKernel)
ABSENT(cuLinkCreate)
ABSENT(cuLinkAddData)
ABSENT(cuLinkComplete)
ABSENT(cuLinkDestroy)
ABSENT(cuModuleLoadData)
ABSENT(cuModuleUnload)
ABSENT(cuModuleGetFunction)
ABSENT(cuModuleGetGlobal)
ABSENT(cuTexObjectCreate)
ABSENT(cuTexObjectDestroy)
ABSENT(cuGLGetDevices_v2)
ABSENT(cuGraphicsGLRegisterImage)
ABSENT(cuGraphicsUnregisterResource)
ABSENT(cuGraphicsMapResources)
ABSENT(cuGraphicsUnmapResources)
ABSENT(cuGraphicsSubResourceGetMappedArray)
ABSENT(cuGraphicsResourceGetMappedPointer_v2)
ABSENT(cuArray3DCreate_v2)
ABSENT(cuArrayDestroy)

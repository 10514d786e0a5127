/* The calls of the CUDA driver that an encoder needs. Our own declarations: the driver's interface is
 * stable, and its headers come with a toolkit of gigabytes. Each member is a symbol of libcuda.so.1,
 * with the suffix of the version that it is bound in. */

#ifndef STREAM_MANAGER_CUDA_H
#define STREAM_MANAGER_CUDA_H

typedef int CUresult;
typedef int CUdevice;
typedef struct CUctx_st *CUcontext;

struct CudaFunctions {
    CUresult (*cuInit)(unsigned int flags);
    CUresult (*cuDriverGetVersion)(int *version);
    CUresult (*cuDeviceGetCount)(int *count);
    CUresult (*cuDeviceGet)(CUdevice *device, int ordinal);
    CUresult (*cuDeviceGetName)(char *name, int length, CUdevice device);
    CUresult (*cuDeviceGetPCIBusId)(char *bus_id, int length, CUdevice device);
    CUresult (*cuDevicePrimaryCtxRetain)(CUcontext *context, CUdevice device);
    CUresult (*cuDevicePrimaryCtxRelease_v2)(CUdevice device);
    CUresult (*cuCtxPushCurrent_v2)(CUcontext context);
    CUresult (*cuCtxPopCurrent_v2)(CUcontext *context);
    CUresult (*cuGetErrorString)(CUresult error, const char **text);
};

#endif

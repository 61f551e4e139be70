/* A stand-in for libcuda.so.1: devices, primary contexts, the stack of current contexts of each thread. */
#include "driver.h"
#include <ffnvcodec/dynlink_cuda.h>

#define DEVICES_MAX 4
#define STACK_MAX 8
#define EXPORT __attribute__((visibility("default")))

#define INVALID_VALUE 1
#define NOT_INITIALIZED 3
#define NO_DEVICE 100
#define INVALID_DEVICE 101
#define INVALID_CONTEXT 201

struct CUctx_st { int device, held; };

static struct CUctx_st contexts[DEVICES_MAX];
static int is_initialised;
static __thread CUcontext stack[STACK_MAX];
static __thread int depth;

static CUresult fault(CUresult status, const char *what) {
    record("FAULT cuda: %s", what);
    return status;
}

EXPORT CUresult cuGetErrorString(CUresult status, const char **text) {
    switch ((int)status) {
    case NO_DEVICE: *text = "no CUDA-capable device is detected"; return 0;
    case 802: *text = "system not yet initialized"; return 0;
    default: *text = NULL; return INVALID_VALUE;
    }
}

EXPORT CUresult cuInit(unsigned int flags) {
    record("cuInit");
    if (flags) return fault(INVALID_VALUE, "flags");
    is_initialised = 1;
    return scenario_number("cuInit", 0);
}

EXPORT CUresult cuDeviceGetCount(int *count) {
    if (!is_initialised) return fault(NOT_INITIALIZED, "not initialised");
    *count = scenario_number("devices", 1);
    return 0;
}

EXPORT CUresult cuDeviceGet(CUdevice *device, int ordinal) {
    if (ordinal < 0 || ordinal >= scenario_number("devices", 1)) return fault(INVALID_DEVICE, "ordinal");
    *device = 7 * (ordinal + 1); /* not the ordinal: whoever mixes them up is found */
    return 0;
}

static int ordinal_of(CUdevice device) { return device % 7 ? -1 : device / 7 - 1; }

EXPORT CUresult cuDeviceGetName(char *name, int len, CUdevice device) {
    char key[32];
    if (ordinal_of(device) < 0) return fault(INVALID_DEVICE, "device of a name");
    snprintf(key, sizeof key, "name%d", ordinal_of(device));
    snprintf(name, len, "%s", scenario(key, "Stand-in T4"));
    return 0;
}

EXPORT CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
    int ordinal = ordinal_of(device);
    if (ordinal < 0 || ordinal >= DEVICES_MAX) return fault(INVALID_DEVICE, "device of a context");
    contexts[ordinal].device = ordinal;
    contexts[ordinal].held++;
    record("cuDevicePrimaryCtxRetain %d", ordinal);
    *context = &contexts[ordinal];
    return 0;
}

EXPORT CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) {
    int ordinal = ordinal_of(device);
    if (ordinal < 0 || contexts[ordinal].held == 0) return fault(INVALID_CONTEXT, "released once too often");
    contexts[ordinal].held--;
    record("cuDevicePrimaryCtxRelease %d", ordinal);
    return 0;
}

EXPORT CUresult cuCtxPushCurrent_v2(CUcontext context) {
    if (!context || !context->held) return fault(INVALID_CONTEXT, "pushed, and not held");
    if (depth == STACK_MAX) return fault(INVALID_CONTEXT, "pushed, and never popped");
    stack[depth++] = context;
    return 0;
}

EXPORT CUresult cuCtxPopCurrent_v2(CUcontext *context) {
    if (depth == 0) return fault(INVALID_CONTEXT, "popped, and never pushed");
    *context = stack[--depth];
    return 0;
}

EXPORT CUresult cuCtxGetCurrent(CUcontext *context) {
    *context = depth ? stack[depth - 1] : NULL;
    return 0;
}

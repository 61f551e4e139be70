/*
 * Does with the stand-in what a driver does not forgive, and says a line for each: WHAT STATUS. What should be well is not
 * said unless it is not.
 *
 *     misuse DIRECTORY
 */
#include <dlfcn.h>
#include <ffnvcodec/dynlink_cuda.h>
#include <ffnvcodec/nvEncodeAPI.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static NV_ENCODE_API_FUNCTION_LIST api = {.version = NV_ENCODE_API_FUNCTION_LIST_VER};

static void *symbol(void *library, const char *name) {
    void *found = dlsym(library, name);
    if (!found) { fprintf(stderr, "no %s\n", name); exit(1); }
    return found;
}

static void *library(const char *directory, const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    void *opened = dlopen(path, RTLD_NOW);
    if (!opened) { fprintf(stderr, "%s\n", dlerror()); exit(1); }
    return opened;
}

static void bad(const char *what, NVENCSTATUS status) { printf("%s %d\n", what, status); }
static void good(const char *what, NVENCSTATUS status) { if (status) bad(what, status); }

int main(int count, char **arguments) {
    (void)count;
    void *cuda = library(arguments[1], "libcuda.so.1"), *nvenc = library(arguments[1], "libnvidia-encode.so.1");
    tcuInit *init = symbol(cuda, "cuInit");
    tcuDevicePrimaryCtxRetain *retain = symbol(cuda, "cuDevicePrimaryCtxRetain");
    tcuCtxPushCurrent_v2 *push = symbol(cuda, "cuCtxPushCurrent_v2");
    tcuCtxPopCurrent_v2 *pop = symbol(cuda, "cuCtxPopCurrent_v2");
    NVENCSTATUS (*create)(NV_ENCODE_API_FUNCTION_LIST *) = symbol(nvenc, "NvEncodeAPICreateInstance");
    CUcontext context, popped;
    init(0);
    retain(&context, 7);

    NV_ENCODE_API_FUNCTION_LIST old = {.version = 1};
    bad("list-version", create(&old));
    good("list", create(&api));

    void *s = NULL;
    NV_ENC_OPEN_ENCODE_SESSION_EX_PARAMS open = {
        .version = NV_ENC_OPEN_ENCODE_SESSION_EX_PARAMS_VER, .deviceType = NV_ENC_DEVICE_TYPE_CUDA,
        .device = context, .apiVersion = NVENCAPI_VERSION,
    };
    bad("no-context", api.nvEncOpenEncodeSessionEx(&open, &s));
    push(context);
    open.version++;
    bad("open-version", api.nvEncOpenEncodeSessionEx(&open, &s));
    open.version--;
    open.reserved1[3] = 1;
    bad("open-reserved", api.nvEncOpenEncodeSessionEx(&open, &s));
    open.reserved1[3] = 0;
    good("open", api.nvEncOpenEncodeSessionEx(&open, &s));

    NV_ENC_CREATE_INPUT_BUFFER input = {
        .version = NV_ENC_CREATE_INPUT_BUFFER_VER, .width = 160, .height = 64, .bufferFmt = NV_ENC_BUFFER_FORMAT_NV12,
    };
    bad("not-initialised", api.nvEncCreateInputBuffer(s, &input));
    NV_ENC_PRESET_CONFIG preset = {.version = NV_ENC_PRESET_CONFIG_VER, .presetCfg = {.version = 0}};
    bad("preset-version", api.nvEncGetEncodePresetConfigEx(s, NV_ENC_CODEC_H264_GUID, NV_ENC_PRESET_P4_GUID, 2, &preset));
    NV_ENC_CONFIG config = {
        .version = NV_ENC_CONFIG_VER, .profileGUID = NV_ENC_H264_PROFILE_HIGH_GUID, .gopLength = NVENC_INFINITE_GOPLENGTH,
        .frameIntervalP = 3, .frameFieldMode = NV_ENC_PARAMS_FRAME_FIELD_MODE_FRAME,
        .rcParams = {.rateControlMode = NV_ENC_PARAMS_RC_CBR, .averageBitRate = 1000, .maxBitRate = 1000},
        .encodeCodecConfig.h264Config = {.chromaFormatIDC = 1, .idrPeriod = NVENC_INFINITE_GOPLENGTH, .level = 31},
    };
    NV_ENC_INITIALIZE_PARAMS parameters = {
        .version = NV_ENC_INITIALIZE_PARAMS_VER, .encodeGUID = NV_ENC_CODEC_H264_GUID, .encodeWidth = 160,
        .encodeHeight = 64, .darWidth = 160, .darHeight = 64, .frameRateNum = 30, .frameRateDen = 1, .enablePTD = 1,
        .encodeConfig = &config,
    };
    config.encodeCodecConfig.h264Config.reserved1[9] = 1;
    bad("config-reserved", api.nvEncInitializeEncoder(s, &parameters));
    config.encodeCodecConfig.h264Config.reserved1[9] = 0;
    parameters.enableEncodeAsync = 1;
    bad("asynchronous", api.nvEncInitializeEncoder(s, &parameters));
    parameters.enableEncodeAsync = 0;
    good("initialise", api.nvEncInitializeEncoder(s, &parameters));
    bad("initialised-twice", api.nvEncInitializeEncoder(s, &parameters));

    NV_ENC_CREATE_BITSTREAM_BUFFER output[2] = {
        {.version = NV_ENC_CREATE_BITSTREAM_BUFFER_VER}, {.version = NV_ENC_CREATE_BITSTREAM_BUFFER_VER},
    };
    NV_ENC_CREATE_INPUT_BUFFER second = input;
    good("input", api.nvEncCreateInputBuffer(s, &input));
    good("input", api.nvEncCreateInputBuffer(s, &second));
    good("output", api.nvEncCreateBitstreamBuffer(s, &output[0]));
    good("output", api.nvEncCreateBitstreamBuffer(s, &output[1]));
    pop(&popped);
    NV_ENC_LOCK_INPUT_BUFFER lock = {.version = NV_ENC_LOCK_INPUT_BUFFER_VER, .inputBuffer = input.inputBuffer};
    bad("context-popped", api.nvEncLockInputBuffer(s, &lock));
    push(context);
    good("lock", api.nvEncLockInputBuffer(s, &lock));
    uint32_t pitch = lock.pitch;
    lock = (NV_ENC_LOCK_INPUT_BUFFER){.version = NV_ENC_LOCK_INPUT_BUFFER_VER, .inputBuffer = input.inputBuffer};
    bad("locked-twice", api.nvEncLockInputBuffer(s, &lock));
    NV_ENC_PIC_PARAMS picture = {
        .version = NV_ENC_PIC_PARAMS_VER, .inputWidth = 160, .inputHeight = 64, .inputPitch = pitch,
        .inputBuffer = input.inputBuffer, .outputBitstream = output[0].bitstreamBuffer,
        .bufferFmt = NV_ENC_BUFFER_FORMAT_NV12, .pictureStruct = NV_ENC_PIC_STRUCT_FRAME,
    };
    bad("encoded-while-locked", api.nvEncEncodePicture(s, &picture));
    good("unlock", api.nvEncUnlockInputBuffer(s, input.inputBuffer));
    bad("unlocked-twice", api.nvEncUnlockInputBuffer(s, input.inputBuffer));
    picture.inputBuffer = &picture;
    bad("foreign-buffer", api.nvEncEncodePicture(s, &picture));
    picture.inputBuffer = input.inputBuffer;
    picture.inputPitch = 160;
    bad("wrong-pitch", api.nvEncEncodePicture(s, &picture));
    picture.inputPitch = pitch;
    good("encode", api.nvEncEncodePicture(s, &picture));
    bad("buffer-in-use", api.nvEncEncodePicture(s, &picture));
    NV_ENC_LOCK_INPUT_BUFFER other = {.version = NV_ENC_LOCK_INPUT_BUFFER_VER, .inputBuffer = second.inputBuffer};
    good("lock", api.nvEncLockInputBuffer(s, &other));
    memset(other.bufferDataPtr, 0, other.pitch); /* between the rows */
    bad("wrote-beside", api.nvEncUnlockInputBuffer(s, second.inputBuffer));
    picture.inputBuffer = second.inputBuffer;
    picture.inputPitch = other.pitch;
    picture.outputBitstream = output[1].bitstreamBuffer;
    if (api.nvEncEncodePicture(s, &picture) != NV_ENC_ERR_NEED_MORE_INPUT) bad("encode", 0);
    NV_ENC_LOCK_BITSTREAM take = {.version = NV_ENC_LOCK_BITSTREAM_VER, .outputBitstream = output[1].bitstreamBuffer};
    bad("locked-before-success", api.nvEncLockBitstream(s, &take));
    bad("destroyed-in-use", api.nvEncDestroyInputBuffer(s, second.inputBuffer));
    bad("destroyed-with-buffers", api.nvEncDestroyEncoder(s));
    return 0;
}

/*
 * A stand-in for libnvidia-encode.so.1, as strict as NVIDIA's documentation: it checks every version word, every reserved
 * field, every argument and the order of calls, honours a pitch larger than the width, and codes each picture losslessly, as
 * H.264 and HEVC whose blocks are samples (I_PCM). With B frames it reorders as the chip does; its B and P frames are intra
 * coded, with the numbers that real ones have. Pictures are read when they are coded, not when they are given.
 */
#include "driver.h"
#include <ffnvcodec/nvEncodeAPI.h>
#include <signal.h>

#define EXPORT __attribute__((visibility("default")))
#define MAGIC 0x4e56454e43534954ull
#define BUFFERS_MAX 32
#define GUARD 0xEE

typedef struct {
    uint8_t *memory;
    uint32_t pitch;
    int is_locked, is_used;
    size_t len;
} Input;

typedef struct {
    uint8_t *data;
    size_t len, room;
    int is_queued, is_filled, is_locked;
    uint64_t frame;
    NV_ENC_PIC_TYPE type;
    Input *input;
} Output;

typedef struct { Input *input; uint64_t frame; uint32_t place; } Picture;

typedef struct {
    uint64_t magic;
    void *context;
    int is_initialised, is_ended, has_encoded;
    NV_ENC_INITIALIZE_PARAMS parameters;
    NV_ENC_CONFIG config;
    Input *inputs[BUFFERS_MAX];
    Output *outputs[BUFFERS_MAX], *queue[BUFFERS_MAX];
    int queued;
    Picture pending[8];
    int held;
    uint64_t submitted;
    uint32_t place, frame_num, idr_id;
    int is_started;
    char said[128];
} Session;

static int sessions;

/* ---- what a strict driver does not forgive ---- */

static NVENCSTATUS fault(NVENCSTATUS status, const char *call, const char *what) {
    record("FAULT %s: %s", call, what);
    return status;
}

#define REQUIRE(condition, status) \
    do { if (!(condition)) return fault(status, __func__, #condition); } while (0)
#define ZERO(array) REQUIRE(is_zero(array, sizeof(array)), NV_ENC_ERR_INVALID_PARAM)
#define VERSION(p, wanted) REQUIRE((p)->version == (wanted), NV_ENC_ERR_INVALID_VERSION)
#define SESSION(pointer) \
    Session *s = pointer; \
    REQUIRE(s && s->magic == MAGIC, NV_ENC_ERR_INVALID_ENCODERDEVICE); \
    REQUIRE(current_context() == s->context, NV_ENC_ERR_INVALID_DEVICE)
#define INITIALISED(pointer) SESSION(pointer); REQUIRE(s->is_initialised, NV_ENC_ERR_ENCODER_NOT_INITIALIZED)

static int is_zero(const void *bytes, size_t len) {
    const uint8_t *byte = bytes;
    for (size_t i = 0; i < len; i++) if (byte[i]) return 0;
    return 1;
}

static void *current_context(void) {
    static int (*get)(void **);
    void *context = NULL;
    if (!get) {
        char path[4096];
        in_directory("libcuda.so.1", path, sizeof path);
        void *cuda = dlopen(path, RTLD_NOW);
        if (!cuda) abort();
        *(void **)&get = dlsym(cuda, "cuCtxGetCurrent");
    }
    get(&context);
    return context;
}

static int is(const GUID *a, const GUID *b) { return !memcmp(a, b, sizeof *a); }

/* ---- bits ---- */

typedef struct { uint8_t *bytes; size_t len, room; int used; } Bits;

static void put(Bits *bits, uint32_t value, int count) {
    while (count--) {
        if (bits->used == 0) {
            if (bits->len == bits->room) bits->bytes = realloc(bits->bytes, bits->room = bits->room * 2 + 4096);
            bits->bytes[bits->len++] = 0;
        }
        bits->bytes[bits->len - 1] |= (value >> count & 1) << (7 - bits->used);
        bits->used = (bits->used + 1) & 7;
    }
}

static void ue(Bits *bits, uint32_t value) {
    int len = 31 - __builtin_clz(value + 1);
    put(bits, 0, len);
    put(bits, value + 1, len + 1);
}

static void se(Bits *bits, int value) { ue(bits, value > 0 ? 2 * value - 1 : -2 * value); }

static void append(Output *out, const uint8_t *bytes, size_t len) {
    if (out->len + len > out->room) out->data = realloc(out->data, out->room = (out->len + len) * 2);
    memcpy(out->data + out->len, bytes, len);
    out->len += len;
}

/* A NAL unit behind a start code, with emulation prevention; frees the bits. */
static void escaped(Output *out, const uint8_t *header, size_t header_len, Bits *bits) {
    const uint8_t start[4] = {0, 0, 0, 1};
    append(out, start, 4);
    append(out, header, header_len);
    int zeros = 0;
    for (size_t i = 0; i < bits->len; i++) {
        const uint8_t three = 3;
        if (zeros == 2 && bits->bytes[i] <= 3) { append(out, &three, 1); zeros = 0; }
        append(out, &bits->bytes[i], 1);
        zeros = bits->bytes[i] ? 0 : zeros + 1;
    }
    free(bits->bytes);
    *bits = (Bits){0};
}

static void nal(Output *out, uint8_t header, Bits *bits) {
    put(bits, 1, 1);
    escaped(out, &header, 1, bits);
}

/* ---- H.264 ---- */

static int reorders(const Session *s) { return s->config.frameIntervalP > 1; }

static int is_hevc(const Session *s) { return is(&s->parameters.encodeGUID, &NV_ENC_CODEC_HEVC_GUID); }

static void avc_sets(const Session *s, Output *out) {
    const NV_ENC_CONFIG_H264 *h264 = &s->config.encodeCodecConfig.h264Config;
    const NV_ENC_CONFIG_H264_VUI_PARAMETERS *vui = &h264->h264VUIParameters;
    uint32_t width = s->parameters.encodeWidth, height = s->parameters.encodeHeight;
    uint32_t columns = (width + 15) / 16, rows = (height + 15) / 16;
    uint32_t references = h264->maxNumRefFrames ? h264->maxNumRefFrames : 4;
    Bits bits = {0};
    put(&bits, 100, 8); put(&bits, 0, 8);
    put(&bits, scenario_number("spsLevel", h264->level), 8);
    ue(&bits, h264->spsId);
    ue(&bits, 1); ue(&bits, 0); ue(&bits, 0); put(&bits, 0, 2); /* 4:2:0, 8 bits, no scaling */
    ue(&bits, 4);                                               /* frame_num of 8 bits */
    if (reorders(s)) { ue(&bits, 0); ue(&bits, 4); } else ue(&bits, 2); /* order of showing: 8 bits, or that of decoding */
    ue(&bits, references); put(&bits, 0, 1);
    ue(&bits, columns - 1); ue(&bits, rows - 1);
    put(&bits, 1, 1); put(&bits, 1, 1);                         /* frames, direct 8x8 */
    put(&bits, 1, 1);
    ue(&bits, 0); ue(&bits, (columns * 16 - width) / 2); ue(&bits, 0); ue(&bits, (rows * 16 - height) / 2);
    put(&bits, 1, 1);                                           /* VUI */
    put(&bits, 0, 2);
    put(&bits, vui->videoSignalTypePresentFlag, 1);
    if (vui->videoSignalTypePresentFlag) {
        put(&bits, vui->videoFormat, 3); put(&bits, vui->videoFullRangeFlag, 1);
        put(&bits, vui->colourDescriptionPresentFlag, 1);
        if (vui->colourDescriptionPresentFlag) {
            put(&bits, vui->colourPrimaries, 8); put(&bits, vui->transferCharacteristics, 8); put(&bits, vui->colourMatrix, 8);
        }
    }
    put(&bits, 0, 5);                                           /* chroma location, timing, models of buffers, pic_struct */
    put(&bits, vui->bitstreamRestrictionFlag, 1);
    if (vui->bitstreamRestrictionFlag) {
        put(&bits, 1, 1); ue(&bits, 0); ue(&bits, 0); ue(&bits, 15); ue(&bits, 15);
        ue(&bits, reorders(s) ? 2 : 0); ue(&bits, references);  /* as chips say it, more than they need */
    }
    nal(out, 0x67, &bits);
    ue(&bits, h264->ppsId); ue(&bits, h264->spsId);
    put(&bits, 0, 2); ue(&bits, 0); ue(&bits, 0); ue(&bits, 0); /* CAVLC, one slice group, one reference */
    put(&bits, 0, 3); se(&bits, -10); se(&bits, 0); se(&bits, 0); /* quantiser 16 */
    put(&bits, 4, 3);                                           /* deblocking is told by slices */
    nal(out, 0x68, &bits);
}

/* The samples of a block of 16x16 pixels, from a byte on; what is outside of the picture repeats its border. */
static void samples(Bits *bits, const Session *s, const Input *input, uint32_t column, uint32_t row) {
    uint32_t width = s->parameters.encodeWidth, height = s->parameters.encodeHeight;
    const uint8_t *luma = input->memory, *chroma = luma + (size_t)input->pitch * height;
    while (bits->used) put(bits, 0, 1);
    for (uint32_t y = 0; y < 16; y++) for (uint32_t x = 0; x < 16; x++) {
        uint32_t px = column * 16 + x, py = row * 16 + y;
        px = px < width ? px : width - 1; py = py < height ? py : height - 1;
        put(bits, luma[(size_t)py * input->pitch + px], 8);
    }
    for (int plane = 0; plane < 2; plane++) for (uint32_t y = 0; y < 8; y++) for (uint32_t x = 0; x < 8; x++) {
        uint32_t px = column * 8 + x, py = row * 8 + y;
        px = px < width / 2 ? px : width / 2 - 1; py = py < height / 2 ? py : height / 2 - 1;
        put(bits, chroma[(size_t)py * input->pitch + px * 2 + plane], 8);
    }
}

static void code_avc(Session *s, Output *out, Picture picture, NV_ENC_PIC_TYPE type) {
    int is_idr = type == NV_ENC_PIC_TYPE_IDR, is_reference = type != NV_ENC_PIC_TYPE_B;
    Bits bits = {0};
    put(&bits, 7, 3);
    nal(out, 0x09, &bits); /* what was not asked for, and has no place in an access unit */
    if (is_idr) {
        avc_sets(s, out);
        put(&bits, 5, 8); put(&bits, 16, 8);
        for (int i = 0; i < 16; i++) put(&bits, 'a' + i, 8);
        nal(out, 0x06, &bits);
        s->frame_num = 0;
        s->idr_id++;
    } else {
        /* One more than that of the last reference. */
        s->frame_num = (s->frame_num + (s->is_started == 1)) & 0xFF;
    }
    const NV_ENC_CONFIG_H264 *h264 = &s->config.encodeCodecConfig.h264Config;
    ue(&bits, 0); ue(&bits, 7); ue(&bits, h264->ppsId);
    put(&bits, s->frame_num, 8);
    if (is_idr) ue(&bits, s->idr_id & 1);
    if (reorders(s)) put(&bits, picture.place * 2, 8);
    if (is_idr) put(&bits, 0, 2); else if (is_reference) put(&bits, 0, 1);
    se(&bits, 0); ue(&bits, 1);
    uint32_t columns = (s->parameters.encodeWidth + 15) / 16, rows = (s->parameters.encodeHeight + 15) / 16;
    for (uint32_t row = 0; row < rows; row++) for (uint32_t column = 0; column < columns; column++) {
        ue(&bits, 25);
        samples(&bits, s, picture.input, column, row);
    }
    nal(out, is_idr ? 0x65 : is_reference ? 0x41 : 0x01, &bits);
    /* Whether the next picture's number is one more: the one after a reference, not the one after a B frame. */
    s->is_started = is_reference ? 1 : 2;
}

/* ---- HEVC: blocks of 16x16 samples, each a slice of its own, so that the arithmetic coder always says the same ---- */

static void hevc_nal(Output *out, int type, Bits *bits) {
    const uint8_t header[2] = {type << 1, 1};
    put(bits, 1, 1);
    escaped(out, header, 2, bits);
}

static void profile(Bits *bits) {
    put(bits, 1, 8); put(bits, 0x6000, 16); put(bits, 0, 16); /* Main */
    put(bits, 9, 4); put(bits, 0, 16); put(bits, 0, 16); put(bits, 0, 12);
    put(bits, 120, 8);
}

static void ordering(const Session *s, Bits *bits) {
    put(bits, 1, 1); ue(bits, 4); ue(bits, reorders(s)); ue(bits, 0);
}

static void hevc_sets(const Session *s, Output *out) {
    const NV_ENC_CONFIG_HEVC_VUI_PARAMETERS *vui = &s->config.encodeCodecConfig.hevcConfig.hevcVUIParameters;
    uint32_t width = s->parameters.encodeWidth, height = s->parameters.encodeHeight;
    uint32_t coded_width = (width + 15) / 16 * 16, coded_height = (height + 15) / 16 * 16;
    Bits bits = {0};
    put(&bits, 3, 6); put(&bits, 0, 9); put(&bits, 1, 1); put(&bits, 0xFFFF, 16);
    profile(&bits); ordering(s, &bits);
    put(&bits, 0, 6); ue(&bits, 0); put(&bits, 0, 2);
    hevc_nal(out, 32, &bits);
    put(&bits, 0, 4); put(&bits, 1, 4);
    profile(&bits);
    ue(&bits, 0); ue(&bits, 1); ue(&bits, coded_width); ue(&bits, coded_height);
    put(&bits, 1, 1);
    ue(&bits, 0); ue(&bits, (coded_width - width) / 2); ue(&bits, 0); ue(&bits, (coded_height - height) / 2);
    ue(&bits, 0); ue(&bits, 0); ue(&bits, 4);                   /* 8 bits; order of showing of 8 bits */
    ordering(s, &bits);
    ue(&bits, 1); ue(&bits, 0); ue(&bits, 0); ue(&bits, 2); ue(&bits, 0); ue(&bits, 0); /* blocks of 16 */
    put(&bits, 0, 3); put(&bits, 1, 1);                         /* samples may be written as they are: */
    put(&bits, 7, 4); put(&bits, 7, 4); ue(&bits, 1); ue(&bits, 0); put(&bits, 1, 1);
    ue(&bits, 0); put(&bits, 0, 3);
    put(&bits, 1, 1);                                           /* VUI */
    put(&bits, 0, 2); put(&bits, vui->videoSignalTypePresentFlag, 1);
    put(&bits, vui->videoFormat, 3); put(&bits, vui->videoFullRangeFlag, 1); put(&bits, 1, 1);
    put(&bits, vui->colourPrimaries, 8); put(&bits, vui->transferCharacteristics, 8); put(&bits, vui->colourMatrix, 8);
    put(&bits, 0, 7);
    put(&bits, 0, 1);
    hevc_nal(out, 33, &bits);
    ue(&bits, 0); ue(&bits, 0); put(&bits, 0, 7); ue(&bits, 0); ue(&bits, 0); se(&bits, 0); put(&bits, 0, 3);
    se(&bits, 0); se(&bits, 0); put(&bits, 0, 7);
    put(&bits, 5, 3);                                           /* no deblocking */
    put(&bits, 0, 2); ue(&bits, 0); put(&bits, 0, 2);
    hevc_nal(out, 34, &bits);
}

static void code_hevc(Session *s, Output *out, Picture picture, NV_ENC_PIC_TYPE type) {
    int is_idr = type == NV_ENC_PIC_TYPE_IDR;
    uint32_t columns = (s->parameters.encodeWidth + 15) / 16, rows = (s->parameters.encodeHeight + 15) / 16;
    Bits bits = {0};
    put(&bits, 2, 3);
    hevc_nal(out, 35, &bits); /* what was not asked for, and has no place in an access unit */
    if (is_idr) hevc_sets(s, out);
    for (uint32_t block = 0; block < columns * rows; block++) {
        put(&bits, block == 0, 1);
        if (is_idr) put(&bits, 0, 1);
        ue(&bits, 0);
        if (block) put(&bits, block, 32 - __builtin_clz(columns * rows - 1));
        ue(&bits, 2);
        if (!is_idr) { put(&bits, picture.place, 8); put(&bits, 0, 1); ue(&bits, 0); ue(&bits, 0); }
        se(&bits, 0);
        put(&bits, 1, 1);
        while (bits.used) put(&bits, 0, 1);
        put(&bits, 0x10D, 9); /* one block, not divided, its samples as they are */
        samples(&bits, s, picture.input, block % columns, block / columns);
        put(&bits, 0xFE, 8); /* the end, but for the last bit, which is that of the unit */
        hevc_nal(out, is_idr ? 20 : type == NV_ENC_PIC_TYPE_B ? 0 : 1, &bits);
    }
}

static void parameter_sets(const Session *s, Output *out) {
    if (is_hevc(s)) hevc_sets(s, out); else avc_sets(s, out);
}

/* Codes a picture into the oldest buffer that waits for one. */
static void code(Session *s, Picture picture, NV_ENC_PIC_TYPE type) {
    Output *out = NULL;
    for (int i = 0; i < s->queued && !out; i++) if (!s->queue[i]->is_filled) out = s->queue[i];
    out->len = 0;
    out->is_filled = 1; out->frame = picture.frame; out->type = type; out->input = picture.input;
    if (is_hevc(s)) code_hevc(s, out, picture, type); else code_avc(s, out, picture, type);
}

/* Codes what is held back: the last as a P frame, those before it as B frames. */
static void code_held(Session *s) {
    if (!s->held) return;
    code(s, s->pending[s->held - 1], NV_ENC_PIC_TYPE_P);
    for (int i = 0; i + 1 < s->held; i++) code(s, s->pending[i], NV_ENC_PIC_TYPE_B);
    s->held = 0;
}

/* ---- the interface ---- */

static NVENCSTATUS open_session(NV_ENC_OPEN_ENCODE_SESSION_EX_PARAMS *p, void **session) {
    const char *told = scenario("open", "0");
    record("open apiVersion=%#x", p->apiVersion);
    if (!strcmp(told, "crash")) raise(SIGSEGV);
    if (!strcmp(told, "hang")) for (;;) pause();
    VERSION(p, NV_ENC_OPEN_ENCODE_SESSION_EX_PARAMS_VER);
    REQUIRE(p->deviceType == NV_ENC_DEVICE_TYPE_CUDA, NV_ENC_ERR_INVALID_PARAM);
    REQUIRE(p->apiVersion == NVENCAPI_VERSION, NV_ENC_ERR_INVALID_VERSION);
    REQUIRE(!p->reserved, NV_ENC_ERR_INVALID_PARAM);
    ZERO(p->reserved1); ZERO(p->reserved2);
    REQUIRE(p->device && p->device == current_context(), NV_ENC_ERR_INVALID_DEVICE);
    char key[32];
    snprintf(key, sizeof key, "open%d", *(int *)p->device);
    long status = scenario_number(key, strtol(told, NULL, 0));
    /* What the chip leaves behind when it refuses is no session. */
    *session = (void *)0x5AD;
    if (status) return status;
    if (sessions >= scenario_number("sessionsMax", 100)) return NV_ENC_ERR_OUT_OF_MEMORY;
    sessions++;
    Session *s = calloc(1, sizeof *s);
    s->magic = MAGIC;
    s->context = p->device;
    *session = s;
    record("opened");
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS guid_count(void *session, uint32_t *count) {
    SESSION(session);
    *count = scenario_number("codecs", 2);
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS guids(void *session, GUID *array, uint32_t len, uint32_t *count) {
    SESSION(session);
    const GUID all[2] = {NV_ENC_CODEC_HEVC_GUID, NV_ENC_CODEC_H264_GUID};
    *count = scenario_number("codecs", 2);
    REQUIRE(len >= *count, NV_ENC_ERR_INVALID_PARAM);
    memcpy(array, all, *count * sizeof *array);
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS caps(void *session, GUID codec, NV_ENC_CAPS_PARAM *p, int *value) {
    SESSION(session);
    VERSION(p, NV_ENC_CAPS_PARAM_VER);
    ZERO(p->reserved);
    REQUIRE(is(&codec, &NV_ENC_CODEC_H264_GUID) || is(&codec, &NV_ENC_CODEC_HEVC_GUID), NV_ENC_ERR_INVALID_PARAM);
    int usual;
    switch (p->capsToQuery) {
    case NV_ENC_CAPS_NUM_MAX_BFRAMES: usual = 4; break;
    case NV_ENC_CAPS_SUPPORTED_RATECONTROL_MODES: usual = 63; break;
    case NV_ENC_CAPS_WIDTH_MIN: usual = 145; break;
    case NV_ENC_CAPS_HEIGHT_MIN: usual = 49; break;
    case NV_ENC_CAPS_WIDTH_MAX: case NV_ENC_CAPS_HEIGHT_MAX: usual = 4096; break;
    default: usual = 1;
    }
    char key[16];
    snprintf(key, sizeof key, "cap%d", p->capsToQuery);
    *value = scenario_number(key, usual);
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS preset_config(void *session, GUID codec, GUID preset, NV_ENC_TUNING_INFO tuning, NV_ENC_PRESET_CONFIG *p) {
    static const GUID *presets[] = {
        &NV_ENC_PRESET_P1_GUID, &NV_ENC_PRESET_P2_GUID, &NV_ENC_PRESET_P3_GUID, &NV_ENC_PRESET_P4_GUID,
        &NV_ENC_PRESET_P5_GUID, &NV_ENC_PRESET_P6_GUID, &NV_ENC_PRESET_P7_GUID,
    };
    SESSION(session);
    VERSION(p, NV_ENC_PRESET_CONFIG_VER);
    VERSION(&p->presetCfg, NV_ENC_CONFIG_VER);
    ZERO(p->reserved1); ZERO(p->reserved2);
    REQUIRE(is(&codec, &NV_ENC_CODEC_H264_GUID) || is(&codec, &NV_ENC_CODEC_HEVC_GUID), NV_ENC_ERR_INVALID_PARAM);
    int known = 0;
    for (int i = 0; i < 7; i++) if (is(&preset, presets[i])) known = i + 1;
    REQUIRE(known, NV_ENC_ERR_INVALID_PARAM);
    REQUIRE(tuning == NV_ENC_TUNING_INFO_HIGH_QUALITY || tuning == NV_ENC_TUNING_INFO_LOW_LATENCY, NV_ENC_ERR_INVALID_PARAM);
    record("preset p%d tuning=%d", known, tuning);
    /* As no one wants it: whoever takes it as it is, is found. */
    NV_ENC_CONFIG *c = &p->presetCfg;
    c->gopLength = 30;
    c->frameIntervalP = 4;
    c->rcParams.rateControlMode = NV_ENC_PARAMS_RC_VBR;
    c->rcParams.enableLookahead = 1;
    c->rcParams.lookaheadDepth = 20;
    c->rcParams.aqStrength = 15;
    if (is(&codec, &NV_ENC_CODEC_HEVC_GUID)) {
        NV_ENC_CONFIG_HEVC *hevc = &c->encodeCodecConfig.hevcConfig;
        hevc->idrPeriod = 30;
        hevc->repeatSPSPPS = hevc->outputAUD = hevc->outputBufferingPeriodSEI = hevc->enableFillerDataInsertion = 1;
        hevc->useBFramesAsRef = NV_ENC_BFRAME_REF_MODE_MIDDLE;
        hevc->chromaFormatIDC = 1;
        return NV_ENC_SUCCESS;
    }
    NV_ENC_CONFIG_H264 *h264 = &c->encodeCodecConfig.h264Config;
    h264->idrPeriod = 30;
    h264->repeatSPSPPS = h264->outputAUD = h264->outputBufferingPeriodSEI = h264->enableFillerDataInsertion = 1;
    h264->useBFramesAsRef = NV_ENC_BFRAME_REF_MODE_MIDDLE;
    h264->chromaFormatIDC = 1;
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS check_avc(const NV_ENC_CONFIG *c) {
    const NV_ENC_CONFIG_H264 *h264 = &c->encodeCodecConfig.h264Config;
    REQUIRE(is(&c->profileGUID, &NV_ENC_H264_PROFILE_HIGH_GUID), NV_ENC_ERR_INVALID_PARAM);
    REQUIRE(!h264->reservedBitFields && h264->chromaFormatIDC == 1, NV_ENC_ERR_INVALID_PARAM);
    REQUIRE(!h264->numRefL0 || scenario_number("cap47", 1), NV_ENC_ERR_UNSUPPORTED_PARAM);
    REQUIRE(h264->idrPeriod >= c->gopLength, NV_ENC_ERR_INVALID_PARAM);
    ZERO(h264->reserved1); ZERO(h264->reserved2); ZERO(h264->h264VUIParameters.reserved);
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS check_hevc(const NV_ENC_CONFIG *c) {
    const NV_ENC_CONFIG_HEVC *hevc = &c->encodeCodecConfig.hevcConfig;
    REQUIRE(is(&c->profileGUID, &NV_ENC_HEVC_PROFILE_MAIN_GUID), NV_ENC_ERR_INVALID_PARAM);
    REQUIRE(!hevc->reserved && hevc->chromaFormatIDC == 1 && !hevc->pixelBitDepthMinus8, NV_ENC_ERR_INVALID_PARAM);
    REQUIRE(hevc->idrPeriod >= c->gopLength && !hevc->useBFramesAsRef, NV_ENC_ERR_INVALID_PARAM);
    REQUIRE(hevc->hevcVUIParameters.videoSignalTypePresentFlag, NV_ENC_ERR_INVALID_PARAM);
    REQUIRE(!hevc->repeatSPSPPS && !hevc->outputAUD && !hevc->outputBufferingPeriodSEI, NV_ENC_ERR_INVALID_PARAM);
    REQUIRE(!hevc->enableFillerDataInsertion && hevc->sliceMode == 3 && hevc->sliceModeData == 1, NV_ENC_ERR_INVALID_PARAM);
    ZERO(hevc->reserved1); ZERO(hevc->reserved2); ZERO(hevc->hevcVUIParameters.reserved);
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS check_config(const GUID *codec, const NV_ENC_CONFIG *c) {
    const NV_ENC_RC_PARAMS *rc = &c->rcParams;
    REQUIRE(c->frameIntervalP >= 1 && c->frameIntervalP <= 1 + scenario_number("cap0", 4), NV_ENC_ERR_UNSUPPORTED_PARAM);
    REQUIRE(c->frameFieldMode == NV_ENC_PARAMS_FRAME_FIELD_MODE_FRAME, NV_ENC_ERR_UNSUPPORTED_PARAM);
    REQUIRE(rc->rateControlMode == NV_ENC_PARAMS_RC_CBR, NV_ENC_ERR_UNSUPPORTED_PARAM);
    REQUIRE(rc->averageBitRate && rc->averageBitRate == rc->maxBitRate, NV_ENC_ERR_INVALID_PARAM);
    REQUIRE(!rc->vbvBufferSize || scenario_number("cap26", 1), NV_ENC_ERR_UNSUPPORTED_PARAM);
    REQUIRE(!rc->enableTemporalAQ || scenario_number("cap38", 1), NV_ENC_ERR_UNSUPPORTED_PARAM);
    ZERO(rc->reserved); ZERO(rc->reserved1);
    REQUIRE(!rc->reservedBitField1 && !rc->reservedBitFields && !rc->reserved2, NV_ENC_ERR_INVALID_PARAM);
    ZERO(c->reserved); ZERO(c->reserved2);
    return is(codec, &NV_ENC_CODEC_HEVC_GUID) ? check_hevc(c) : check_avc(c);
}

static NVENCSTATUS check_parameters(const NV_ENC_INITIALIZE_PARAMS *p) {
    VERSION(p, NV_ENC_INITIALIZE_PARAMS_VER);
    REQUIRE(is(&p->encodeGUID, &NV_ENC_CODEC_H264_GUID) || is(&p->encodeGUID, &NV_ENC_CODEC_HEVC_GUID), NV_ENC_ERR_INVALID_PARAM);
    REQUIRE(p->encodeWidth >= 145 && p->encodeWidth <= 4096 && p->encodeWidth % 2 == 0, NV_ENC_ERR_INVALID_PARAM);
    REQUIRE(p->encodeHeight >= 49 && p->encodeHeight <= 4096 && p->encodeHeight % 2 == 0, NV_ENC_ERR_INVALID_PARAM);
    REQUIRE(p->darWidth == p->encodeWidth && p->darHeight == p->encodeHeight, NV_ENC_ERR_INVALID_PARAM);
    REQUIRE(p->frameRateNum && p->frameRateDen, NV_ENC_ERR_INVALID_PARAM);
    REQUIRE(!p->enableEncodeAsync, NV_ENC_ERR_UNSUPPORTED_PARAM); /* there is none on Linux */
    REQUIRE(p->enablePTD == 1, NV_ENC_ERR_INVALID_PARAM);
    REQUIRE(!p->reservedBitFields && !p->privData && !p->privDataSize && !p->bufferFormat, NV_ENC_ERR_INVALID_PARAM);
    ZERO(p->maxMEHintCountsPerBlock); ZERO(p->reserved); ZERO(p->reserved2);
    REQUIRE(p->encodeConfig, NV_ENC_ERR_INVALID_PTR);
    VERSION(p->encodeConfig, NV_ENC_CONFIG_VER);
    return check_config(&p->encodeGUID, p->encodeConfig);
}

static void record_config(const char *call, const NV_ENC_INITIALIZE_PARAMS *p, const NV_ENC_CONFIG *c) {
    const NV_ENC_CONFIG_H264 *h264 = &c->encodeCodecConfig.h264Config;
    record("%s %ux%u rate=%u/%u tuning=%d bitrate=%u buffer=%u gop=%d idr=%d interval=%d level=%u references=%u,%u "
           "aq=%d/%d,%d lookahead=%d,%d passes=%d cabac=%d slices=%u,%u repeats=%d aud=%d sei=%d filler=%d bref=%d",
           call, p->encodeWidth, p->encodeHeight, p->frameRateNum, p->frameRateDen, p->tuningInfo,
           c->rcParams.averageBitRate, c->rcParams.vbvBufferSize, (int)c->gopLength, (int)h264->idrPeriod,
           c->frameIntervalP, h264->level, h264->maxNumRefFrames, h264->numRefL0, c->rcParams.enableAQ,
           c->rcParams.aqStrength, c->rcParams.enableTemporalAQ, c->rcParams.enableLookahead, c->rcParams.lookaheadDepth,
           c->rcParams.multiPass, h264->entropyCodingMode == NV_ENC_H264_ENTROPY_CODING_MODE_CABAC, h264->sliceMode,
           h264->sliceModeData, h264->repeatSPSPPS, h264->outputAUD, h264->outputBufferingPeriodSEI,
           h264->enableFillerDataInsertion, h264->useBFramesAsRef);
}

static NVENCSTATUS initialise(void *session, NV_ENC_INITIALIZE_PARAMS *p) {
    SESSION(session);
    REQUIRE(!s->is_initialised, NV_ENC_ERR_INVALID_CALL);
    NVENCSTATUS status = check_parameters(p);
    if (status) return status;
    record_config("initialise", p, p->encodeConfig);
    s->parameters = *p;
    s->config = *p->encodeConfig;
    s->is_initialised = 1;
    return scenario_number("initialise", NV_ENC_SUCCESS);
}

static NVENCSTATUS reconfigure(void *session, NV_ENC_RECONFIGURE_PARAMS *p) {
    INITIALISED(session);
    VERSION(p, NV_ENC_RECONFIGURE_PARAMS_VER);
    REQUIRE(scenario_number("cap20", 1), NV_ENC_ERR_UNSUPPORTED_PARAM);
    REQUIRE(!p->reserved, NV_ENC_ERR_INVALID_PARAM);
    NVENCSTATUS status = check_parameters(&p->reInitEncodeParams);
    if (status) return status;
    REQUIRE(p->reInitEncodeParams.encodeWidth == s->parameters.encodeWidth, NV_ENC_ERR_INVALID_PARAM);
    REQUIRE(p->reInitEncodeParams.encodeHeight == s->parameters.encodeHeight, NV_ENC_ERR_INVALID_PARAM);
    REQUIRE(p->reInitEncodeParams.encodeConfig->frameIntervalP == s->config.frameIntervalP, NV_ENC_ERR_INVALID_PARAM);
    s->config = *p->reInitEncodeParams.encodeConfig;
    record("reconfigure reset=%d idr=%d bitrate=%u buffer=%u", p->resetEncoder, p->forceIDR,
           s->config.rcParams.averageBitRate, s->config.rcParams.vbvBufferSize);
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS create_input(void *session, NV_ENC_CREATE_INPUT_BUFFER *p) {
    INITIALISED(session);
    VERSION(p, NV_ENC_CREATE_INPUT_BUFFER_VER);
    REQUIRE(p->width == s->parameters.encodeWidth && p->height == s->parameters.encodeHeight, NV_ENC_ERR_INVALID_PARAM);
    REQUIRE(p->bufferFmt == NV_ENC_BUFFER_FORMAT_NV12, NV_ENC_ERR_INVALID_PARAM);
    REQUIRE(!p->memoryHeap && !p->reserved && !p->pSysMemBuffer, NV_ENC_ERR_INVALID_PARAM);
    ZERO(p->reserved1); ZERO(p->reserved2);
    for (int i = 0; i < BUFFERS_MAX; i++) if (!s->inputs[i]) {
        Input *input = s->inputs[i] = calloc(1, sizeof *input);
        input->pitch = (p->width + 63) / 64 * 64 + 64 * (i + 1); /* another one for each */
        input->len = (size_t)input->pitch * p->height / 2 * 3;
        input->memory = malloc(input->len + 64);
        p->inputBuffer = input;
        return NV_ENC_SUCCESS;
    }
    return NV_ENC_ERR_OUT_OF_MEMORY;
}

static int index_of(void **array, void *buffer) {
    for (int i = 0; i < BUFFERS_MAX; i++) if (buffer && array[i] == buffer) return i;
    return -1;
}

static NVENCSTATUS destroy_input(void *session, NV_ENC_INPUT_PTR buffer) {
    INITIALISED(session);
    int at = index_of((void **)s->inputs, buffer);
    REQUIRE(at >= 0, NV_ENC_ERR_INVALID_PARAM);
    REQUIRE(!s->inputs[at]->is_locked && !s->inputs[at]->is_used, NV_ENC_ERR_INVALID_CALL);
    free(s->inputs[at]->memory);
    free(s->inputs[at]);
    s->inputs[at] = NULL;
    record("destroy input");
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS create_output(void *session, NV_ENC_CREATE_BITSTREAM_BUFFER *p) {
    INITIALISED(session);
    VERSION(p, NV_ENC_CREATE_BITSTREAM_BUFFER_VER);
    REQUIRE(!p->size && !p->memoryHeap && !p->reserved && !p->bitstreamBufferPtr, NV_ENC_ERR_INVALID_PARAM);
    ZERO(p->reserved1); ZERO(p->reserved2);
    for (int i = 0; i < BUFFERS_MAX; i++) if (!s->outputs[i]) {
        p->bitstreamBuffer = s->outputs[i] = calloc(1, sizeof(Output));
        return NV_ENC_SUCCESS;
    }
    return NV_ENC_ERR_OUT_OF_MEMORY;
}

static NVENCSTATUS destroy_output(void *session, NV_ENC_OUTPUT_PTR buffer) {
    INITIALISED(session);
    int at = index_of((void **)s->outputs, buffer);
    REQUIRE(at >= 0, NV_ENC_ERR_INVALID_PARAM);
    REQUIRE(!s->outputs[at]->is_locked && !s->outputs[at]->is_queued, NV_ENC_ERR_INVALID_CALL);
    free(s->outputs[at]->data);
    free(s->outputs[at]);
    s->outputs[at] = NULL;
    record("destroy output");
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS lock_input(void *session, NV_ENC_LOCK_INPUT_BUFFER *p) {
    INITIALISED(session);
    VERSION(p, NV_ENC_LOCK_INPUT_BUFFER_VER);
    REQUIRE(!p->doNotWait && !p->reservedBitFields, NV_ENC_ERR_INVALID_PARAM);
    ZERO(p->reserved1); ZERO(p->reserved2);
    int at = index_of((void **)s->inputs, p->inputBuffer);
    REQUIRE(at >= 0, NV_ENC_ERR_INVALID_PARAM);
    Input *input = s->inputs[at];
    REQUIRE(!input->is_locked && !input->is_used, NV_ENC_ERR_LOCK_BUSY);
    memset(input->memory, GUARD, input->len + 64);
    input->is_locked = 1;
    p->bufferDataPtr = input->memory;
    p->pitch = scenario_number("pitch", input->pitch);
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS unlock_input(void *session, NV_ENC_INPUT_PTR buffer) {
    INITIALISED(session);
    int at = index_of((void **)s->inputs, buffer);
    REQUIRE(at >= 0 && s->inputs[at]->is_locked, NV_ENC_ERR_INVALID_CALL);
    Input *input = s->inputs[at];
    input->is_locked = 0;
    int is_outside_untouched = 1;
    for (size_t i = 0; i < input->len + 64; i++) {
        int is_picture = i < input->len && i % input->pitch < s->parameters.encodeWidth;
        is_outside_untouched &= is_picture || input->memory[i] == GUARD;
    }
    REQUIRE(is_outside_untouched, NV_ENC_ERR_GENERIC);
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS end_stream(Session *s, NV_ENC_PIC_PARAMS *p) {
    NV_ENC_PIC_PARAMS end = {.version = NV_ENC_PIC_PARAMS_VER, .encodePicFlags = NV_ENC_PIC_FLAG_EOS};
    REQUIRE(!memcmp(p, &end, sizeof end), NV_ENC_ERR_INVALID_PARAM);
    code_held(s);
    s->is_ended = 1;
    record("end of stream");
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS encode(void *session, NV_ENC_PIC_PARAMS *p) {
    INITIALISED(session);
    VERSION(p, NV_ENC_PIC_PARAMS_VER);
    REQUIRE(!s->is_ended, NV_ENC_ERR_INVALID_CALL);
    if (p->encodePicFlags & NV_ENC_PIC_FLAG_EOS) return end_stream(s, p);
    REQUIRE((p->encodePicFlags & ~(NV_ENC_PIC_FLAG_FORCEIDR | NV_ENC_PIC_FLAG_OUTPUT_SPSPPS)) == 0, NV_ENC_ERR_INVALID_PARAM);
    REQUIRE(p->inputWidth == s->parameters.encodeWidth && p->inputHeight == s->parameters.encodeHeight, NV_ENC_ERR_INVALID_PARAM);
    REQUIRE(p->bufferFmt == NV_ENC_BUFFER_FORMAT_NV12, NV_ENC_ERR_INVALID_PARAM);
    REQUIRE(p->pictureStruct == NV_ENC_PIC_STRUCT_FRAME, NV_ENC_ERR_INVALID_PARAM);
    REQUIRE(!p->completionEvent && !p->qpDeltaMap && !p->qpDeltaMapSize && !p->alphaBuffer, NV_ENC_ERR_INVALID_PARAM);
    REQUIRE(!p->meExternalHints && !p->reservedBitFields, NV_ENC_ERR_INVALID_PARAM);
    REQUIRE(is_zero(&p->codecPicParams, sizeof p->codecPicParams), NV_ENC_ERR_INVALID_PARAM);
    ZERO(p->meHintCountsPerBlock); ZERO(p->meHintRefPicDist);
    ZERO(p->reserved1); ZERO(p->reserved2); ZERO(p->reserved3); ZERO(p->reserved4);
    int in = index_of((void **)s->inputs, p->inputBuffer), out = index_of((void **)s->outputs, p->outputBitstream);
    REQUIRE(in >= 0 && out >= 0, NV_ENC_ERR_INVALID_PARAM);
    REQUIRE(!s->inputs[in]->is_locked && !s->inputs[in]->is_used, NV_ENC_ERR_INVALID_CALL);
    REQUIRE(!s->outputs[out]->is_locked && !s->outputs[out]->is_queued, NV_ENC_ERR_INVALID_CALL);
    REQUIRE(p->inputPitch == s->inputs[in]->pitch, NV_ENC_ERR_INVALID_PARAM);
    if ((long)s->submitted++ == scenario_number("failAfter", -1)) return NV_ENC_ERR_GENERIC;
    if ((long)p->inputTimeStamp == scenario_number("failAt", -1)) {
        snprintf(s->said, sizeof s->said, "told to fail at frame %d", (int)p->inputTimeStamp);
        return NV_ENC_ERR_GENERIC;
    }
    int is_idr = !s->has_encoded || p->encodePicFlags & NV_ENC_PIC_FLAG_FORCEIDR;
    if (is_idr && s->has_encoded && scenario_number("ignoreIdr", 0)) is_idr = 0;
    record("encode %d idr=%d", (int)p->inputTimeStamp, is_idr);
    s->has_encoded = 1;
    s->inputs[in]->is_used = 1;
    s->outputs[out]->is_queued = 1;
    s->outputs[out]->is_filled = 0;
    s->queue[s->queued++] = s->outputs[out];
    Picture picture = {s->inputs[in], p->inputTimeStamp, ++s->place};
    if (is_idr) {
        code_held(s);
        s->place = picture.place = 0;
        code(s, picture, NV_ENC_PIC_TYPE_IDR);
        return NV_ENC_SUCCESS;
    }
    s->pending[s->held++] = picture;
    if (s->held < s->config.frameIntervalP) return NV_ENC_ERR_NEED_MORE_INPUT;
    code_held(s);
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS lock_output(void *session, NV_ENC_LOCK_BITSTREAM *p) {
    INITIALISED(session);
    VERSION(p, NV_ENC_LOCK_BITSTREAM_VER);
    REQUIRE(!p->doNotWait && !p->ltrFrame && !p->getRCStats && !p->reservedBitFields && !p->sliceOffsets, NV_ENC_ERR_INVALID_PARAM);
    ZERO(p->reserved); ZERO(p->reserved1); ZERO(p->reserved2);
    int at = index_of((void **)s->outputs, p->outputBitstream);
    REQUIRE(at >= 0 && s->outputs[at]->is_queued, NV_ENC_ERR_INVALID_PARAM);
    Output *out = s->outputs[at];
    REQUIRE(out->is_filled, NV_ENC_ERR_INVALID_CALL); /* locked before success */
    REQUIRE(out == s->queue[0], NV_ENC_ERR_INVALID_CALL); /* in the order they were given */
    out->is_locked = 1;
    out->input->is_used = 0;
    p->bitstreamBufferPtr = out->data;
    p->bitstreamSizeInBytes = out->len;
    p->outputTimeStamp = out->frame;
    p->outputDuration = 1;
    p->pictureType = out->type;
    p->pictureStruct = NV_ENC_PIC_STRUCT_FRAME;
    p->numSlices = 1;
    record("lock %d type=%d", (int)out->frame, out->type);
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS unlock_output(void *session, NV_ENC_OUTPUT_PTR buffer) {
    INITIALISED(session);
    int at = index_of((void **)s->outputs, buffer);
    REQUIRE(at >= 0 && s->outputs[at]->is_locked, NV_ENC_ERR_INVALID_CALL);
    s->outputs[at]->is_locked = s->outputs[at]->is_queued = 0;
    /* Whoever reads it after this finds nothing. */
    memset(s->outputs[at]->data, GUARD, s->outputs[at]->len);
    memmove(s->queue, s->queue + 1, --s->queued * sizeof *s->queue);
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS sequence(void *session, NV_ENC_SEQUENCE_PARAM_PAYLOAD *p) {
    INITIALISED(session);
    VERSION(p, NV_ENC_SEQUENCE_PARAM_PAYLOAD_VER);
    REQUIRE(p->inBufferSize == NV_MAX_SEQ_HDR_LEN && !p->spsId && !p->ppsId, NV_ENC_ERR_INVALID_PARAM);
    REQUIRE(p->spsppsBuffer && p->outSPSPPSPayloadSize, NV_ENC_ERR_INVALID_PTR);
    ZERO(p->reserved); ZERO(p->reserved2);
    Output sets = {0};
    parameter_sets(s, &sets);
    memcpy(p->spsppsBuffer, sets.data, sets.len);
    *p->outSPSPPSPayloadSize = sets.len;
    free(sets.data);
    return NV_ENC_SUCCESS;
}

static NVENCSTATUS destroy(void *session) {
    SESSION(session);
    for (int i = 0; i < BUFFERS_MAX; i++) REQUIRE(!s->inputs[i] && !s->outputs[i], NV_ENC_ERR_INVALID_CALL);
    REQUIRE(s->is_ended || !s->has_encoded, NV_ENC_ERR_INVALID_CALL);
    s->magic = 0;
    free(s);
    sessions--;
    record("destroy");
    return NV_ENC_SUCCESS;
}

static const char *last_error(void *session) {
    Session *s = session;
    return s->said;
}

EXPORT NVENCSTATUS NvEncodeAPIGetMaxSupportedVersion(uint32_t *version) {
    *version = scenario_number("version", 12 << 4 | 2);
    return NV_ENC_SUCCESS;
}

EXPORT NVENCSTATUS NvEncodeAPICreateInstance(NV_ENCODE_API_FUNCTION_LIST *list) {
    VERSION(list, NV_ENCODE_API_FUNCTION_LIST_VER);
    REQUIRE(is_zero(&list->reserved, sizeof *list - sizeof list->version), NV_ENC_ERR_INVALID_PARAM);
    list->nvEncOpenEncodeSessionEx = open_session;
    list->nvEncGetEncodeGUIDCount = guid_count;
    list->nvEncGetEncodeGUIDs = guids;
    list->nvEncGetEncodeCaps = caps;
    list->nvEncGetEncodePresetConfigEx = preset_config;
    list->nvEncInitializeEncoder = initialise;
    list->nvEncReconfigureEncoder = reconfigure;
    list->nvEncCreateInputBuffer = create_input;
    list->nvEncDestroyInputBuffer = destroy_input;
    list->nvEncCreateBitstreamBuffer = create_output;
    list->nvEncDestroyBitstreamBuffer = destroy_output;
    list->nvEncLockInputBuffer = lock_input;
    list->nvEncUnlockInputBuffer = unlock_input;
    list->nvEncEncodePicture = encode;
    list->nvEncLockBitstream = lock_output;
    list->nvEncUnlockBitstream = unlock_output;
    list->nvEncGetSequenceParams = sequence;
    list->nvEncDestroyEncoder = destroy;
    if (!scenario_number("lacksFunction", 0)) list->nvEncGetLastErrorString = last_error;
    return NV_ENC_SUCCESS;
}

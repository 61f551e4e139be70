/*
 * libx264 behind functions and structures of our own, for `x264.rs`.
 *
 * It is compiled against the machine's own x264.h, so that the layout of `x264_param_t`, which changes from one version of
 * the library to the next, is known to the C compiler alone. What crosses to Rust is flat: integers, pointers to bytes, and
 * one structure of 32-bit integers that is declared on both sides.
 *
 * Contract: one thread at a time uses an encoder; pictures and flags are read during the call that is given them; bytes
 * that are lent stay until the next call. The library's header is `x264.h`, which documents each parameter named here.
 */
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <x264.h>

/* `Settings` in x264.rs. */
struct sm_x264_settings {
    int32_t width;
    int32_t height;
    int32_t rate_num;
    int32_t rate_den;
    int32_t bitrate_kbps;
    int32_t buffer_kbit;
    int32_t level_idc;
    int32_t threads;
    int32_t quantiser_min;
    int32_t is_full_range;
    int32_t primaries;
    int32_t transfer;
    int32_t matrix;
    int32_t chroma_location;
};

typedef void (*sm_x264_log)(int32_t level, const char *message);

struct sm_x264 {
    x264_t *library;
    x264_param_t parameters;
    sm_x264_log log;
};

static void write_log(void *private_data, int level, const char *format, va_list arguments)
{
    const struct sm_x264 *encoder = private_data;
    char message[512];
    vsnprintf(message, sizeof(message), format, arguments);
    encoder->log(level, message);
}

/* What every stream has, whatever its settings. */
static void set_stream(x264_param_t *p)
{
    /* Slices behind their lengths and nothing else: parameter sets stand in the sequence header. */
    p->b_annexb = 0;
    p->b_repeat_headers = 0;
    p->b_aud = 0;
    p->i_nal_hrd = X264_NAL_HRD_NONE;
    p->b_pic_struct = 0;
    /* Keyframes are where the caller asks for them. */
    p->i_keyint_max = X264_KEYINT_MAX_INFINITE;
    p->i_scenecut_threshold = 0;
    p->b_open_gop = 0;
    p->b_intra_refresh = 0;
    /* Each picture refers to the one before it alone, so that repeats can be put between any two. Weights of a second kind
     * would list that one twice. */
    p->i_bframe = 0;
    p->i_frame_reference = 1;
    if (p->analyse.i_weighted_pred > X264_WEIGHTP_SIMPLE)
        p->analyse.i_weighted_pred = X264_WEIGHTP_SIMPLE;
    /* Without it the fastest preset is of another profile. */
    p->analyse.b_transform_8x8 = 1;
    p->analyse.b_mb_info = 1;
    p->analyse.b_psnr = 0;
    p->analyse.b_ssim = 0;
    p->b_vfr_input = 0;
}

static void set_rate(x264_param_t *p, int32_t bitrate_kbps, int32_t buffer_kbit)
{
    p->rc.i_rc_method = X264_RC_ABR;
    p->rc.i_bitrate = bitrate_kbps;
    p->rc.i_vbv_max_bitrate = bitrate_kbps;
    p->rc.i_vbv_buffer_size = buffer_kbit;
    p->rc.b_filler = 0;
}

static void set_picture(x264_param_t *p, const struct sm_x264_settings *settings)
{
    p->i_csp = X264_CSP_NV12;
    p->i_width = settings->width;
    p->i_height = settings->height;
    p->i_fps_num = p->i_timebase_den = (uint32_t)settings->rate_num;
    p->i_fps_den = p->i_timebase_num = (uint32_t)settings->rate_den;
    p->i_level_idc = settings->level_idc;
    p->i_threads = settings->threads;
    p->rc.i_qp_min = settings->quantiser_min;
    p->vui.i_sar_width = p->vui.i_sar_height = 1;
    p->vui.b_fullrange = settings->is_full_range;
    p->vui.i_colorprim = settings->primaries;
    p->vui.i_transfer = settings->transfer;
    p->vui.i_colmatrix = settings->matrix;
    p->vui.i_chroma_loc = settings->chroma_location;
}

/* For a test: both sides mean the same structure. */
int32_t sm_x264_settings_len(void)
{
    return (int32_t)sizeof(struct sm_x264_settings);
}

void sm_x264_close(struct sm_x264 *encoder)
{
    if (encoder->library)
        x264_encoder_close(encoder->library);
    free(encoder);
}

/* Null where the library refuses; its reason is in the log. */
struct sm_x264 *sm_x264_open(const struct sm_x264_settings *settings, const char *preset, sm_x264_log log)
{
    struct sm_x264 *encoder = calloc(1, sizeof(*encoder));
    if (!encoder)
        return NULL;
    encoder->log = log;
    x264_param_t *p = &encoder->parameters;
    if (x264_param_default_preset(p, preset, "zerolatency") < 0) {
        free(encoder);
        return NULL;
    }
    p->pf_log = write_log;
    p->p_log_private = encoder;
    p->i_log_level = X264_LOG_INFO;
    set_stream(p);
    set_picture(p, settings);
    set_rate(p, settings->bitrate_kbps, settings->buffer_kbit);
    if (x264_param_apply_profile(p, "high") < 0 || !(encoder->library = x264_encoder_open(p))) {
        sm_x264_close(encoder);
        return NULL;
    }
    x264_encoder_parameters(encoder->library, p);
    return encoder;
}

/* SPS, PPS and more, each behind its length; how many bytes, or less than none. */
int32_t sm_x264_headers(struct sm_x264 *encoder, const uint8_t **bytes)
{
    x264_nal_t *nals;
    int count;
    int len = x264_encoder_headers(encoder->library, &nals, &count);
    *bytes = len > 0 && count > 0 ? nals[0].p_payload : NULL;
    return len;
}

/*
 * Codes one picture; how many bytes its slices have, each behind its length, or less than none. `constant`, where it is not
 * null, has a byte for each macroblock, 1 where it is what it was in the picture before.
 */
int32_t sm_x264_encode(struct sm_x264 *encoder, const uint8_t *luma, const uint8_t *chroma, int32_t pitch, int64_t number,
                       int32_t is_idr, const uint8_t *constant, const uint8_t **bytes, int32_t *is_key)
{
    x264_picture_t in, out;
    x264_nal_t *nals;
    int count;
    x264_picture_init(&in);
    in.img.i_csp = X264_CSP_NV12;
    in.img.i_plane = 2;
    in.img.plane[0] = (uint8_t *)luma;
    in.img.plane[1] = (uint8_t *)chroma;
    in.img.i_stride[0] = in.img.i_stride[1] = pitch;
    in.i_pts = number;
    in.i_type = is_idr ? X264_TYPE_IDR : X264_TYPE_P;
    /* Read, not written: `b_mb_info_update` is off. X264_MBINFO_CONSTANT is 1. */
    in.prop.mb_info = (uint8_t *)constant;
    int len = x264_encoder_encode(encoder->library, &nals, &count, &in, &out);
    *bytes = len > 0 && count > 0 ? nals[0].p_payload : NULL;
    *is_key = len > 0 && out.b_keyframe;
    return len;
}

/* From the next picture on; less than none where it is refused. */
int32_t sm_x264_set_rate(struct sm_x264 *encoder, int32_t bitrate_kbps, int32_t buffer_kbit)
{
    set_rate(&encoder->parameters, bitrate_kbps, buffer_kbit);
    return x264_encoder_reconfig(encoder->library, &encoder->parameters);
}

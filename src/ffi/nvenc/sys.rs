//! The part of NVIDIA's encoder interface that is used here, as its C header has it: names, order and sizes are the
//! header's, so that its documentation is this module's, too.
//!
//! Version 11.1 is spoken: drivers from 2021 on take it, and every later one, since they keep their binary interface.
//! AV1 came with 12.0 and is not in it. A struct is one row of a table from which a test makes a C program that includes
//! the real header and compares size, alignment, each offset, each bit, each constant (`layout_tests.rs`).
//!
//! Written after `nvEncodeAPI.h` of the Video Codec SDK 11.1, whose notice is:
//!
//! > Copyright (c) 2010-2021 NVIDIA Corporation
//! >
//! > Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
//! > documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
//! > rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the software, and to permit
//! > persons to whom the software is furnished to do so, subject to the following conditions:
//! >
//! > The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
//! > Software.
//! >
//! > THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
//! > WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
//! > COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
//! > OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
#![expect(clippy::upper_case_acronyms, non_snake_case, non_upper_case_globals, reason = "the names are the header's")]

#[cfg(test)]
use std::mem::offset_of;
use std::{
    ffi::{c_char, c_void},
    mem::zeroed,
};

/// The interface spoken: `NVENCAPI_MAJOR_VERSION` and `NVENCAPI_MINOR_VERSION`.
pub(super) const MAJOR: u32 = 11;
pub(super) const MINOR: u32 = 1;
pub(super) const NVENCAPI_VERSION: u32 = MAJOR | MINOR << 24;

/// `NVENCAPI_STRUCT_VERSION`.
const fn version(of_struct: u32) -> u32 {
    NVENCAPI_VERSION | of_struct << 16 | 0x7 << 28
}

/// What later structs have on top.
const EXTENDED: u32 = 1 << 31;

/// A field as it lies in its struct: name, offset, size.
#[cfg(test)]
pub(super) type Field = (&'static str, usize, usize);
/// A bit field: name, offset of its word, which bit.
#[cfg(test)]
pub(super) type BitField = (&'static str, usize, u32);

/// How a struct lies in memory.
#[cfg(test)]
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) name: &'static str,
    pub(super) size: usize,
    pub(super) align: usize,
    pub(super) fields: &'static [Field],
    pub(super) bits: &'static [BitField],
}

/// What can be all zero, as the header asks of reserved fields and of those that are not said to be anything else.
pub(super) trait Zeroed {
    /// All zero.
    fn zeroed() -> Self;
}

/// The header's structs. A word of bit fields is named `bits`, and its bits are constants of the struct, already shifted.
macro_rules! structs {
    ($($name:ident { $($field:ident: $type:ty),* $(,)? } $([$($bit:ident: $at:literal),* $(,)?])?)*) => {
        $(
            #[repr(C)]
            #[derive(Clone, Copy)]
            pub(super) struct $name { $(pub(super) $field: $type),* }

            impl $name {
                $($(pub(super) const $bit: u32 = 1 << $at;)*)?
            }

            impl Zeroed for $name {
                fn zeroed() -> Self {
                    // SAFETY: all fields are integers, raw pointers, arrays, structs and unions of those, and optional
                    // functions, for which zero is a value.
                    unsafe { zeroed() }
                }
            }
        )*

        /// Every struct of this table.
        #[cfg(test)]
        pub(super) const LAYOUTS: &[Layout] = &[$(Layout {
            name: stringify!($name),
            size: size_of::<$name>(),
            align: align_of::<$name>(),
            fields: &[$((stringify!($field), offset_of!($name, $field), size_of::<$type>())),*],
            bits: &[$($((stringify!($bit), offset_of!($name, bits), $at)),*)?],
        }),*];
    };
}

/// Constants, and a table of them.
macro_rules! constants {
    ($($name:ident = $value:expr;)*) => {
        $(pub(super) const $name: u32 = $value;)*
        /// Every constant of this table.
        #[cfg(test)]
        pub(super) const CONSTANTS: &[(&str, u32)] = &[$((stringify!($name), $name)),*];
    };
}

/// GUIDs, and a table of them.
macro_rules! guids {
    ($($name:ident = $first:literal, $second:literal, $third:literal, $rest:expr;)*) => {
        $(pub(super) const $name: GUID = GUID { Data1: $first, Data2: $second, Data3: $third, Data4: $rest };)*
        /// Every GUID of this table.
        #[cfg(test)]
        pub(super) const GUIDS: &[(&str, GUID)] = &[$((stringify!($name), $name)),*];
    };
}

constants! {
    NV_ENC_CAPS_PARAM_VER = version(1);
    NV_ENC_CREATE_INPUT_BUFFER_VER = version(1);
    NV_ENC_CREATE_BITSTREAM_BUFFER_VER = version(1);
    NV_ENC_CONFIG_VER = version(7) | EXTENDED;
    NV_ENC_INITIALIZE_PARAMS_VER = version(5) | EXTENDED;
    NV_ENC_RECONFIGURE_PARAMS_VER = version(1) | EXTENDED;
    NV_ENC_PRESET_CONFIG_VER = version(4) | EXTENDED;
    NV_ENC_PIC_PARAMS_VER = version(4) | EXTENDED;
    NV_ENC_LOCK_BITSTREAM_VER = version(1);
    NV_ENC_LOCK_INPUT_BUFFER_VER = version(1);
    NV_ENC_SEQUENCE_PARAM_PAYLOAD_VER = version(1);
    NV_ENC_OPEN_ENCODE_SESSION_EX_PARAMS_VER = version(1);
    NV_ENCODE_API_FUNCTION_LIST_VER = version(2);

    NVENC_INFINITE_GOPLENGTH = 0xffff_ffff;
    NV_MAX_SEQ_HDR_LEN = 512;

    NV_ENC_DEVICE_TYPE_CUDA = 1;
    NV_ENC_BUFFER_FORMAT_NV12 = 1;
    NV_ENC_PIC_STRUCT_FRAME = 1;
    NV_ENC_PIC_TYPE_IDR = 3;
    NV_ENC_PIC_FLAG_FORCEIDR = 2;
    NV_ENC_PIC_FLAG_EOS = 8;
    NV_ENC_PARAMS_RC_CBR = 2;
    NV_ENC_TWO_PASS_QUARTER_RESOLUTION = 1;
    NV_ENC_MULTI_PASS_DISABLED = 0;
    NV_ENC_PARAMS_FRAME_FIELD_MODE_FRAME = 1;
    NV_ENC_TUNING_INFO_HIGH_QUALITY = 1;
    NV_ENC_TUNING_INFO_LOW_LATENCY = 2;
    NV_ENC_H264_ENTROPY_CODING_MODE_CABAC = 1;
    NV_ENC_BFRAME_REF_MODE_DISABLED = 0;
    NV_ENC_NUM_REF_FRAMES_1 = 1;

    NV_ENC_CAPS_NUM_MAX_BFRAMES = 0;
    NV_ENC_CAPS_SUPPORTED_RATECONTROL_MODES = 1;
    NV_ENC_CAPS_SUPPORT_CABAC = 7;
    NV_ENC_CAPS_WIDTH_MAX = 16;
    NV_ENC_CAPS_HEIGHT_MAX = 17;
    NV_ENC_CAPS_SUPPORT_DYN_BITRATE_CHANGE = 20;
    NV_ENC_CAPS_SUPPORT_CUSTOM_VBV_BUF_SIZE = 26;
    NV_ENC_CAPS_SUPPORT_TEMPORAL_AQ = 38;
    NV_ENC_CAPS_WIDTH_MIN = 45;
    NV_ENC_CAPS_HEIGHT_MIN = 46;
    NV_ENC_CAPS_SUPPORT_MULTIPLE_REF_FRAMES = 47;

    NV_ENC_SUCCESS = 0;
    NV_ENC_ERR_NO_ENCODE_DEVICE = 1;
    NV_ENC_ERR_UNSUPPORTED_DEVICE = 2;
    NV_ENC_ERR_INVALID_ENCODERDEVICE = 3;
    NV_ENC_ERR_INVALID_DEVICE = 4;
    NV_ENC_ERR_DEVICE_NOT_EXIST = 5;
    NV_ENC_ERR_INVALID_PTR = 6;
    NV_ENC_ERR_INVALID_EVENT = 7;
    NV_ENC_ERR_INVALID_PARAM = 8;
    NV_ENC_ERR_INVALID_CALL = 9;
    NV_ENC_ERR_OUT_OF_MEMORY = 10;
    NV_ENC_ERR_ENCODER_NOT_INITIALIZED = 11;
    NV_ENC_ERR_UNSUPPORTED_PARAM = 12;
    NV_ENC_ERR_LOCK_BUSY = 13;
    NV_ENC_ERR_NOT_ENOUGH_BUFFER = 14;
    NV_ENC_ERR_INVALID_VERSION = 15;
    NV_ENC_ERR_MAP_FAILED = 16;
    NV_ENC_ERR_NEED_MORE_INPUT = 17;
    NV_ENC_ERR_ENCODER_BUSY = 18;
    NV_ENC_ERR_EVENT_NOT_REGISTERD = 19;
    NV_ENC_ERR_GENERIC = 20;
    NV_ENC_ERR_INCOMPATIBLE_CLIENT_KEY = 21;
    NV_ENC_ERR_UNIMPLEMENTED = 22;
    NV_ENC_ERR_RESOURCE_REGISTER_FAILED = 23;
    NV_ENC_ERR_RESOURCE_NOT_REGISTERED = 24;
    NV_ENC_ERR_RESOURCE_NOT_MAPPED = 25;
}

guids! {
    NV_ENC_CODEC_H264_GUID = 0x6bc8_2762, 0x4e63, 0x4ca4, [0xaa, 0x85, 0x1e, 0x50, 0xf3, 0x21, 0xf6, 0xbf];
    NV_ENC_CODEC_HEVC_GUID = 0x790c_dc88, 0x4522, 0x4d7b, [0x94, 0x25, 0xbd, 0xa9, 0x97, 0x5f, 0x76, 0x03];
    NV_ENC_H264_PROFILE_HIGH_GUID = 0xe7cb_c309, 0x4f7a, 0x4b89, [0xaf, 0x2a, 0xd5, 0x37, 0xc9, 0x2b, 0xe3, 0x10];
    NV_ENC_HEVC_PROFILE_MAIN_GUID = 0xb514_c39a, 0xb55b, 0x40fa, [0x87, 0x8f, 0xf1, 0x25, 0x3b, 0x4d, 0xfd, 0xec];
    NV_ENC_PRESET_P1_GUID = 0xfc0a_8d3e, 0x45f8, 0x4cf8, [0x80, 0xc7, 0x29, 0x88, 0x71, 0x59, 0x0e, 0xbf];
    NV_ENC_PRESET_P2_GUID = 0xf581_cfb8, 0x88d6, 0x4381, [0x93, 0xf0, 0xdf, 0x13, 0xf9, 0xc2, 0x7d, 0xab];
    NV_ENC_PRESET_P3_GUID = 0x3685_0110, 0x3a07, 0x441f, [0x94, 0xd5, 0x36, 0x70, 0x63, 0x1f, 0x91, 0xf6];
    NV_ENC_PRESET_P4_GUID = 0x90a7_b826, 0xdf06, 0x4862, [0xb9, 0xd2, 0xcd, 0x6d, 0x73, 0xa0, 0x86, 0x81];
    NV_ENC_PRESET_P5_GUID = 0x21c6_e6b4, 0x297a, 0x4cba, [0x99, 0x8f, 0xb6, 0xcb, 0xde, 0x72, 0xad, 0xe3];
    NV_ENC_PRESET_P6_GUID = 0x8e75_c279, 0x6299, 0x4ab6, [0x83, 0x02, 0x0b, 0x21, 0x5a, 0x33, 0x5c, 0xf5];
    NV_ENC_PRESET_P7_GUID = 0x8484_8c12, 0x6f71, 0x4c13, [0x93, 0x1b, 0x53, 0xe2, 0x83, 0xf5, 0x79, 0x74];
}

impl PartialEq for GUID {
    fn eq(&self, other: &Self) -> bool {
        (self.Data1, self.Data2, self.Data3, self.Data4) == (other.Data1, other.Data2, other.Data3, other.Data4)
    }
}

/// What a function of the encoder returns: a number, not an enumeration, since a later driver may return any.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NVENCSTATUS(pub(super) u32);

/// A session with an encoder.
pub(super) type Session = *mut c_void;
/// A function this program does not call; its place in the list is kept.
pub(super) type Unused = *mut c_void;

pub(super) type OpenEncodeSessionEx =
    unsafe extern "C" fn(*mut NV_ENC_OPEN_ENCODE_SESSION_EX_PARAMS, *mut Session) -> NVENCSTATUS;
pub(super) type GetEncodeGUIDCount = unsafe extern "C" fn(Session, *mut u32) -> NVENCSTATUS;
pub(super) type GetEncodeGUIDs = unsafe extern "C" fn(Session, *mut GUID, u32, *mut u32) -> NVENCSTATUS;
pub(super) type GetEncodeCaps = unsafe extern "C" fn(Session, GUID, *mut NV_ENC_CAPS_PARAM, *mut i32) -> NVENCSTATUS;
pub(super) type GetEncodePresetConfigEx =
    unsafe extern "C" fn(Session, GUID, GUID, u32, *mut NV_ENC_PRESET_CONFIG) -> NVENCSTATUS;
pub(super) type Call<T> = unsafe extern "C" fn(Session, *mut T) -> NVENCSTATUS;
pub(super) type OnBuffer = unsafe extern "C" fn(Session, *mut c_void) -> NVENCSTATUS;
pub(super) type OnSession = unsafe extern "C" fn(Session) -> NVENCSTATUS;
pub(super) type GetLastErrorString = unsafe extern "C" fn(Session) -> *const c_char;

/// The functions that the library exports by name.
pub(super) type GetMaxSupportedVersion = unsafe extern "C" fn(*mut u32) -> NVENCSTATUS;
pub(super) type CreateInstance = unsafe extern "C" fn(*mut NV_ENCODE_API_FUNCTION_LIST) -> NVENCSTATUS;

/// What is told to one codec or another.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) union NV_ENC_CODEC_CONFIG {
    pub(super) h264Config: NV_ENC_CONFIG_H264,
    pub(super) hevcConfig: NV_ENC_CONFIG_HEVC,
    pub(super) reserved: [u32; 320],
}

structs! {
    GUID {
        Data1: u32, Data2: u16, Data3: u16, Data4: [u8; 8],
    }

    NV_ENC_CAPS_PARAM {
        version: u32, capsToQuery: u32, reserved: [u32; 62],
    }

    NV_ENC_CREATE_INPUT_BUFFER {
        version: u32, width: u32, height: u32, memoryHeap: u32, bufferFmt: u32, reserved: u32,
        inputBuffer: *mut c_void, pSysMemBuffer: *mut c_void,
        reserved1: [u32; 57], reserved2: [*mut c_void; 63],
    }

    NV_ENC_CREATE_BITSTREAM_BUFFER {
        version: u32, size: u32, memoryHeap: u32, reserved: u32,
        bitstreamBuffer: *mut c_void, bitstreamBufferPtr: *mut c_void,
        reserved1: [u32; 58], reserved2: [*mut c_void; 64],
    }

    NV_ENC_QP {
        qpInterP: u32, qpInterB: u32, qpIntra: u32,
    }

    NV_ENC_RC_PARAMS {
        version: u32, rateControlMode: u32, constQP: NV_ENC_QP,
        averageBitRate: u32, maxBitRate: u32, vbvBufferSize: u32, vbvInitialDelay: u32,
        bits: u32,
        minQP: NV_ENC_QP, maxQP: NV_ENC_QP, initialRCQP: NV_ENC_QP,
        temporallayerIdxMask: u32, temporalLayerQP: [u8; 8],
        targetQuality: u8, targetQualityLSB: u8, lookaheadDepth: u16,
        lowDelayKeyFrameScale: u8, reserved1: [u8; 3],
        qpMapMode: u32, multiPass: u32, alphaLayerBitrateRatio: u32,
        cbQPIndexOffset: i8, crQPIndexOffset: i8, reserved2: u16, reserved: [u32; 4],
    } [enableAQ: 3, enableLookahead: 5, disableIadapt: 6, enableTemporalAQ: 8]

    NV_ENC_CONFIG_H264_VUI_PARAMETERS {
        overscanInfoPresentFlag: u32, overscanInfo: u32,
        videoSignalTypePresentFlag: u32, videoFormat: u32, videoFullRangeFlag: u32,
        colourDescriptionPresentFlag: u32, colourPrimaries: u32, transferCharacteristics: u32, colourMatrix: u32,
        chromaSampleLocationFlag: u32, chromaSampleLocationTop: u32, chromaSampleLocationBot: u32,
        bitstreamRestrictionFlag: u32, reserved: [u32; 15],
    }

    NVENC_EXTERNAL_ME_HINT_COUNTS_PER_BLOCKTYPE {
        bits: u32, reserved1: [u32; 3],
    }

    NV_ENC_CONFIG_H264 {
        bits: u32,
        level: u32, idrPeriod: u32, separateColourPlaneFlag: u32, disableDeblockingFilterIDC: u32,
        numTemporalLayers: u32, spsId: u32, ppsId: u32,
        adaptiveTransformMode: u32, fmoMode: u32, bdirectMode: u32, entropyCodingMode: u32, stereoMode: u32,
        intraRefreshPeriod: u32, intraRefreshCnt: u32, maxNumRefFrames: u32, sliceMode: u32, sliceModeData: u32,
        h264VUIParameters: NV_ENC_CONFIG_H264_VUI_PARAMETERS,
        ltrNumFrames: u32, ltrTrustMode: u32, chromaFormatIDC: u32, maxTemporalLayers: u32,
        useBFramesAsRef: u32, numRefL0: u32, numRefL1: u32,
        reserved1: [u32; 267], reserved2: [*mut c_void; 64],
    } [
        outputBufferingPeriodSEI: 4, outputPictureTimingSEI: 5, outputAUD: 6, disableSPSPPS: 7,
        enableIntraRefresh: 10, repeatSPSPPS: 12, enableLTR: 14, enableFillerDataInsertion: 17,
    ]

    NV_ENC_CONFIG_HEVC {
        level: u32, tier: u32, minCUSize: u32, maxCUSize: u32,
        bits: u32,
        idrPeriod: u32, intraRefreshPeriod: u32, intraRefreshCnt: u32, maxNumRefFramesInDPB: u32, ltrNumFrames: u32,
        vpsId: u32, spsId: u32, ppsId: u32, sliceMode: u32, sliceModeData: u32, maxTemporalLayersMinus1: u32,
        hevcVUIParameters: NV_ENC_CONFIG_H264_VUI_PARAMETERS,
        ltrTrustMode: u32, useBFramesAsRef: u32, numRefL0: u32, numRefL1: u32,
        reserved1: [u32; 214], reserved2: [*mut c_void; 64],
    } [outputBufferingPeriodSEI: 2, outputPictureTimingSEI: 3, outputAUD: 4, enableLTR: 5, disableSPSPPS: 6,
       repeatSPSPPS: 7, enableIntraRefresh: 8, enableFillerDataInsertion: 14]

    NV_ENC_CONFIG {
        version: u32, profileGUID: GUID, gopLength: u32, frameIntervalP: i32, monoChromeEncoding: u32,
        frameFieldMode: u32, mvPrecision: u32,
        rcParams: NV_ENC_RC_PARAMS, encodeCodecConfig: NV_ENC_CODEC_CONFIG,
        reserved: [u32; 278], reserved2: [*mut c_void; 64],
    }

    NV_ENC_INITIALIZE_PARAMS {
        version: u32, encodeGUID: GUID, presetGUID: GUID,
        encodeWidth: u32, encodeHeight: u32, darWidth: u32, darHeight: u32, frameRateNum: u32, frameRateDen: u32,
        enableEncodeAsync: u32, enablePTD: u32,
        bits: u32,
        privDataSize: u32, privData: *mut c_void, encodeConfig: *mut NV_ENC_CONFIG,
        maxEncodeWidth: u32, maxEncodeHeight: u32,
        maxMEHintCountsPerBlock: [NVENC_EXTERNAL_ME_HINT_COUNTS_PER_BLOCKTYPE; 2],
        tuningInfo: u32, bufferFormat: u32,
        reserved: [u32; 287], reserved2: [*mut c_void; 64],
    }

    NV_ENC_RECONFIGURE_PARAMS {
        version: u32, reInitEncodeParams: NV_ENC_INITIALIZE_PARAMS, bits: u32,
    } [resetEncoder: 0, forceIDR: 1]

    NV_ENC_PRESET_CONFIG {
        version: u32, presetCfg: NV_ENC_CONFIG, reserved1: [u32; 255], reserved2: [*mut c_void; 64],
    }

    NV_ENC_CODEC_PIC_PARAMS {
        h264PicParams: [u64; 192],
    }

    NV_ENC_PIC_PARAMS {
        version: u32, inputWidth: u32, inputHeight: u32, inputPitch: u32, encodePicFlags: u32, frameIdx: u32,
        inputTimeStamp: u64, inputDuration: u64,
        inputBuffer: *mut c_void, outputBitstream: *mut c_void, completionEvent: *mut c_void,
        bufferFmt: u32, pictureStruct: u32, pictureType: u32,
        codecPicParams: NV_ENC_CODEC_PIC_PARAMS,
        meHintCountsPerBlock: [NVENC_EXTERNAL_ME_HINT_COUNTS_PER_BLOCKTYPE; 2], meExternalHints: *mut c_void,
        reserved1: [u32; 6], reserved2: [*mut c_void; 2],
        qpDeltaMap: *mut i8, qpDeltaMapSize: u32, reservedBitFields: u32, meHintRefPicDist: [u16; 2],
        alphaBuffer: *mut c_void, reserved3: [u32; 286], reserved4: [*mut c_void; 59],
    }

    NV_ENC_LOCK_BITSTREAM {
        version: u32, bits: u32,
        outputBitstream: *mut c_void, sliceOffsets: *mut u32,
        frameIdx: u32, hwEncodeStatus: u32, numSlices: u32, bitstreamSizeInBytes: u32,
        outputTimeStamp: u64, outputDuration: u64, bitstreamBufferPtr: *mut c_void,
        pictureType: u32, pictureStruct: u32, frameAvgQP: u32, frameSatd: u32,
        ltrFrameIdx: u32, ltrFrameBitmap: u32, temporalId: u32, reserved: [u32; 12],
        intraMBCount: u32, interMBCount: u32, averageMVX: i32, averageMVY: i32, alphaLayerSizeInBytes: u32,
        reserved1: [u32; 218], reserved2: [*mut c_void; 64],
    }

    NV_ENC_LOCK_INPUT_BUFFER {
        version: u32, bits: u32,
        inputBuffer: *mut c_void, bufferDataPtr: *mut c_void, pitch: u32,
        reserved1: [u32; 251], reserved2: [*mut c_void; 64],
    }

    NV_ENC_SEQUENCE_PARAM_PAYLOAD {
        version: u32, inBufferSize: u32, spsId: u32, ppsId: u32,
        spsppsBuffer: *mut c_void, outSPSPPSPayloadSize: *mut u32,
        reserved: [u32; 250], reserved2: [*mut c_void; 64],
    }

    NV_ENC_OPEN_ENCODE_SESSION_EX_PARAMS {
        version: u32, deviceType: u32, device: *mut c_void, reserved: *mut c_void, apiVersion: u32,
        reserved1: [u32; 253], reserved2: [*mut c_void; 64],
    }

    NV_ENCODE_API_FUNCTION_LIST {
        version: u32, reserved: u32,
        nvEncOpenEncodeSession: Unused,
        nvEncGetEncodeGUIDCount: Option<GetEncodeGUIDCount>,
        nvEncGetEncodeProfileGUIDCount: Unused, nvEncGetEncodeProfileGUIDs: Unused,
        nvEncGetEncodeGUIDs: Option<GetEncodeGUIDs>,
        nvEncGetInputFormatCount: Unused, nvEncGetInputFormats: Unused,
        nvEncGetEncodeCaps: Option<GetEncodeCaps>,
        nvEncGetEncodePresetCount: Unused, nvEncGetEncodePresetGUIDs: Unused, nvEncGetEncodePresetConfig: Unused,
        nvEncInitializeEncoder: Option<Call<NV_ENC_INITIALIZE_PARAMS>>,
        nvEncCreateInputBuffer: Option<Call<NV_ENC_CREATE_INPUT_BUFFER>>,
        nvEncDestroyInputBuffer: Option<OnBuffer>,
        nvEncCreateBitstreamBuffer: Option<Call<NV_ENC_CREATE_BITSTREAM_BUFFER>>,
        nvEncDestroyBitstreamBuffer: Option<OnBuffer>,
        nvEncEncodePicture: Option<Call<NV_ENC_PIC_PARAMS>>,
        nvEncLockBitstream: Option<Call<NV_ENC_LOCK_BITSTREAM>>,
        nvEncUnlockBitstream: Option<OnBuffer>,
        nvEncLockInputBuffer: Option<Call<NV_ENC_LOCK_INPUT_BUFFER>>,
        nvEncUnlockInputBuffer: Option<OnBuffer>,
        nvEncGetEncodeStats: Unused,
        nvEncGetSequenceParams: Option<Call<NV_ENC_SEQUENCE_PARAM_PAYLOAD>>,
        nvEncRegisterAsyncEvent: Unused, nvEncUnregisterAsyncEvent: Unused,
        nvEncMapInputResource: Unused, nvEncUnmapInputResource: Unused,
        nvEncDestroyEncoder: Option<OnSession>,
        nvEncInvalidateRefFrames: Unused,
        nvEncOpenEncodeSessionEx: Option<OpenEncodeSessionEx>,
        nvEncRegisterResource: Unused, nvEncUnregisterResource: Unused,
        nvEncReconfigureEncoder: Option<Call<NV_ENC_RECONFIGURE_PARAMS>>,
        reserved1: Unused,
        nvEncCreateMVBuffer: Unused, nvEncDestroyMVBuffer: Unused, nvEncRunMotionEstimationOnly: Unused,
        nvEncGetLastErrorString: Option<GetLastErrorString>,
        nvEncSetIOCudaStreams: Unused,
        nvEncGetEncodePresetConfigEx: Option<GetEncodePresetConfigEx>,
        nvEncGetSequenceParamEx: Unused,
        reserved2: [*mut c_void; 277],
    }
}

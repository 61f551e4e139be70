// RGB to NV12, 8-bit 4:2:0, chroma sited left (ITU-T H.273 chroma sample location 0).
//
// One invocation makes 4 x 2 luma and 2 x 1 chroma samples, whole words of the buffer:
//
//      x-1   x  x+1 x+2 x+3         a chroma sample lies on the left pixel of its pair, between the two rows:
//   y       Y    Y   Y   Y          weights 1 2 1 over x-1, x, x+1, and the mean of both rows
//   y+1     Y    Y   Y   Y
//
// Beyond the edges the edge pixel counts again. The picture's values are encoded, as the matrix wants them.

struct Params {
    // Rows Y, Cb, Cr; the last column is the offset, in code values.
    luma: vec4f,
    blue: vec4f,
    red: vec4f,
    // Pixels.
    size: vec2u,
    // Words from one row to the next, and words of the luma plane.
    pitch: u32,
    luma_len: u32,
}

// Blocks of 4 x 2 pixels, of which one invocation makes one.
struct Region {
    origin: vec2u,
    end: vec2u,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var picture: texture_2d<f32>;
@group(0) @binding(2) var<storage, read_write> words: array<u32>;
@group(0) @binding(3) var<uniform> region: Region;

fn pixel(x: u32, y: u32) -> vec3f {
    return textureLoad(picture, vec2u(min(x, params.size.x - 1u), y), 0).rgb;
}

fn code(row: vec4f, rgb: vec3f) -> u32 {
    return u32(clamp(dot(row.xyz, rgb) + row.w + 0.5, 0.0, 255.0));
}

fn pack(a: u32, b: u32, c: u32, d: u32) -> u32 {
    return a | (b << 8u) | (c << 16u) | (d << 24u);
}

fn luma_word(a: vec3f, b: vec3f, c: vec3f, d: vec3f) -> u32 {
    return pack(code(params.luma, a), code(params.luma, b), code(params.luma, c), code(params.luma, d));
}

@compute @workgroup_size(8, 8)
fn convert(@builtin(global_invocation_id) invocation: vec3u) {
    let id = region.origin + invocation.xy;
    if any(id >= region.end) {
        return;
    }
    let x = id.x * 4u;
    let y = id.y * 2u;
    let left = max(x, 1u) - 1u;
    let a0 = pixel(x, y);
    let b0 = pixel(x + 1u, y);
    let c0 = pixel(x + 2u, y);
    let d0 = pixel(x + 3u, y);
    let a1 = pixel(x, y + 1u);
    let b1 = pixel(x + 1u, y + 1u);
    let c1 = pixel(x + 2u, y + 1u);
    let d1 = pixel(x + 3u, y + 1u);
    let first = (pixel(left, y) + pixel(left, y + 1u) + 2.0 * (a0 + a1) + b0 + b1) * 0.125;
    let second = (b0 + b1 + 2.0 * (c0 + c1) + d0 + d1) * 0.125;

    let upper = y * params.pitch + id.x;
    words[upper] = luma_word(a0, b0, c0, d0);
    words[upper + params.pitch] = luma_word(a1, b1, c1, d1);
    words[params.luma_len + id.y * params.pitch + id.x] =
        pack(code(params.blue, first), code(params.red, first), code(params.blue, second), code(params.red, second));
}

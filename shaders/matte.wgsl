// A group's surface that takes away from what lies below: what this writes is what is left of it, by the blend state.
//
// A matte has the size of what it lies on and lies pixel on pixel.

// What counts: 0 alpha, 1 luma.
override channel: u32 = 0u;
override is_inverted: bool = false;
// Whether the blend space is linear light.
override is_linear: bool = false;

struct Raster {
    place: Place,
    dest: vec4f,
    origin: vec2f,
    level: f32,
    opacity: f32,
}

@group(1) @binding(0) var<uniform> item: Raster;
@group(2) @binding(0) var pixels: texture_2d<f32>;

@vertex
fn corner(@builtin(vertex_index) index: u32) -> @builtin(position) vec4f {
    return corner_of(item.place, index);
}

fn encoded(c: vec3f) -> vec3f {
    if !is_linear {
        return c;
    }
    return select(1.055 * pow(c, vec3f(1.0 / 2.4)) - 0.055, 12.92 * c, c <= vec3f(0.0031308));
}

// CSS Masking 1, section 7.10: the luma of the encoded colour on black.
fn counted(c: vec4f) -> f32 {
    if channel == 0u {
        return c.a;
    }
    let straight = min(c.rgb / max(c.a, 1e-6), vec3f(1.0));
    return dot(encoded(straight), vec3f(0.2126, 0.7152, 0.0722)) * c.a;
}

@fragment
fn paint(@builtin(position) position: vec4f) -> @location(0) vec4f {
    let left = counted(textureLoad(pixels, vec2i(floor(position.xy - item.origin)), 0));
    return vec4f(select(left, 1.0 - left, is_inverted));
}

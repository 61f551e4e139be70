// What the shaders of effects share. A pass makes all of one texture from one or two others, pixel on pixel.
//
// Textures hold colours that are premultiplied in the blend space; colours are changed straight and sRGB-encoded.

// Whether the blend space is linear light.
override is_linear: bool = false;

@group(1) @binding(0) var source: texture_2d<f32>;

@vertex
fn corner(@builtin(vertex_index) index: u32) -> @builtin(position) vec4f {
    let unit = vec2f(f32(index & 1u), f32(index >> 1u));
    return vec4f(unit * 2.0 - 1.0, 0.0, 1.0);
}

// IEC 61966-2-1, from the blend space and back into it.
fn encoded(c: vec3f) -> vec3f {
    if !is_linear {
        return c;
    }
    return select(1.055 * pow(c, vec3f(1.0 / 2.4)) - 0.055, 12.92 * c, c <= vec3f(0.0031308));
}

fn decoded(c: vec3f) -> vec3f {
    if !is_linear {
        return c;
    }
    return select(pow((c + 0.055) / 1.055, vec3f(2.4)), c / 12.92, c <= vec3f(0.04045));
}

// The colour under p: straight and encoded.
fn straight_at(p: vec2f) -> vec4f {
    let c = textureLoad(source, vec2i(floor(p)), 0);
    return vec4f(encoded(min(c.rgb / max(c.a, 1e-6), vec3f(1.0))), c.a);
}

// A straight and encoded colour as textures hold it.
fn stored(c: vec4f) -> vec4f {
    return vec4f(decoded(c.rgb) * c.a, c.a);
}

// BT.709.
fn luma(c: vec3f) -> f32 {
    return dot(c, vec3f(0.2126, 0.7152, 0.0722));
}

// The texel at p, or the nearest there is.
fn texel(pixels: texture_2d<f32>, p: vec2i) -> vec4f {
    return textureLoad(pixels, clamp(p, vec2i(0), vec2i(textureDimensions(pixels)) - 1), 0);
}

// Between the centres of four texels. By hand, for samplers mix with 8 bits.
fn between(pixels: texture_2d<f32>, p: vec2f) -> vec4f {
    let corner = floor(p - 0.5);
    let t = p - 0.5 - corner;
    let i = vec2i(corner);
    let upper = mix(texel(pixels, i), texel(pixels, i + vec2i(1, 0)), t.x);
    let lower = mix(texel(pixels, i + vec2i(0, 1)), texel(pixels, i + vec2i(1, 1)), t.x);
    return mix(upper, lower, t.y);
}

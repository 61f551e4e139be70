// Pictures into textures: premultiplied, and with smaller versions of themselves.
//
// A pass covers the level it makes exactly; both read through the view of the blend space.

@group(0) @binding(0) var source: texture_2d<f32>;
@group(0) @binding(1) var bilinear: sampler;

struct Corner {
    @builtin(position) position: vec4f,
    @location(0) uv: vec2f,
}

@vertex
fn corner(@builtin(vertex_index) index: u32) -> Corner {
    let unit = vec2f(f32(index & 1u), f32(index >> 1u));
    return Corner(vec4f(unit * vec2f(2.0, -2.0) + vec2f(-1.0, 1.0), 0.0, 1.0), unit);
}

// From straight to premultiplied, texel by texel.
@fragment
fn premultiply(in: Corner) -> @location(0) vec4f {
    let straight = textureLoad(source, vec2i(floor(in.position.xy)), 0);
    return vec4f(straight.rgb * straight.a, straight.a);
}

// The mean of the four texels above each texel: a bilinear sample where they meet.
@fragment
fn halve(in: Corner) -> @location(0) vec4f {
    return textureSampleLevel(source, bilinear, in.uv, 0.0);
}

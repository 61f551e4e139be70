// A picture or a text in the item's clip.

// How the texture is read: 0 texel by texel, 1 bilinear, 2 between mip levels.
override sampling: u32 = 1u;

struct Raster {
    place: Place,
    // Left, top, width, height of the texture's outer edges in layer pixels.
    dest: vec4f,
    // Canvas pixel of the first texel, for sampling 0.
    origin: vec2f,
    // Mip level, for sampling 2.
    level: f32,
    opacity: f32,
}

@group(0) @binding(1) var nearest_level: sampler;
@group(0) @binding(2) var between_levels: sampler;
@group(1) @binding(0) var<uniform> item: Raster;
@group(2) @binding(0) var pixels: texture_2d<f32>;

@vertex
fn corner(@builtin(vertex_index) index: u32) -> @builtin(position) vec4f {
    return corner_of(item.place, index);
}

fn colour_at(p: vec2f, q: vec2f) -> vec4f {
    if sampling == 0u {
        return textureLoad(pixels, vec2i(floor(p - item.origin)), 0);
    }
    let uv = (q - item.dest.xy) / item.dest.zw;
    if sampling == 1u {
        return textureSampleLevel(pixels, nearest_level, uv, 0.0);
    }
    return textureSampleLevel(pixels, between_levels, uv, item.level);
}

@fragment
fn paint(@builtin(position) position: vec4f) -> @location(0) vec4f {
    let q = layer_from_canvas(item.place, position.xy);
    return colour_at(position.xy, q) * (item.opacity * clip_coverage(item.place, q));
}

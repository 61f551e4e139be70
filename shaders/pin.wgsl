// A group's surface with its corners pinned.

struct Pin {
    place: Place,
    // Rows of the map from canvas pixels to pixels of the surface, before the division; the last column is padding.
    to_surface: array<vec4f, 3>,
    // For each edge, clockwise from the top: the canvas pixels that a point lies inside of it; the last is padding.
    edges: array<vec4f, 4>,
    // Left, top, right and bottom centre of the surface's pixels that are seen.
    within: vec4f,
    // Opacity; the rest is padding.
    style: vec4f,
}

@group(0) @binding(1) var nearest_level: sampler;
@group(1) @binding(0) var<uniform> item: Pin;
@group(2) @binding(0) var pixels: texture_2d<f32>;

@vertex
fn corner(@builtin(vertex_index) index: u32) -> @builtin(position) vec4f {
    return corner_of(item.place, index);
}

fn inside(edge: u32, p: vec2f) -> f32 {
    return saturate(dot(item.edges[edge].xyz, vec3f(p, 1.0)) + 0.5);
}

// How much of the pixel at p lies between two opposite edges.
fn between(a: u32, b: u32, p: vec2f) -> f32 {
    return max(inside(a, p) + inside(b, p) - 1.0, 0.0);
}

fn colour_at(p: vec2f) -> vec4f {
    let v = vec3f(p, 1.0);
    let w = max(dot(item.to_surface[2].xyz, v), 1e-6);
    let on_surface = vec2f(dot(item.to_surface[0].xyz, v), dot(item.to_surface[1].xyz, v)) / w;
    let q = clamp(on_surface, item.within.xy, item.within.zw);
    return textureSampleLevel(pixels, nearest_level, q / vec2f(textureDimensions(pixels)), 0.0);
}

// Four samples: what recedes is shown smaller than the surface, which has one level.
@fragment
fn paint(@builtin(position) position: vec4f) -> @location(0) vec4f {
    let p = position.xy;
    let upper = colour_at(p + vec2f(-0.25, -0.25)) + colour_at(p + vec2f(0.25, -0.25));
    let lower = colour_at(p + vec2f(-0.25, 0.25)) + colour_at(p + vec2f(0.25, 0.25));
    let cover = between(0u, 2u, p) * between(1u, 3u, p);
    return (upper + lower) * (0.25 * item.style.x * cover);
}

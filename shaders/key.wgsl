// Alpha by colour, with the formulas of OBS's `chroma_key_filter_v2`, `color_key_filter_v2` and `luma_key_filter_v2`.

struct Key {
    // Straight and encoded.
    colour: vec4f,
    // Similarity, smoothness, spill, padding; or lowest and highest luma, smoothness, 1 for inverted.
    limits: vec4f,
}

@group(0) @binding(0) var<uniform> item: Key;

// Chroma of BT.709, limited range.
fn chroma(c: vec3f) -> vec2f {
    let cb = dot(c, vec3f(-0.100644, -0.338572, 0.439216));
    return vec2f(cb, dot(c, vec3f(0.439216, -0.398942, -0.040274)));
}

// From 0 at 0 to 1 at `over`.
fn ramp(distance: f32, over: f32) -> f32 {
    return saturate(distance / max(over, 1e-4));
}

@fragment
fn key_chroma(@builtin(position) position: vec4f) -> @location(0) vec4f {
    let c = straight_at(position.xy);
    let beyond = distance(chroma(c.rgb), chroma(item.colour.rgb)) - item.limits.x;
    let kept = pow(ramp(beyond, item.limits.y), 1.5);
    let coloured = pow(ramp(beyond, item.limits.z), 1.5);
    return stored(vec4f(mix(vec3f(luma(c.rgb)), c.rgb, coloured), c.a * kept));
}

@fragment
fn key_colour(@builtin(position) position: vec4f) -> @location(0) vec4f {
    let c = straight_at(position.xy);
    let beyond = distance(c.rgb, item.colour.rgb) - item.limits.x;
    return stored(vec4f(c.rgb, c.a * ramp(beyond, item.limits.y)));
}

@fragment
fn key_luma(@builtin(position) position: vec4f) -> @location(0) vec4f {
    let c = straight_at(position.xy);
    let l = luma(c.rgb);
    let over = max(item.limits.z, 1e-4);
    // An end at black or white cuts nothing off.
    let above = select(smoothstep(item.limits.x, item.limits.x + over, l), 1.0, item.limits.x <= 0.0);
    let below = select(1.0 - smoothstep(item.limits.y - over, item.limits.y, l), 1.0, item.limits.y >= 1.0);
    let kept = above * below;
    return stored(vec4f(c.rgb, c.a * mix(kept, 1.0 - kept, item.limits.w)));
}

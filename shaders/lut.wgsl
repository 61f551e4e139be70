// Colours by a table with three axes, between whose entries is interpolated in tetrahedra: greys stay grey.

struct Lut {
    // Input at the table's first entries, and one over the way to its last ones; alpha is padding.
    domain_min: vec4f,
    domain_rate: vec4f,
    // How much of the table's colour; the rest is padding.
    amount: vec4f,
}

@group(0) @binding(0) var<uniform> item: Lut;
@group(2) @binding(0) var table: texture_3d<f32>;

fn entry(at: vec3i) -> vec3f {
    return textureLoad(table, at, 0).rgb;
}

fn looked_up(c: vec3f) -> vec3f {
    let last = vec3f(vec3i(textureDimensions(table)) - 1);
    let p = saturate((c - item.domain_min.rgb) * item.domain_rate.rgb) * last;
    let base = min(floor(p), last - 1.0);
    let t = p - base;
    // From the first corner of the cell along the axis of the largest part, then along the next, then along the last.
    let most = max(t.r, max(t.g, t.b));
    let least = min(t.r, min(t.g, t.b));
    let middle = t.r + t.g + t.b - most - least;
    let first = select(select(vec3i(0, 0, 1), vec3i(0, 1, 0), t.g >= t.b), vec3i(1, 0, 0), t.r >= t.g && t.r >= t.b);
    let without = select(select(vec3i(1, 1, 0), vec3i(1, 0, 1), t.g < t.b), vec3i(0, 1, 1), t.r < t.g && t.r < t.b);
    let at = vec3i(base);
    return entry(at) * (1.0 - most) + entry(at + first) * (most - middle) + entry(at + without) * (middle - least)
        + entry(at + vec3i(1)) * least;
}

@fragment
fn look_up(@builtin(position) position: vec4f) -> @location(0) vec4f {
    let c = straight_at(position.xy);
    return stored(vec4f(saturate(mix(c.rgb, looked_up(c.rgb), item.amount.x)), c.a));
}

// Colours point by point: CSS's filter functions, gamma, levels, CDL. What each number means stands at `scene::effect`.

struct Grade {
    // Brightness, contrast, one over gamma, the CDL's saturation.
    tone: vec4f,
    // Rows that give red, green and blue; the last column is padding.
    saturation: array<vec4f, 3>,
    hue: array<vec4f, 3>,
    // Black, one over the way to white, one over gamma; the rest is padding.
    levels_in: vec4f,
    // Black, the way to white; the rest is padding.
    levels_out: vec4f,
    slope: vec4f,
    offset: vec4f,
    power: vec4f,
}

@group(0) @binding(0) var<uniform> item: Grade;

fn turned(rows: array<vec4f, 3>, c: vec3f) -> vec3f {
    return saturate(vec3f(dot(rows[0].rgb, c), dot(rows[1].rgb, c), dot(rows[2].rgb, c)));
}

@fragment
fn grade(@builtin(position) position: vec4f) -> @location(0) vec4f {
    let straight = straight_at(position.xy);
    var c = saturate(straight.rgb * item.tone.x);
    c = saturate((c - 0.5) * item.tone.y + 0.5);
    c = turned(item.saturation, c);
    c = turned(item.hue, c);
    c = pow(c, vec3f(item.tone.z));
    c = pow(saturate((c - item.levels_in.x) * item.levels_in.y), vec3f(item.levels_in.z));
    c = item.levels_out.x + c * item.levels_out.y;
    c = pow(saturate(c * item.slope.rgb + item.offset.rgb), item.power.rgb);
    c = saturate(mix(vec3f(luma(c)), c, item.tone.w));
    return stored(vec4f(c, straight.a));
}

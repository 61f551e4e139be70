// A picture made smaller: a weighted sum of the source's pixels along one axis, then along the other.
//
//   source, encoded RGB ── across ──► sheet, half floats ── down ──► picture, 8 bits
//
// The sheet keeps what the kernel overshoots; the picture does not. For each column, and each row, of what is made the
// table has the first pixel of the source that counts, and the weights of it and of those after it. Beyond the edges the
// edge pixel counts again.

struct Region {
    // First column and row, and those behind the last one, of what is made.
    origin: vec2u,
    end: vec2u,
    // Where the first column and row of all stand in the texture that is written.
    offset: vec2u,
    // Weights in an entry of the table.
    taps: u32,
    // Last pixel of the source along the axis.
    last: u32,
}

@group(0) @binding(0) var<uniform> region: Region;
@group(0) @binding(1) var<storage, read> table: array<f32>;
@group(0) @binding(2) var source: texture_2d<f32>;
@group(0) @binding(3) var sheet: texture_storage_2d<rgba16float, write>;
@group(0) @binding(4) var picture: texture_storage_2d<rgba8unorm, write>;

// Where the table's entry for a column or row begins.
fn entry(index: u32) -> u32 {
    return index * (region.taps + 1u);
}

fn clamped(index: i32) -> i32 {
    return clamp(index, 0, i32(region.last));
}

@compute @workgroup_size(8, 8)
fn across(@builtin(global_invocation_id) invocation: vec3u) {
    let id = region.origin + invocation.xy;
    if any(id >= region.end) {
        return;
    }
    let start = entry(id.x);
    let first = i32(table[start]);
    var sum = vec3f(0.0);
    for (var tap = 0u; tap < region.taps; tap++) {
        let x = clamped(first + i32(tap));
        sum += table[start + 1u + tap] * textureLoad(source, vec2i(x, i32(id.y)), 0).rgb;
    }
    textureStore(sheet, region.offset + id, vec4f(sum, 1.0));
}

@compute @workgroup_size(8, 8)
fn down(@builtin(global_invocation_id) invocation: vec3u) {
    let id = region.origin + invocation.xy;
    if any(id >= region.end) {
        return;
    }
    let start = entry(id.y);
    let first = i32(table[start]);
    var sum = vec3f(0.0);
    for (var tap = 0u; tap < region.taps; tap++) {
        let y = clamped(first + i32(tap));
        sum += table[start + 1u + tap] * textureLoad(source, vec2i(i32(id.x), y), 0).rgb;
    }
    textureStore(picture, region.offset + id, vec4f(saturate(sum), 1.0));
}

// A picture made smaller: a weighted sum of the source's pixels along one axis, then along the other.
//
//   source, encoded RGB ── across ──► sheet, 16 bits ── down ──► picture, 8 bits
//
// Both are written as words of a buffer: software Vulkan takes a dozen times as long to store a pixel of a texture.
//
// The sheet keeps what the kernel overshoots, -0.5 to 1.5; the picture does not. An invocation makes four pixels along the axis, of which
// each reads most of what the others read, and two beside each other, which have their weights in common. For each four
// the table has the first pixel of the source that counts, and the weights of it and of those after it, one for each of
// the four. Beyond the edges the edge pixel counts again.

struct Region {
    // First column and row, and those behind the last one, of what is made.
    origin: vec2u,
    end: vec2u,
    // Where the first column and row of all stand in the texture that is written.
    offset: vec2u,
    // Pixels of the source that count for four of what is made.
    taps: u32,
    // Last pixel of the source along the axis.
    last: u32,
    // Pixels from one row to the next of the sheet and of the picture.
    sheet_pitch: u32,
    picture_pitch: u32,
}

@group(0) @binding(0) var<uniform> region: Region;
@group(0) @binding(1) var<storage, read> table: array<vec4f>;
@group(0) @binding(2) var source: texture_2d<f32>;
// Red and green, and blue; half of each, and a quarter.
@group(0) @binding(3) var<storage, read_write> sheet: array<vec2u>;
// As the bytes of a texture.
@group(0) @binding(4) var<storage, read_write> picture: array<u32>;

// Four pixels along the axis: their red, green and blue.
struct Four {
    red: vec4f,
    green: vec4f,
    blue: vec4f,
}

// Where the table's entry for a group of four begins.
fn entry(group: u32) -> u32 {
    return group * (region.taps + 1u);
}

fn clamped(index: i32) -> i32 {
    return clamp(index, 0, i32(region.last));
}

fn add(four: ptr<function, Four>, weights: vec4f, pixel: vec3f) {
    (*four).red += weights * pixel.r;
    (*four).green += weights * pixel.g;
    (*four).blue += weights * pixel.b;
}

fn to_sheet(at: vec2u, red: f32, green: f32, blue: f32) {
    if all(at < region.end) {
        let stored = (vec4f(red, green, blue, 0.0) + 0.5) * 0.5;
        sheet[at.y * region.sheet_pitch + at.x] = vec2u(pack2x16unorm(stored.xy), pack2x16unorm(stored.zw));
    }
}

fn from_sheet(x: u32, y: u32) -> vec3f {
    let words = sheet[y * region.sheet_pitch + x];
    return vec3f(unpack2x16unorm(words.x), unpack2x16unorm(words.y).x) * 2.0 - 0.5;
}

fn to_picture(at: vec2u, red: f32, green: f32, blue: f32) {
    if all(at < region.end) {
        let placed = region.offset + at;
        picture[placed.y * region.picture_pitch + placed.x] = pack4x8unorm(vec4f(red, green, blue, 1.0));
    }
}

@compute @workgroup_size(8, 8)
fn across(@builtin(global_invocation_id) invocation: vec3u) {
    let id = region.origin + invocation.xy * vec2u(4u, 2u);
    if any(id >= region.end) {
        return;
    }
    let start = entry(id.x / 4u);
    let first = i32(table[start].x);
    let y = i32(id.y);
    var upper = Four();
    var lower = Four();
    for (var tap = 0u; tap < region.taps; tap++) {
        let x = clamped(first + i32(tap));
        let weights = table[start + 1u + tap];
        add(&upper, weights, textureLoad(source, vec2i(x, y), 0).rgb);
        add(&lower, weights, textureLoad(source, vec2i(x, y + 1), 0).rgb);
    }
    to_sheet(id, upper.red.x, upper.green.x, upper.blue.x);
    to_sheet(id + vec2u(1u, 0u), upper.red.y, upper.green.y, upper.blue.y);
    to_sheet(id + vec2u(2u, 0u), upper.red.z, upper.green.z, upper.blue.z);
    to_sheet(id + vec2u(3u, 0u), upper.red.w, upper.green.w, upper.blue.w);
    to_sheet(id + vec2u(0u, 1u), lower.red.x, lower.green.x, lower.blue.x);
    to_sheet(id + vec2u(1u, 1u), lower.red.y, lower.green.y, lower.blue.y);
    to_sheet(id + vec2u(2u, 1u), lower.red.z, lower.green.z, lower.blue.z);
    to_sheet(id + vec2u(3u, 1u), lower.red.w, lower.green.w, lower.blue.w);
}

@compute @workgroup_size(8, 8)
fn down(@builtin(global_invocation_id) invocation: vec3u) {
    let id = region.origin + invocation.xy * vec2u(2u, 4u);
    if any(id >= region.end) {
        return;
    }
    let start = entry(id.y / 4u);
    let first = i32(table[start].x);
    // Where the region is an odd number of columns wide, the last one counts twice.
    let beside = min(id.x + 1u, region.end.x - 1u);
    var left = Four();
    var right = Four();
    for (var tap = 0u; tap < region.taps; tap++) {
        let y = u32(clamped(first + i32(tap)));
        let weights = table[start + 1u + tap];
        add(&left, weights, from_sheet(id.x, y));
        add(&right, weights, from_sheet(beside, y));
    }
    to_picture(id, left.red.x, left.green.x, left.blue.x);
    to_picture(id + vec2u(0u, 1u), left.red.y, left.green.y, left.blue.y);
    to_picture(id + vec2u(0u, 2u), left.red.z, left.green.z, left.blue.z);
    to_picture(id + vec2u(0u, 3u), left.red.w, left.green.w, left.blue.w);
    to_picture(id + vec2u(1u, 0u), right.red.x, right.green.x, right.blue.x);
    to_picture(id + vec2u(1u, 1u), right.red.y, right.green.y, right.blue.y);
    to_picture(id + vec2u(1u, 2u), right.red.z, right.green.z, right.blue.z);
    to_picture(id + vec2u(1u, 3u), right.red.w, right.green.w, right.blue.w);
}

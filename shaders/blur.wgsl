// A Gaussian blur along rows, then along columns; a wide one on a smaller picture.

struct Blur {
    // One texel along the line that is blurred.
    direction: vec2i,
    // Texels to either side that count.
    radius: u32,
    // Texels of the source for each pixel, when a smaller picture is enlarged.
    rate: f32,
    // Of the middle, then of those to either side.
    weights: array<vec4f, 4>,
}

@group(0) @binding(0) var<uniform> item: Blur;

// The mean of the four texels under each pixel of a picture half as large.
@fragment
fn halve(@builtin(position) position: vec4f) -> @location(0) vec4f {
    let p = vec2i(floor(position.xy)) * 2;
    let upper = texel(source, p) + texel(source, p + vec2i(1, 0));
    let lower = texel(source, p + vec2i(0, 1)) + texel(source, p + vec2i(1, 1));
    return (upper + lower) * 0.25;
}

@fragment
fn blur(@builtin(position) position: vec4f) -> @location(0) vec4f {
    let p = vec2i(floor(position.xy));
    var sum = texel(source, p) * item.weights[0].x;
    for (var i = 1u; i <= item.radius; i++) {
        let away = item.direction * i32(i);
        sum += (texel(source, p + away) + texel(source, p - away)) * item.weights[i >> 2u][i & 3u];
    }
    return sum;
}

@fragment
fn enlarge(@builtin(position) position: vec4f) -> @location(0) vec4f {
    return between(source, position.xy * item.rate);
}

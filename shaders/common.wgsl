// What the item shaders share: the frame, an item's place, its corners and its antialiased clip.
//
// p is a point in canvas pixels, q one in layer pixels. A pixel's centre lies at half coordinates.

// Whether the clip's edges lie between pixels: nothing is covered in part then.
override is_aligned: bool = false;

struct Frame {
    canvas: vec2f,
    padding: vec2f,
}

struct Place {
    to_canvas: vec4f,
    to_layer: vec4f,
    origins: vec4f,
    clip: vec4f,
    rate: vec2f,
    padding: vec2f,
}

@group(0) @binding(0) var<uniform> frame: Frame;

fn canvas_from_layer(place: Place, q: vec2f) -> vec2f {
    return place.to_canvas.xy * q.x + place.to_canvas.zw * q.y + place.origins.xy;
}

fn layer_from_canvas(place: Place, p: vec2f) -> vec2f {
    return place.to_layer.xy * p.x + place.to_layer.zw * p.y + place.origins.zw;
}

// A corner of the clip, in clip space; one canvas pixel farther out where the edge runs through pixels.
fn corner_of(place: Place, index: u32) -> vec4f {
    let unit = vec2f(f32(index & 1u), f32(index >> 1u));
    let margin = select(vec2f(1.0) / place.rate, vec2f(0.0), is_aligned);
    let q = mix(place.clip.xy - margin, place.clip.zw + margin, unit);
    let p = canvas_from_layer(place, q);
    return vec4f(p / frame.canvas * vec2f(2.0, -2.0) + vec2f(-1.0, 1.0), 0.0, 1.0);
}

// How much of the canvas pixel at q the box (left, top, right, bottom) covers; exact where both are aligned.
fn box_coverage(q: vec2f, edges: vec4f, rate: vec2f) -> f32 {
    let inside = saturate((q - edges.xy) * rate + 0.5) + saturate((edges.zw - q) * rate + 0.5) - 1.0;
    let cover = max(inside, vec2f(0.0));
    return cover.x * cover.y;
}

// How much of the canvas pixel at q the item's clip covers.
fn clip_coverage(place: Place, q: vec2f) -> f32 {
    if is_aligned {
        return 1.0;
    }
    return box_coverage(q, place.clip, place.rate);
}

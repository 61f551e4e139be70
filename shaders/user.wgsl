// A user's shader in the item's clip: what `shade` of the user's text says of each point.
//
// The user's text and the generated `Params`, `params` and `take_params` stand before this one. What a user may call is
// said in src/scene/shader.rs; everything else here is out of reach.

// Whether colours are mixed in linear light.
override is_linear: bool = false;

struct User {
    place: Place,
    // Left, top, width, height of the layer's box in layer pixels.
    area: vec4f,
    opacity: f32,
    time: f32,
    progress: f32,
    // Turns of all loops together that a pixel may take.
    fuel: u32,
    values: array<vec4f, 16>,
}

struct ShadeInput {
    uv: vec2f,
    position: vec2f,
    size: vec2f,
    time: f32,
    progress: f32,
}

@group(0) @binding(1) var smooth_sampler: sampler;
@group(1) @binding(0) var<uniform> item: User;
// The layer's own picture for an effect, the scene that goes for a transition.
@group(2) @binding(0) var picture: texture_2d<f32>;
// The scene that comes.
@group(3) @binding(0) var next_picture: texture_2d<f32>;

var<private> fuel: u32;

@vertex
fn corner(@builtin(vertex_index) index: u32) -> @builtin(position) vec4f {
    return corner_of(item.place, index);
}

@fragment
fn paint(@builtin(position) position: vec4f) -> @location(0) vec4f {
    let q = layer_from_canvas(item.place, position.xy);
    let p = q - item.area.xy;
    fuel = item.fuel;
    take_params();
    let input = ShadeInput(p / item.area.zw, p, item.area.zw, item.time, item.progress);
    return premultiplied(sane(shade(input))) * (item.opacity * clip_coverage(item.place, q));
}

// What is no number is 0: it would spread to everything it is mixed with. Told by its bits, for a driver may take it for
// granted that there is none.
fn sane(colour: vec4f) -> vec4f {
    let bits = bitcast<vec4u>(colour) & vec4u(0x7fffffffu);
    return select(clamp(colour, vec4f(0.0), vec4f(1.0)), vec4f(0.0), bits > vec4u(0x7f800000u));
}

fn premultiplied(straight: vec4f) -> vec4f {
    let colour = select(straight.rgb, linear_from_encoded(straight.rgb), is_linear);
    return vec4f(colour * straight.a, straight.a);
}

fn straight_of(mixed: vec4f) -> vec4f {
    let colour = saturate(mixed.rgb / max(mixed.a, 1.0 / 1024.0));
    return vec4f(select(colour, encoded_from_linear(colour), is_linear), mixed.a);
}

// IEC 61966-2-1.
fn linear_from_encoded(v: vec3f) -> vec3f {
    return select(pow((v + 0.055) / 1.055, vec3f(2.4)), v / 12.92, v <= vec3f(0.04045));
}

fn encoded_from_linear(v: vec3f) -> vec3f {
    return select(1.055 * pow(v, vec3f(1.0 / 2.4)) - 0.055, v * 12.92, v <= vec3f(0.0031308));
}

// Beyond the edges a picture is clear.
fn read_at(colour: vec4f, uv: vec2f) -> vec4f {
    let is_inside = all(uv >= vec2f(0.0)) && all(uv <= vec2f(1.0));
    return select(vec4f(0.0), straight_of(colour), is_inside);
}

// The layer's box is a part of its picture.
fn sample(uv: vec2f) -> vec4f {
    let pixel = canvas_from_layer(item.place, item.area.xy + uv * item.area.zw);
    let at = pixel / vec2f(textureDimensions(picture));
    return read_at(textureSampleLevel(picture, smooth_sampler, at, 0.0), at);
}

fn sample_from(uv: vec2f) -> vec4f {
    return read_at(textureSampleLevel(picture, smooth_sampler, uv, 0.0), uv);
}

fn sample_to(uv: vec2f) -> vec4f {
    return read_at(textureSampleLevel(next_picture, smooth_sampler, uv, 0.0), uv);
}

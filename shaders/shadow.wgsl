// The outline of a picture in one colour, moved and blurred, under the picture.

struct Shadow {
    // Premultiplied in the blend space.
    colour: vec4f,
    // How far it is moved, in pixels.
    offset: vec2f,
    // Texels of the blurred picture for each pixel.
    rate: f32,
    // By what the blurred outline is multiplied.
    strength: f32,
}

@group(0) @binding(0) var<uniform> item: Shadow;
@group(2) @binding(0) var blurred: texture_2d<f32>;

@fragment
fn shade(@builtin(position) position: vec4f) -> @location(0) vec4f {
    let above = textureLoad(source, vec2i(floor(position.xy)), 0);
    let outline = between(blurred, (position.xy - item.offset) * item.rate).a;
    return above + item.colour * (min(outline * item.strength, 1.0) * (1.0 - above.a));
}

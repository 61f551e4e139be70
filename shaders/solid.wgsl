// One colour in the item's clip.

struct Solid {
    place: Place,
    colour: vec4f,
}

@group(1) @binding(0) var<uniform> item: Solid;

@vertex
fn corner(@builtin(vertex_index) index: u32) -> @builtin(position) vec4f {
    return corner_of(item.place, index);
}

@fragment
fn paint(@builtin(position) position: vec4f) -> @location(0) vec4f {
    let q = layer_from_canvas(item.place, position.xy);
    return item.colour * clip_coverage(item.place, q);
}

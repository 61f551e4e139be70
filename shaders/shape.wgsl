// Filled and stroked outlines, antialiased over one canvas pixel at any scale and turn.
//
// Each outline yields, for a point q, how many canvas pixels it lies inside the edge: the signed distance in layer
// pixels, divided by the layer pixels that one canvas pixel spans across that edge. Coverage is that number plus one
// half. A stroke is what the outline grown by half its width covers and the outline shrunk by it does not.

// Which outline: 0 rectangle, 1 ellipse, 2 polygon, 3 line, 4 the clip itself, 5 rectangle with corners of four radii.
override outline: u32 = 0u;
override has_stroke: bool = false;
// Which gradient: 0 none, 1 linear, 2 radial; and a bound on its stops: 2, 4 or 16.
override gradient: u32 = 0u;
override stops_max: u32 = 16u;

struct Stop {
    // Premultiplied in the blend space.
    colour: vec4f,
    // Offset of this stop, and one over the way to the next, 0 for the last; the rest is padding.
    place: vec4f,
}

struct Shape {
    place: Place,
    // Rectangle: left, top, right, bottom. Ellipse: centre, radii. Line: from, to.
    edges: vec4f,
    // Corner radius, half the stroke's width, opacity; the rest is padding.
    style: vec4f,
    // Premultiplied in the blend space.
    stroke: vec4f,
    // Linear: start, and the vector by which a distance from it becomes an offset. Radial: centre, one over the radii.
    gradient: vec4f,
    // Stops, points; the rest is padding.
    counts: vec4u,
    stops: array<Stop, 16>,
    // Two points in each; or, first, the radii of the corners, clockwise from the top left.
    points: array<vec4f, 64>,
}

@group(1) @binding(0) var<uniform> item: Shape;

@vertex
fn corner(@builtin(vertex_index) index: u32) -> @builtin(position) vec4f {
    return corner_of(item.place, index);
}

// Layer pixels that one canvas pixel spans along the unit vector n.
fn pixel_along(n: vec2f) -> f32 {
    return length(vec2f(dot(item.place.to_layer.xy, n), dot(item.place.to_layer.zw, n)));
}

fn rectangle_depth(q: vec2f, grow: f32) -> f32 {
    let half_size = (item.edges.zw - item.edges.xy) * 0.5 + grow;
    let p = q - (item.edges.xy + item.edges.zw) * 0.5;
    // A sharp corner stays sharp however wide its stroke is.
    let radius = select(0.0, max(item.style.x + grow, 0.0), item.style.x > 0.0);
    let d = abs(p) - half_size + radius;
    let outside = max(d, vec2f(0.0));
    let reach = length(outside);
    let side = select(vec2f(0.0, 1.0), vec2f(1.0, 0.0), d.x > d.y);
    let towards = select(side, outside / max(reach, 1e-6), min(d.x, d.y) > 0.0);
    let normal = select(towards, -towards, p < vec2f(0.0));
    return (radius - reach - min(max(d.x, d.y), 0.0)) / pixel_along(normal);
}

// As a rectangle, but where q lies in the square of a round corner.
fn cornered_depth(q: vec2f, grow: f32) -> f32 {
    let radii = item.points[0];
    let left_top = q - item.edges.xy;
    let right_bottom = item.edges.zw - q;
    // From the corner's centre outwards, mirrored to the left top, and its radius.
    var towards = vec3f(0.0);
    if left_top.x < radii.x && left_top.y < radii.x {
        towards = vec3f(radii.x - left_top, radii.x);
    }
    if right_bottom.x < radii.y && left_top.y < radii.y {
        towards = vec3f(radii.y - right_bottom.x, radii.y - left_top.y, radii.y) * vec3f(-1.0, 1.0, 1.0);
    }
    if right_bottom.x < radii.z && right_bottom.y < radii.z {
        towards = vec3f(radii.z - right_bottom, radii.z) * vec3f(-1.0, -1.0, 1.0);
    }
    if left_top.x < radii.w && right_bottom.y < radii.w {
        towards = vec3f(radii.w - left_top.x, radii.w - right_bottom.y, radii.w) * vec3f(1.0, -1.0, 1.0);
    }
    if towards.z <= 0.0 {
        return rectangle_depth(q, grow);
    }
    let reach = length(towards.xy);
    return (towards.z + grow - reach) / pixel_along(towards.xy / max(reach, 1e-6));
}

// To first order at the edge, which is where it counts.
fn ellipse_depth(q: vec2f, grow: f32) -> f32 {
    let radii = item.edges.zw + grow;
    if min(radii.x, radii.y) <= 0.0 {
        return -1e6;
    }
    let p = (q - item.edges.xy) / radii;
    let k = length(p);
    if k < 1e-3 {
        return min(radii.x, radii.y) / pixel_along(vec2f(1.0, 0.0));
    }
    let slope = p / (radii * k);
    return (1.0 - k) / pixel_along(slope);
}

fn point(i: u32) -> vec2f {
    let pair = item.points[i >> 1u];
    return select(pair.xy, pair.zw, (i & 1u) == 1u);
}

// How deep q lies in the polygon by the even-odd rule, in layer pixels, and the layer pixels of one canvas pixel there.
fn polygon_depth(q: vec2f) -> vec2f {
    var nearest = 1e20;
    var away = vec2f(0.0);
    var along = vec2f(1.0, 0.0);
    var depth_sign = -1.0;
    var b = point(item.counts.y - 1u);
    for (var i = 0u; i < item.counts.y; i++) {
        let a = point(i);
        let edge = b - a;
        let from_a = q - a;
        let offset = from_a - edge * saturate(dot(from_a, edge) / max(dot(edge, edge), 1e-12));
        let square = dot(offset, offset);
        if square < nearest {
            nearest = square;
            away = offset;
            along = edge;
        }
        // The edge crosses the ray from q to the right.
        let is_above = q.y >= a.y;
        let is_below = q.y < b.y;
        let is_left = edge.x * from_a.y > edge.y * from_a.x;
        if is_above == is_below && is_below == is_left {
            depth_sign = -depth_sign;
        }
        b = a;
    }
    let distance = sqrt(nearest);
    let across = vec2f(-along.y, along.x) / max(length(along), 1e-6);
    let normal = select(across, away / max(distance, 1e-6), distance > 1e-3);
    return vec2f(depth_sign * distance, pixel_along(normal));
}

// Butt ends: a box along the line.
fn line_coverage(q: vec2f) -> f32 {
    let way = item.edges.zw - item.edges.xy;
    let len = max(length(way), 1e-6);
    let u = way / len;
    let v = vec2f(-u.y, u.x);
    let p = q - item.edges.xy;
    let rate = vec2f(1.0 / pixel_along(u), 1.0 / pixel_along(v));
    return box_coverage(vec2f(dot(p, u), dot(p, v)), vec4f(0.0, -item.style.y, len, item.style.y), rate);
}

// What an outline grown by half the stroke's width covers and one shrunk by it does not.
fn band(outer: f32, inner: f32) -> f32 {
    return saturate(outer + 0.5) - saturate(inner + 0.5);
}

// Coverage by the fill and by the stroke.
fn coverage(q: vec2f) -> vec2f {
    let grow = item.style.y;
    var cover = vec2f(1.0, 0.0);
    if outline == 0u {
        cover.x = saturate(rectangle_depth(q, 0.0) + 0.5);
        if has_stroke {
            cover.y = band(rectangle_depth(q, grow), rectangle_depth(q, -grow));
        }
    }
    if outline == 5u {
        cover.x = saturate(cornered_depth(q, 0.0) + 0.5);
        if has_stroke {
            cover.y = band(cornered_depth(q, grow), cornered_depth(q, -grow));
        }
    }
    if outline == 1u {
        cover.x = saturate(ellipse_depth(q, 0.0) + 0.5);
        if has_stroke {
            cover.y = band(ellipse_depth(q, grow), ellipse_depth(q, -grow));
        }
    }
    if outline == 2u {
        let depth = polygon_depth(q);
        cover = vec2f(saturate(depth.x / depth.y + 0.5), band((depth.x + grow) / depth.y, (depth.x - grow) / depth.y));
    }
    if outline == 3u {
        cover = vec2f(0.0, line_coverage(q));
    }
    return cover;
}

// The colour at an offset, given the colour up to the stop before.
fn up_to(next: Stop, before: Stop, offset: f32, colour: vec4f) -> vec4f {
    return mix(colour, next.colour, saturate((offset - before.place.x) * before.place.y));
}

fn fill_colour(q: vec2f) -> vec4f {
    var colour = item.stops[0].colour;
    if gradient == 0u {
        return colour;
    }
    let from_start = q - item.gradient.xy;
    var offset = dot(from_start, item.gradient.zw);
    if gradient == 2u {
        offset = length(from_start * item.gradient.zw);
    }
    // An index that is known is far cheaper on lavapipe; a stop that is not there changes nothing.
    colour = up_to(item.stops[1], item.stops[0], offset, colour);
    if stops_max > 2u {
        colour = up_to(item.stops[2], item.stops[1], offset, colour);
        colour = up_to(item.stops[3], item.stops[2], offset, colour);
    }
    if stops_max > 4u {
        for (var i = 4u; i < item.counts.x; i++) {
            colour = up_to(item.stops[i], item.stops[i - 1u], offset, colour);
        }
    }
    return colour;
}

@fragment
fn paint(@builtin(position) position: vec4f) -> @location(0) vec4f {
    let q = layer_from_canvas(item.place, position.xy);
    let cover = coverage(q);
    let stroke = item.stroke * cover.y;
    let painted = stroke + fill_colour(q) * (cover.x * (1.0 - stroke.a));
    return painted * (item.style.z * clip_coverage(item.place, q));
}

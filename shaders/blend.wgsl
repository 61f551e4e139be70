// A group's surface, mixed with what lies below it by a blend mode.
//
// CSS Compositing and Blending 1: with straight colours c, alphas a, s the source and b the backdrop,
//
//      ao co = as (1 - ab) cs + as ab B(cb, cs) + (1 - as) ab cb        ao = as + ab - as ab
//
// Modes in CSS's own names follow sections 10 and 11 of it, the plus modes section 9.1.13 of level 2; the others are those
// of CasparCG's `ImageShader`, with its formulas.

// How the texture is read: 0 texel by texel, 1 bilinear.
override sampling: u32 = 1u;
override mode: u32 = 1u;

const MULTIPLY: u32 = 1u;
const SCREEN: u32 = 2u;
const OVERLAY: u32 = 3u;
const DARKEN: u32 = 4u;
const LIGHTEN: u32 = 5u;
const COLOR_DODGE: u32 = 6u;
const COLOR_BURN: u32 = 7u;
const HARD_LIGHT: u32 = 8u;
const SOFT_LIGHT: u32 = 9u;
const DIFFERENCE: u32 = 10u;
const EXCLUSION: u32 = 11u;
const HUE: u32 = 12u;
const SATURATION: u32 = 13u;
const COLOR: u32 = 14u;
const LUMINOSITY: u32 = 15u;
const PLUS_DARKER: u32 = 16u;
const PLUS_LIGHTER: u32 = 17u;
const ADD: u32 = 18u;
const SUBTRACT: u32 = 19u;
const AVERAGE: u32 = 20u;
const NEGATION: u32 = 21u;
const LINEAR_BURN: u32 = 22u;
const LINEAR_LIGHT: u32 = 23u;
const VIVID_LIGHT: u32 = 24u;
const PIN_LIGHT: u32 = 25u;
const HARD_MIX: u32 = 26u;
const REFLECT: u32 = 27u;
const GLOW: u32 = 28u;
const PHOENIX: u32 = 29u;
const DIVIDE: u32 = 30u;
const DARKER_COLOR: u32 = 31u;
const LIGHTER_COLOR: u32 = 32u;

struct Raster {
    place: Place,
    dest: vec4f,
    origin: vec2f,
    level: f32,
    opacity: f32,
}

@group(0) @binding(1) var nearest_level: sampler;
@group(1) @binding(0) var<uniform> item: Raster;
@group(2) @binding(0) var pixels: texture_2d<f32>;
@group(3) @binding(0) var below: texture_2d<f32>;

@vertex
fn corner(@builtin(vertex_index) index: u32) -> @builtin(position) vec4f {
    return corner_of(item.place, index);
}

fn colour_at(p: vec2f, q: vec2f) -> vec4f {
    if sampling == 0u {
        return textureLoad(pixels, vec2i(floor(p - item.origin)), 0);
    }
    return textureSampleLevel(pixels, nearest_level, (q - item.dest.xy) / item.dest.zw, 0.0);
}

fn straight(c: vec4f) -> vec3f {
    return min(c.rgb / max(c.a, 1e-6), vec3f(1.0));
}

fn dodge(b: f32, s: f32) -> f32 {
    if b <= 0.0 {
        return 0.0;
    }
    return select(min(1.0, b / max(1.0 - s, 1e-6)), 1.0, s >= 1.0);
}

fn burn(b: f32, s: f32) -> f32 {
    if b >= 1.0 {
        return 1.0;
    }
    return select(1.0 - min(1.0, (1.0 - b) / max(s, 1e-6)), 0.0, s <= 0.0);
}

fn hard(b: f32, s: f32) -> f32 {
    return select(b + (2.0 * s - 1.0) - b * (2.0 * s - 1.0), b * 2.0 * s, s <= 0.5);
}

fn soft(b: f32, s: f32) -> f32 {
    if s <= 0.5 {
        return b - (1.0 - 2.0 * s) * b * (1.0 - b);
    }
    let d = select(sqrt(b), ((16.0 * b - 12.0) * b + 4.0) * b, b <= 0.25);
    return b + (2.0 * s - 1.0) * (d - b);
}

fn reflect_of(b: f32, s: f32) -> f32 {
    return select(min(1.0, b * b / max(1.0 - s, 1e-6)), s, s >= 1.0);
}

fn vivid(b: f32, s: f32) -> f32 {
    if s < 0.5 {
        return burn(b, 2.0 * s);
    }
    return dodge(b, 2.0 * (s - 0.5));
}

fn pin(b: f32, s: f32) -> f32 {
    return select(max(b, 2.0 * (s - 0.5)), min(b, 2.0 * s), s < 0.5);
}

// One channel of the separable modes.
fn channel(b: f32, s: f32) -> f32 {
    if mode == MULTIPLY { return b * s; }
    if mode == SCREEN { return b + s - b * s; }
    if mode == OVERLAY { return hard(s, b); }
    if mode == DARKEN { return min(b, s); }
    if mode == LIGHTEN { return max(b, s); }
    if mode == COLOR_DODGE { return dodge(b, s); }
    if mode == COLOR_BURN { return burn(b, s); }
    if mode == HARD_LIGHT { return hard(b, s); }
    if mode == SOFT_LIGHT { return soft(b, s); }
    if mode == DIFFERENCE { return abs(b - s); }
    if mode == EXCLUSION { return b + s - 2.0 * b * s; }
    if mode == ADD { return min(b + s, 1.0); }
    if mode == SUBTRACT { return max(b - s, 0.0); }
    if mode == AVERAGE { return (b + s) * 0.5; }
    if mode == NEGATION { return 1.0 - abs(1.0 - b - s); }
    if mode == LINEAR_BURN { return max(b + s - 1.0, 0.0); }
    if mode == LINEAR_LIGHT { return saturate(b + 2.0 * s - 1.0); }
    if mode == VIVID_LIGHT { return vivid(b, s); }
    if mode == PIN_LIGHT { return pin(b, s); }
    if mode == HARD_MIX { return select(1.0, 0.0, vivid(b, s) < 0.5); }
    if mode == REFLECT { return reflect_of(b, s); }
    if mode == GLOW { return reflect_of(s, b); }
    if mode == PHOENIX { return min(b, s) - max(b, s) + 1.0; }
    if mode == DIVIDE { return select(min(1.0, b / max(s, 1e-6)), select(1.0, 0.0, b <= 0.0), s <= 0.0); }
    return s;
}

fn luminosity(c: vec3f) -> f32 {
    return dot(c, vec3f(0.3, 0.59, 0.11));
}

fn clipped(c: vec3f) -> vec3f {
    let l = luminosity(c);
    let lowest = min(c.r, min(c.g, c.b));
    let highest = max(c.r, max(c.g, c.b));
    var d = c;
    if lowest < 0.0 {
        d = l + (d - l) * l / (l - lowest);
    }
    if highest > 1.0 {
        d = l + (d - l) * (1.0 - l) / (highest - l);
    }
    return d;
}

fn with_luminosity(c: vec3f, l: f32) -> vec3f {
    return clipped(c + (l - luminosity(c)));
}

fn saturation(c: vec3f) -> f32 {
    return max(c.r, max(c.g, c.b)) - min(c.r, min(c.g, c.b));
}

fn with_saturation(c: vec3f, s: f32) -> vec3f {
    let lowest = min(c.r, min(c.g, c.b));
    let range = saturation(c);
    return select((c - lowest) * (s / max(range, 1e-6)), vec3f(0.0), range <= 0.0);
}

fn mixed(b: vec3f, s: vec3f) -> vec3f {
    if mode == HUE { return with_luminosity(with_saturation(s, saturation(b)), luminosity(b)); }
    if mode == SATURATION { return with_luminosity(with_saturation(b, saturation(s)), luminosity(b)); }
    if mode == COLOR { return with_luminosity(s, luminosity(b)); }
    if mode == LUMINOSITY { return with_luminosity(b, luminosity(s)); }
    if mode == DARKER_COLOR { return select(b, s, luminosity(s) < luminosity(b)); }
    if mode == LIGHTER_COLOR { return select(b, s, luminosity(s) > luminosity(b)); }
    return vec3f(channel(b.r, s.r), channel(b.g, s.g), channel(b.b, s.b));
}

@fragment
fn paint(@builtin(position) position: vec4f) -> @location(0) vec4f {
    let q = layer_from_canvas(item.place, position.xy);
    let s = colour_at(position.xy, q) * (item.opacity * clip_coverage(item.place, q));
    let b = textureLoad(below, vec2i(floor(position.xy)), 0);
    if mode == PLUS_LIGHTER {
        return min(s + b, vec4f(1.0));
    }
    if mode == PLUS_DARKER {
        let a = min(s.a + b.a, 1.0);
        return vec4f(max(a - (s.a - s.rgb) - (b.a - b.rgb), vec3f(0.0)), a);
    }
    let colour = (1.0 - b.a) * s.rgb + (1.0 - s.a) * b.rgb + s.a * b.a * mixed(straight(b), straight(s));
    return vec4f(colour, s.a + b.a - s.a * b.a);
}

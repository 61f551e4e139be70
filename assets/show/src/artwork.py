"""Paints `artwork.jpg`: the still life as an oil painting, in a carved gilt frame, on a damask wall.

    python3 artwork.py STILL_LIFE.png OUT.jpg          (numpy, scipy, pillow, opencv-python-headless)

Three steps, each a function below: the rendering of `still_life.py` is repainted with some tens of thousands
of brush strokes that follow its forms; the frame and the wall are height fields lit from above; the whole is
put under a gallery spot light. Everything is drawn at twice the size of the result and reduced at the end.
"""
import sys

import cv2
import numpy as np
from PIL import Image
from scipy import ndimage as nd

SIZE = (1344, 1000)                 # the show's main picture
STRIP = 112                         # its lower edge, which the title strip covers
SS = 2                              # supersampling
PICTURE = (870, 570)                # the visible canvas of the painting
MOULDING = 104                      # the width of the frame around it
rng = np.random.default_rng(1932)


def blur(a, sigma):
    return cv2.GaussianBlur(a, (0, 0), sigma)


def fractal(shape, base, octaves=4):
    """Value noise in 0..1 with features from `base` pixels downwards."""
    out, weight = np.zeros(shape, np.float32), 0.0
    for o in range(octaves):
        cell = max(2, base / 2**o)
        grid = rng.random((int(shape[0] / cell) + 3, int(shape[1] / cell) + 3)).astype(np.float32)
        big = cv2.resize(grid, None, fx=cell, fy=cell, interpolation=cv2.INTER_CUBIC)
        out += big[: shape[0], : shape[1]] / 2**o
        weight += 1 / 2**o
    return np.clip(out / weight, 0, 1)


def smoothstep(a, b, x):
    t = np.clip((x - a) / (b - a), 0, 1)
    return t * t * (3 - 2 * t)


def lit(height, light, strength):
    """The cosine between a height field's normals and a light, and the normals."""
    gy, gx = np.gradient(height * strength)
    n = np.dstack([-gx, -gy, np.ones_like(gx)])
    n /= np.linalg.norm(n, axis=2, keepdims=True)
    light = np.array(light, np.float32) / np.linalg.norm(light)
    return n @ light, n


# ---------------------------------------------------------------- the painting

def painting(path):
    w, h = PICTURE[0] * SS, PICTURE[1] * SS
    source = cv2.imread(path)
    source = cv2.medianBlur(source, 3)                                  # fireflies
    source = cv2.fastNlMeansDenoisingColored(source, None, 5, 9, 5, 15)
    ref = cv2.resize(source, (w, h), interpolation=cv2.INTER_CUBIC)[..., ::-1].astype(np.float32) / 255
    ref = np.clip((ref - 0.012) * 1.08, 0, 1) ** 0.90
    ref = ref + np.array([.030, .019, .012], np.float32) * (1 - smoothstep(0, .12, ref.max(axis=2)))[..., None]   # no dead black in oils
    grey = ref.mean(axis=2)
    ref = np.clip(grey[..., None] + (ref - grey[..., None]) * 1.10, 0, 1)

    # Strokes run along the forms: across the smoothed structure tensor's gradient, and freely where there is none.
    g = blur(grey, 4)
    gx, gy = cv2.Sobel(g, cv2.CV_32F, 1, 0), cv2.Sobel(g, cv2.CV_32F, 0, 1)
    jxx, jyy, jxy = blur(gx * gx, 14), blur(gy * gy, 14), blur(gx * gy, 14)
    along = 0.5 * np.arctan2(2 * jxy, jxx - jyy) + np.pi / 2
    sure = np.sqrt((jxx - jyy) ** 2 + 4 * jxy**2) / (jxx + jyy + 1e-7) * smoothstep(1e-6, 3e-5, jxx + jyy)
    loose = (fractal((h, w), 260, 3) - 0.5) * 5 + 0.9
    detail = blur(np.abs(grey - blur(grey, 7)), 9)
    detail = np.clip(detail / np.percentile(detail, 97), 0, 1)

    ground = np.array([0.105, 0.070, 0.042], np.float32)                # umber ground
    paint = np.ones((h, w, 3), np.float32) * ground
    relief = np.zeros((h, w), np.float32)
    layers = ((46, 5.2, 10, 0.92, 0.0), (24, 4.6, 5, 0.90, 0.0), (12, 4.6, 2.5, 0.88, 0.06), (6.5, 4.4, 1.2, 0.86, 0.22), (3.6, 4.2, 0.6, 0.85, 0.40))
    for width, ratio, soft, cover, need in layers:
        colours = blur(ref, soft)
        step = width * 0.62
        ys, xs = np.mgrid[0:h:step, 0:w:step]
        pts = np.stack([xs.ravel(), ys.ravel()], 1) + rng.normal(0, step * 0.45, (xs.size, 2))
        pts = pts[rng.permutation(len(pts))]
        brushes = [brush(width, width * ratio * k) for k in (0.7, 0.85, 1.0, 1.2) for _ in range(3)]
        for x, y in pts:
            xi, yi = int(min(max(x, 0), w - 1)), int(min(max(y, 0), h - 1))
            if detail[yi, xi] < need * (0.6 + 0.8 * rng.random()):
                continue
            # Paint only where the canvas is not yet right: what keeps edges crisp and the ground alive.
            colour = colours[yi, xi]
            if need > 0 and np.abs(paint[yi, xi] - colour).sum() < 0.035:
                continue
            s = sure[yi, xi]
            angle = along[yi, xi] * s + loose[yi, xi] * (1 - s) if s < 0.35 else along[yi, xi]
            angle += rng.normal(0, 0.10)
            stamp(paint, relief, brushes[rng.integers(len(brushes))], x, y, angle, colour, cover, width)

    paint = paint * 0.80 + ref * 0.20                                   # the glaze that pulls the drawing together
    # Impasto: bristle ridges catch the light, more where the paint is light and thick.
    weave = weave_of(h, w)
    thick = relief * (0.35 + 0.9 * blur(grey, 3)) + 0.16 * weave
    shade, n = lit(thick, (-0.55, -0.75, 1.0), 0.85)
    flat = 1.0 / np.linalg.norm((-0.55, -0.75, 1.0))
    paint = paint * (1 + 0.62 * (shade - flat))[..., None]
    gloss = np.clip(n @ (np.array((-0.25, -0.42, 1.0)) / np.linalg.norm((-0.25, -0.42, 1.0))), 0, 1) ** 90
    paint += (0.020 * gloss * (1 - 0.5 * weave))[..., None]
    # Old varnish: a little amber, darker towards the corners, hair-fine craquelure in the darks.
    yy, xx = np.mgrid[-1:1:h * 1j, -1:1:w * 1j]
    paint *= (1 - 0.24 * smoothstep(0.75, 1.45, np.hypot(xx, yy)))[..., None]
    paint *= np.array([1.03, 0.995, 0.93], np.float32)
    paint *= (1 - 0.15 * craquelure(h, w) * (0.4 + 0.6 * (1 - grey)))[..., None]
    return np.clip(paint, 0, 1).astype(np.float32)


def brush(width, length):
    """An alpha mask with streaks along x and a relief of bristles."""
    w, l = max(3, int(width)), max(6, int(length))
    pad = 4
    v = np.linspace(-1, 1, w)[:, None]
    u = np.linspace(0, 1, l)[None, :]
    bristle = np.repeat(rng.random((w, 1)), l, 1)
    bristle = nd.gaussian_filter(bristle + 0.5 * nd.gaussian_filter(rng.random((w, l)), (0, l / 5)) * 2, (0.6, l / 9))
    bristle = (bristle - bristle.min()) / (np.ptp(bristle) + 1e-6)
    start, end = 0.04 + 0.08 * rng.random((w, 1)), 0.72 + 0.26 * bristle[:, -1:]
    body = smoothstep(0, 0.10, u - start * 0.6) * (1 - smoothstep(-0.14, 0.02, u - end))
    edge = 1 - smoothstep(0.72, 1.0, np.abs(v))
    alpha = body * edge * (0.70 + 0.30 * bristle)
    ridge = (bristle * 0.7 + 0.5 * smoothstep(0.5, 0.85, np.abs(v))) * body * edge
    return np.pad(alpha, pad).astype(np.float32), np.pad(ridge, pad).astype(np.float32)


def stamp(paint, relief, mask, x, y, angle, colour, cover, width):
    alpha, ridge = mask
    h, w = paint.shape[:2]
    mh, mw = alpha.shape
    r = int(np.hypot(mh, mw) / 2) + 1
    x0, y0 = int(x) - r, int(y) - r
    c, s = np.cos(angle), np.sin(angle)
    m = np.array([[c, -s, r - c * mw / 2 + s * mh / 2], [s, c, r - s * mw / 2 - c * mh / 2]])
    a = cv2.warpAffine(alpha, m, (2 * r, 2 * r), flags=cv2.INTER_LINEAR)
    k = cv2.warpAffine(ridge, m, (2 * r, 2 * r), flags=cv2.INTER_LINEAR)
    ax0, ay0, ax1, ay1 = max(0, x0), max(0, y0), min(w, x0 + 2 * r), min(h, y0 + 2 * r)
    if ax0 >= ax1 or ay0 >= ay1:
        return
    a = a[ay0 - y0 : ay1 - y0, ax0 - x0 : ax1 - x0]
    k = k[ay0 - y0 : ay1 - y0, ax0 - x0 : ax1 - x0]
    a = a * cover
    tint = np.clip(colour * (1 + rng.normal(0, 0.035)) + rng.normal(0, 0.006, 3), 0, 1).astype(np.float32)
    area = (slice(ay0, ay1), slice(ax0, ax1))
    paint[area] += (tint - paint[area]) * (a * (0.93 + 0.14 * k))[..., None].clip(0, 1)
    relief[area] += (k * min(2.6, 0.55 + width / 14) - relief[area]) * a


def weave_of(h, w):
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    return 0.5 + 0.25 * (np.sin(x * 1.25) * np.sign(np.sin(y * 0.625)) + np.sin(y * 1.25) * np.sign(np.sin(x * 0.625))) * (0.6 + 0.4 * fractal((h, w), 90, 2))


def craquelure(h, w):
    """The borders between the cells of scattered points: two scales of cracks."""
    out = np.zeros((h, w), np.float32)
    for cell, weight in ((46, 1.0), (24, 0.45)):
        seeds = np.ones((h, w), np.uint8)
        n = int(h * w / cell**2)
        seeds[rng.integers(0, h, n), rng.integers(0, w, n)] = 0
        _, labels = cv2.distanceTransformWithLabels(seeds, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
        crack = (cv2.morphologyEx(labels.astype(np.float32), cv2.MORPH_GRADIENT, np.ones((2, 2))) > 0).astype(np.float32)
        out = np.maximum(out, blur(crack, 0.7) * weight * smoothstep(0.45, 0.72, fractal((h, w), 300, 3)))
    return np.clip(out, 0, 1)


# ---------------------------------------------------------------- the frame

def frame():
    """The moulding's colour and alpha, mitred, with acanthus in the cove and beads at both edges."""
    w, h = (PICTURE[0] + 2 * MOULDING) * SS, (PICTURE[1] + 2 * MOULDING) * SS
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    dx, dy = np.minimum(x, w - 1 - x), np.minimum(y, h - 1 - y)
    across = np.minimum(dx, dy) / (MOULDING * SS)                       # 0 outside edge .. 1 sight edge
    horizontal = dy < dx                                                # the rails, against the stiles
    centre = np.where(horizontal, np.abs(x - (w - 1) / 2), np.abs(y - (h - 1) / 2))
    half = np.where(horizontal, w / 2, h / 2)
    corner = half - centre                                              # distance from the outer corner along the side

    knots = [(0, 0), (.02, .30), (.05, .44), (.10, .46), (.13, .38), (.16, .40), (.19, .62), (.25, .86), (.31, .97), (.37, 1.0), (.43, .95), (.48, .80),
             (.50, .66), (.515, .63), (.53, .60), (.60, .45), (.68, .36), (.76, .33), (.80, .36), (.82, .44), (.85, .50), (.88, .50), (.905, .42),
             (.92, .30), (.94, .29), (.96, .24), (1, .10)]
    profile = np.interp(across, *np.array(knots).T)
    m = MOULDING * SS
    z = blur(profile.astype(np.float32), 1.1) * m * 0.34

    def beads(at, size, pitch, rise):
        """A row of beads whose pitch divides the side, so that the middle one sits on its axis."""
        side = half * 2
        p = side / (np.round(side / (pitch * m) / 2) * 2 + 1)
        u = (centre + p / 2) % p - p / 2
        v = (across - at) * m
        d2 = (u**2 + v**2) / (size * m) ** 2
        return np.sqrt(np.clip(1 - d2, 0, 1)) * rise * m

    z = np.maximum(z, np.where(np.abs(across - .865) < .05, .40 * .34 * m, 0) + beads(.865, .034, .078, .034))
    z += beads(.075, .034, .10, .022)

    # Acanthus: leaves that grow from the middle of each side towards the corners, over the torus.
    pitch = half / np.round(half / (0.62 * m))
    t = (centre / pitch) % 1.0
    leafline = (across - .34) / .155
    vein = np.abs(leafline)
    tip = smoothstep(0, .16, t) * (1 - smoothstep(.72, 1.0, t + .28 * vein))
    width_ = .98 * np.sin(np.pi * np.clip(t * .92 + .06, 0, 1)) ** .6
    lobes = .80 + .20 * np.cos(2 * np.pi * (t * 4.5 - vein * 1.2))
    leaf = smoothstep(0, .30, width_ * lobes - vein) * tip
    ribs = .5 + .5 * np.cos(2 * np.pi * (t * 4.5 - vein * 1.6))
    z += leaf * m * (.060 + .030 * ribs - .030 * np.exp(-(vein / .09) ** 2))

    # Gadroons in the cove, leaning away from the middle.
    g = half / np.round(half / (0.155 * m))
    cove = smoothstep(.535, .60, across) * (1 - smoothstep(.73, .795, across))
    lean = (centre + (across - .66) * m * .55) / g
    z += cove * np.sqrt(np.clip(1 - (((lean % 1) - .5) * 2.1) ** 2, 0, 1)) * m * .036

    # Corner and centre cartouches: a shell of rays on a raised boss.
    for cx, cy, radius in cartouches(w, h):
        ux, uy = (x - cx) / radius, (y - cy) / radius
        r, a = np.hypot(ux, uy), np.arctan2(uy, ux)
        rim = 1.0 + .075 * np.cos(a * 12)
        boss = np.sqrt(np.clip(1 - (r / rim) ** 2, 0, 1))
        shell = boss * (.30 + .075 * np.cos(a * 12) * smoothstep(.25, .55, r)) * m
        ring = np.exp(-((r - .40) / .075) ** 2) * .055 * m
        pip = np.sqrt(np.clip(1 - (r / .27) ** 2, 0, 1)) * .10 * m
        base = .34 * .80 * m
        inside = smoothstep(1.06, .94, r / rim)
        z = z * (1 - inside) + np.maximum(z * .72, base + shell + ring + pip) * inside

    z += (fractal((h, w), 5, 2) - .5) * 1.0 + (fractal((h, w), 60, 3) - .5) * 2.2      # the hand of the carver
    z = blur(z.astype(np.float32), 0.9)

    # Gold has no colour of its own: it shows a dark room with a warm lamp above, so light it by its normals.
    key, n = lit(z, (-.30, -.95, .85), .78)
    fill, _ = lit(z, (.75, .25, .6), .78)
    hollow = np.clip((blur(z, 16) - z) / (m * .10), 0, 1)
    hollow = np.maximum(hollow, .8 * np.clip((blur(z, 5) - z) / (m * .035), 0, 1))
    r = 2 * n[..., 2:] * n - np.array([0, 0, 1])
    lamp = np.clip(r @ (np.array([-.22, -.80, .56])), 0, 1)
    tone = .10 + .56 * np.clip(key, 0, 1) ** 1.25 + .10 * np.clip(fill, 0, 1) + .55 * lamp**7 + .55 * lamp**38
    tone *= 1 - .62 * hollow
    stops = np.array([0, .12, .30, .52, .76, 1.0, 1.5])
    gold = np.array([[20, 9, 5], [58, 30, 12], [122, 76, 26], [184, 132, 54], [226, 182, 96], [252, 228, 160], [255, 250, 224]]) / 255
    rgb = np.dstack([np.interp(tone, stops, gold[:, i]) for i in range(3)]).astype(np.float32)
    # Where hands and dusters rubbed the leaf through, the red bole shows.
    worn = smoothstep(.62, .80, fractal((h, w), 70, 4)) * smoothstep(.4, .75, np.clip(z / (m * .40), 0, 1)) * .34
    rgb = rgb * (1 - worn[..., None]) + rgb * np.array([.92, .60, .42], np.float32) * worn[..., None]
    rgb *= (.90 + .20 * fractal((h, w), 26, 3))[..., None]
    rgb *= np.where(across > .955, .50, 1.0)[..., None]                                # the rebate's shadow
    return np.clip(rgb, 0, 1)


def cartouches(w, h):
    m = MOULDING * SS
    o, big, small = .41 * m, .47 * m, .40 * m
    corners = [(cx, cy, big) for cx in (o, w - 1 - o) for cy in (o, h - 1 - o)]
    o = .37 * m
    return corners + [(w / 2, o, small), (w / 2, h - 1 - o, small), (o, h / 2, small), (w - 1 - o, h / 2, small)]


# ---------------------------------------------------------------- the wall

def damask():
    """A silk damask: an ogee lattice with a pomegranate, told from its ground by sheen alone."""
    w, h = SIZE[0] * SS, SIZE[1] * SS
    tw, th = 168 * SS, 250 * SS
    y, x = np.mgrid[0:h, 0:w].astype(np.float32)
    x += 0.5 * (tw - w % tw)                                            # the lattice is centred on the picture's axis

    def motif(ox, oy):
        u = ((x - ox) / tw + .5) % 1 - .5
        v = ((y - oy) / th + .5) % 1 - .5
        au = np.abs(u)
        # The bands of the lattice swell and meet above and below the motif.
        edge = .25 + .215 * np.cos(2 * np.pi * v)
        band = smoothstep(.024, .014, np.abs(au - edge)) * 1.0
        pearls = smoothstep(.010, .004, np.hypot((au - edge + .040), ((v * 22 + .5) % 1 - .5) * .045))
        # The pomegranate: a scaled fruit, a crown, and leaves to both sides.
        fruit = smoothstep(1.06, .98, np.hypot(au / .118, (v + .005) / .118))
        core = smoothstep(1.06, .96, np.hypot(au / .070, (v + .005) / .082))
        scales = np.sin((au * 1.0 + v * .72) * 2 * np.pi / .040) * np.sin((au * 1.0 - v * .72) * 2 * np.pi / .040) > -.12
        seed = core * scales
        a = np.arctan2(u, -(v + .05))
        rad = np.hypot(u * .672, v + .05) / .205
        petals = smoothstep(.02, -.03, rad - (.62 + .36 * np.abs(np.cos(a * 3.5))) ) * (np.abs(a) < 1.62)
        b = np.arctan2(u, v - .05)
        rad2 = np.hypot(u * .672, v - .05) / .19
        leaves = smoothstep(.02, -.03, rad2 - (.45 + .52 * np.abs(np.cos(b * 2.5)))) * (np.abs(b) < 1.30)
        veins = (np.abs(np.sin(a * 3.5)) > .10) * (np.abs(np.sin(b * 2.5)) > .10)
        halo = smoothstep(1.34, 1.26, np.hypot(au / .118, (v + .005) / .118))
        crown = np.clip(petals + leaves, 0, 1) * veins * (1 - halo)
        ringf = fruit - smoothstep(1.06, .98, np.hypot(au / .094, (v + .005) / .100))
        return np.clip(np.maximum.reduce([crown, ringf, seed]), 0, 1), np.clip(band + pearls, 0, 1)

    m1, b1 = motif(0, 0)
    m2, b2 = motif(tw / 2, th / 2)
    u = ((x) / tw + .5) % 1 - .5
    v = ((y) / th + .5) % 1 - .5
    inside = np.abs(u) < (.25 + .215 * np.cos(2 * np.pi * v)) - .05
    pattern = np.where(inside, m1, m2 * (1 - inside))
    pattern = np.clip(np.maximum(pattern, np.maximum(b1, 0)), 0, 1)
    pattern = blur(pattern.astype(np.float32), 1.3)

    ribs = .5 + .5 * np.sin(x * 2 * np.pi / 5.2)                        # the ground is ribbed, the figure satin
    slubs = fractal((h, w), 9, 2) * .5 + nd.gaussian_filter1d(rng.random((h, w)).astype(np.float32), 26, axis=0) * 1.4 - .45
    ground = np.array([92, 14, 30], np.float32) / 255
    figure = np.array([138, 27, 44], np.float32) / 255
    rgb = ground * (.86 + .12 * ribs)[..., None] * (1 - pattern)[..., None] + figure * pattern[..., None]
    relief, _ = lit(pattern * 2.2, (-.4, -.8, 1), 1.0)
    rgb *= (.62 + .50 * relief)[..., None]
    rgb *= (.86 + .28 * slubs)[..., None]
    rgb *= (.92 + .16 * fractal((h, w), 420, 3))[..., None]
    return rgb.astype(np.float32)


# ---------------------------------------------------------------- hanging it

def hang(still, out):
    W, H = SIZE[0] * SS, SIZE[1] * SS
    room = damask()
    art, gilt = painting(still), frame()
    fh, fw = gilt.shape[:2]
    x0, y0 = (W - fw) // 2, ((SIZE[1] - STRIP) * SS - fh) // 2 - 4 * SS
    m = MOULDING * SS

    # The lamp above the frame: a soft pool on the wall, and the shadow the frame throws downwards.
    y, x = np.mgrid[0:H, 0:W].astype(np.float32)
    cx, cy = W / 2, y0 + fh * .42
    pool = np.exp(-(((x - cx) / (W * .46)) ** 2 + ((y - cy) / (H * .50)) ** 2) ** 1.15)
    cone = np.exp(-(((x - cx) / (W * .30)) ** 2 + ((y - y0 * .2) / (H * .24)) ** 2))
    light = .17 + 1.02 * pool + .50 * cone
    room *= (light[..., None] * np.array([1.07, .97, .90], np.float32))
    for dy, sigma, dark in ((10, 8, .55), (34, 26, .55), (74, 60, .45)):
        shadow = np.zeros((H, W), np.float32)
        shadow[y0 + dy * SS // 2 : y0 + fh + dy * SS // 2, x0 + 4 : x0 + fw - 4] = 1
        room *= (1 - dark * blur(shadow, sigma * SS / 2))[..., None]

    lamp = (.66 + .52 * np.exp(-(((x - cx) / (W * .42)) ** 2 + ((y - y0) / (H * .58)) ** 2)))[y0 : y0 + fh, x0 : x0 + fw, None]
    gilt = gilt * lamp
    ph, pw = art.shape[:2]
    # The frame's lip shades the canvas along its top and left.
    yy, xx = np.mgrid[0:ph, 0:pw].astype(np.float32)
    lip = 1 - .62 * np.exp(-yy / (9 * SS)) - .32 * np.exp(-xx / (6 * SS)) - .18 * np.exp(-(pw - xx) / (4 * SS))
    sheen = np.exp(-(((xx - pw * .5) / (pw * .55)) ** 2 + ((yy + ph * .10) / (ph * .42)) ** 2))
    art = art * np.clip(lip, 0, 1)[..., None] * (.94 + .16 * sheen)[..., None] + (.020 * sheen)[..., None]
    gilt[m : m + ph, m : m + pw] = art

    room[y0 : y0 + fh, x0 : x0 + fw] = gilt
    # A breath of glow from the gold, a vignette, the grain of a broadcast camera.
    glow = blur(np.clip(room - .72, 0, 1), 14 * SS)
    room = 1 - (1 - np.clip(room, 0, 1)) * (1 - .55 * np.clip(glow, 0, 1))
    vignette = 1 - .50 * smoothstep(.62, 1.35, np.hypot((x - W / 2) / (W / 2), (y - H * .46) / (H / 2)))
    room *= vignette[..., None]
    small = cv2.resize(room, SIZE, interpolation=cv2.INTER_AREA)
    small += rng.normal(0, .006, small.shape[:2]).astype(np.float32)[..., None]
    soft = blur(small, 1.1)
    small = small + .35 * (small - soft)
    Image.fromarray((np.clip(small, 0, 1) * 255 + .5).astype(np.uint8)).save(out, quality=92, subsampling=0, optimize=True, progressive=False)


if __name__ == "__main__":
    hang(sys.argv[1], sys.argv[2])

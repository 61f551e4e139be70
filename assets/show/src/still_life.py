"""Models and lights the still life that hangs in `artwork.jpg`.

    blender -b -P still_life.py -- OUT.png WIDTH SAMPLES

Everything is built here from lathe profiles, a small sphere packing and one cloth simulation; no outside
model or texture is used. The result is a plain rendering: `artwork.py` turns it into paint and frames it.
Units are arbitrary; the table top is z = 0, the viewer looks along +y.
"""
import math
import random
import sys

import bmesh
import bpy
from mathutils import Matrix, Vector, noise

OUT, WIDTH, SAMPLES = sys.argv[sys.argv.index("--") + 1:][:3]
ASPECT = 870 / 570
random.seed(7)

bpy.ops.wm.read_factory_settings(use_empty=True)
scene = bpy.context.scene


# ---------------------------------------------------------------- helpers

def link(obj):
    scene.collection.objects.link(obj)
    return obj


def mesh_object(name, verts, faces, material, smooth=True):
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(verts, [], faces)
    mesh.materials.append(material)
    for p in mesh.polygons:
        p.use_smooth = smooth
    return link(bpy.data.objects.new(name, mesh))


def lathe(name, profile, material, segments=72, at=(0, 0, 0), rotate=(0, 0, 0), scale=1.0, wobble=0.0, bend=0.0, levels=2):
    """Turns a profile of (radius, height) about z; `wobble` makes it a fruit rather than a machine part."""
    verts, faces = [], []
    seed = random.random() * 50
    for r, z in profile:
        for s in range(segments):
            a = 2 * math.pi * s / segments
            v = Vector((r * math.cos(a), r * math.sin(a), z))
            k = 1 + wobble * noise.noise(v * 1.4 + Vector((seed, 0, 0)))
            verts.append((v.x * k + bend * z * z, v.y * k, v.z))
    for i in range(len(profile) - 1):
        for s in range(segments):
            t = (s + 1) % segments
            faces.append((i * segments + s, i * segments + t, (i + 1) * segments + t, (i + 1) * segments + s))
    obj = mesh_object(name, verts, faces, material)
    obj.location, obj.rotation_euler, obj.scale = at, rotate, (scale,) * 3
    if levels:
        m = obj.modifiers.new("smooth", "SUBSURF")
        m.levels = m.render_levels = levels
    return obj


def tube(name, points, radius, material, taper=None):
    curve = bpy.data.curves.new(name, "CURVE")
    curve.dimensions, curve.bevel_depth, curve.bevel_resolution = "3D", radius, 4
    spline = curve.splines.new("BEZIER")
    spline.bezier_points.add(len(points) - 1)
    for i, (bp, p) in enumerate(zip(spline.bezier_points, points)):
        bp.co, bp.handle_left_type, bp.handle_right_type = p, "AUTO", "AUTO"
        bp.radius = taper[i] if taper else 1
    curve.materials.append(material)
    curve.use_fill_caps = True
    return link(bpy.data.objects.new(name, curve))


class Material:
    """A principled material and a few nodes wired from Python."""

    def __init__(self, name, **principled):
        self.mat = bpy.data.materials.new(name)
        self.mat.use_nodes = True
        self.tree = self.mat.node_tree
        self.bsdf = self.tree.nodes["Principled BSDF"]
        for key, value in principled.items():
            self.bsdf.inputs[key.replace("_", " ")].default_value = value
        self.coords = self.tree.nodes.new("ShaderNodeTexCoord")

    def noise(self, scale, stretch=(1, 1, 1), detail=6):
        m = self.tree.nodes.new("ShaderNodeMapping")
        m.inputs["Scale"].default_value = stretch
        self.tree.links.new(self.coords.outputs["Object"], m.inputs["Vector"])
        n = self.tree.nodes.new("ShaderNodeTexNoise")
        n.inputs["Scale"].default_value, n.inputs["Detail"].default_value = scale, detail
        self.tree.links.new(m.outputs["Vector"], n.inputs["Vector"])
        return n.outputs["Fac"]

    def ramp(self, fac, *stops):
        r = self.tree.nodes.new("ShaderNodeValToRGB")
        while len(r.color_ramp.elements) < len(stops):
            r.color_ramp.elements.new(0.5)
        for e, (pos, col) in zip(r.color_ramp.elements, stops):
            e.position, e.color = pos, (*col, 1)
        self.tree.links.new(fac, r.inputs["Fac"])
        return r.outputs["Color"]

    def mix(self, fac, a, b, mode="MIX"):
        m = self.tree.nodes.new("ShaderNodeMixRGB")
        m.blend_type = mode
        for socket, v in zip(m.inputs, (fac, a, b)):
            if hasattr(v, "is_linked"):
                self.tree.links.new(v, socket)
            else:
                socket.default_value = v if not isinstance(v, tuple) else (*v, 1)
        return m.outputs["Color"]

    def height(self):
        s = self.tree.nodes.new("ShaderNodeSeparateXYZ")
        self.tree.links.new(self.coords.outputs["Object"], s.inputs["Vector"])
        return s.outputs["Z"]

    def math(self, op, a, b):
        m = self.tree.nodes.new("ShaderNodeMath")
        m.operation = op
        for socket, v in zip(m.inputs, (a, b)):
            if hasattr(v, "is_linked"):
                self.tree.links.new(v, socket)
            else:
                socket.default_value = v
        return m.outputs[0]

    def set(self, key, socket):
        self.tree.links.new(socket, self.bsdf.inputs[key])
        return self

    def bump(self, fac, strength, distance=0.02):
        b = self.tree.nodes.new("ShaderNodeBump")
        b.inputs["Strength"].default_value, b.inputs["Distance"].default_value = strength, distance
        self.tree.links.new(fac, b.inputs["Height"])
        self.tree.links.new(b.outputs["Normal"], self.bsdf.inputs["Normal"])
        return self


# ---------------------------------------------------------------- materials

def apple_skin():
    m = Material("apple", Roughness=0.28, Subsurface=0.06, Clearcoat=0.5, Clearcoat_Roughness=0.12)
    m.bsdf.inputs["Subsurface Radius"].default_value = (0.25, 0.08, 0.03)
    m.bsdf.inputs["Subsurface Color"].default_value = (0.8, 0.25, 0.05, 1)
    streaks = m.noise(2.2, (2.6, 2.6, 0.35), 8)
    blush = m.noise(0.75, (1, 1, 0.8), 3)
    red = m.ramp(streaks, (0.3, (0.30, 0.010, 0.012)), (0.52, (0.52, 0.030, 0.016)), (0.7, (0.66, 0.15, 0.03)))
    gold = m.ramp(streaks, (0.35, (0.62, 0.24, 0.03)), (0.6, (0.74, 0.46, 0.08)))
    m.set("Base Color", m.mix(m.ramp(blush, (0.50, (0, 0, 0)), (0.66, (1, 1, 1))), red, gold))
    return m.mat


def green_apple_skin():
    m = Material("green apple", Roughness=0.3, Subsurface=0.06, Clearcoat=0.4, Clearcoat_Roughness=0.15)
    m.bsdf.inputs["Subsurface Radius"].default_value = (0.2, 0.2, 0.05)
    m.bsdf.inputs["Subsurface Color"].default_value = (0.5, 0.5, 0.08, 1)
    green = m.ramp(m.noise(2.5, (2, 2, 0.5)), (0.3, (0.20, 0.26, 0.03)), (0.65, (0.50, 0.47, 0.08)))
    blush = m.ramp(m.noise(0.9, detail=2), (0.52, (0, 0, 0)), (0.72, (0.8, 0.8, 0.8)))
    m.set("Base Color", m.mix(blush, green, (0.55, 0.13, 0.03)))
    return m.mat


def pear_skin():
    m = Material("pear", Roughness=0.36, Subsurface=0.06)
    m.bsdf.inputs["Subsurface Radius"].default_value = (0.25, 0.18, 0.05)
    m.bsdf.inputs["Subsurface Color"].default_value = (0.7, 0.5, 0.1, 1)
    ground = m.ramp(m.noise(1.3), (0.32, (0.40, 0.35, 0.045)), (0.55, (0.62, 0.44, 0.07)), (0.72, (0.60, 0.24, 0.04)))
    specks = m.ramp(m.noise(26, detail=2), (0.66, (0, 0, 0)), (0.74, (0.7, 0.7, 0.7)))
    m.set("Base Color", m.mix(specks, ground, (0.24, 0.13, 0.03)))
    return m.mat


def grape_skin(name, dark, light):
    m = Material(name, Roughness=0.22, Subsurface=0.08)
    m.bsdf.inputs["Subsurface Radius"].default_value = (0.2, 0.08, 0.12)
    m.bsdf.inputs["Subsurface Color"].default_value = (*light, 1)
    bloom = m.noise(3, detail=5)
    m.set("Base Color", m.ramp(bloom, (0.35, dark), (0.7, light)))
    m.set("Roughness", m.ramp(bloom, (0.4, (0.16,) * 3), (0.65, (0.5,) * 3)))
    return m.mat


def linen():
    m = Material("linen", Roughness=0.85, Sheen=0.4)
    m.set("Base Color", m.ramp(m.noise(2.2), (0.3, (0.62, 0.57, 0.48)), (0.7, (0.78, 0.74, 0.66))))
    m.bump(m.noise(90, detail=2), 0.15)
    return m.mat


def velvet():
    m = Material("velvet", Roughness=0.75, Sheen=1.0, Sheen_Tint=0.8)
    m.set("Base Color", m.ramp(m.noise(1.6), (0.3, (0.008, 0.035, 0.055)), (0.7, (0.016, 0.075, 0.10))))
    return m.mat


def walnut_wood():
    m = Material("table", Roughness=0.38)
    grain = m.noise(2.0, (0.6, 7, 7), 8)
    m.set("Base Color", m.ramp(grain, (0.3, (0.030, 0.014, 0.007)), (0.7, (0.11, 0.050, 0.020))))
    m.bump(grain, 0.15)
    return m.mat


def plaster():
    m = Material("wall", Roughness=0.95)
    m.set("Base Color", m.ramp(m.noise(0.35, detail=8), (0.3, (0.045, 0.037, 0.024)), (0.7, (0.10, 0.078, 0.048))))
    return m.mat


def pewter():
    m = Material("pewter", Metallic=1.0, Base_Color=(0.55, 0.53, 0.49, 1))
    m.set("Roughness", m.ramp(m.noise(3.5, detail=7), (0.3, (0.16,) * 3), (0.7, (0.34,) * 3)))
    m.bump(m.noise(5, detail=4), 0.06)
    return m.mat


def lemon_peel():
    m = Material("lemon", Roughness=0.42, Subsurface=0.05, Clearcoat=0.2)
    m.bsdf.inputs["Subsurface Color"].default_value = (0.8, 0.5, 0.05, 1)
    m.bsdf.inputs["Subsurface Radius"].default_value = (0.2, 0.12, 0.02)
    m.set("Base Color", m.ramp(m.noise(1.5), (0.3, (0.72, 0.40, 0.012)), (0.7, (0.80, 0.54, 0.03))))
    m.bump(m.noise(24, detail=2), 0.35)
    return m.mat


def plain(name, colour, roughness=0.7, **rest):
    return Material(name, Base_Color=(*colour, 1), Roughness=roughness, **rest).mat


def leaf_green():
    m = Material("leaf", Roughness=0.5)
    m.set("Base Color", m.ramp(m.noise(3), (0.3, (0.03, 0.055, 0.012)), (0.7, (0.14, 0.15, 0.03))))
    return m.mat


def glass(name, colour, ior, roughness=0.0):
    return Material(name, Base_Color=(*colour, 1), Transmission=1.0, IOR=ior, Roughness=roughness).mat


STEM = plain("stem", (0.09, 0.05, 0.02))
PITH = plain("pith", (0.80, 0.72, 0.50), 0.8, Subsurface=0.1)
APPLE, GREEN_APPLE, PEAR = apple_skin(), green_apple_skin(), pear_skin()
LEAF, PEWTER, LEMON = leaf_green(), pewter(), lemon_peel()


# ---------------------------------------------------------------- room

bpy.ops.mesh.primitive_cube_add(size=1, location=(0, 1.0, -0.25))
table = bpy.context.object
table.dimensions = (16, 5.2, 0.5)       # front edge at y = -1.6
bpy.ops.object.transform_apply(scale=True)
table.data.materials.append(walnut_wood())
bevel = table.modifiers.new("bevel", "BEVEL")
bevel.width, bevel.segments = 0.06, 4

bpy.ops.mesh.primitive_plane_add(size=40, location=(0, 5.0, 0), rotation=(math.pi / 2, 0, 0))
bpy.context.object.data.materials.append(plaster())


# ---------------------------------------------------------------- cloth

def cloth(name, material, size, at, turn, ripple, seed, frames=64, n=80):
    """Drops a rippled sheet on the table and lets gravity make the folds."""
    sx, sy = size
    verts, faces = [], []
    for j in range(n + 1):
        for i in range(n + 1):
            x, y = sx * (i / n - 0.5), sy * (j / n - 0.5)
            p = Vector((x * 0.9, y * 0.9, seed))
            z = ripple * (math.sin(x * 3.1 + 1.4 * noise.noise(p)) + 0.6 * math.sin(y * 2.7 + x + 2 * noise.noise(p * 1.3)))
            verts.append((x * 0.86, y * 0.9, z))
    for j in range(n):
        for i in range(n):
            a = j * (n + 1) + i
            faces.append((a, a + 1, a + n + 2, a + n + 1))
    obj = mesh_object(name, verts, faces, material)
    obj.location, obj.rotation_euler = at, (0, 0, turn)
    sim = obj.modifiers.new("cloth", "CLOTH")
    s = sim.settings
    s.quality, s.mass, s.air_damping = 7, 0.35, 1.4
    s.tension_stiffness = s.compression_stiffness = 18
    s.bending_stiffness = 0.25
    c = sim.collision_settings
    c.distance_min, c.use_self_collision, c.self_distance_min, c.collision_quality = 0.012, True, 0.012, 3
    sim.point_cache.frame_end = frames
    for f in range(1, frames + 1):
        scene.frame_set(f)
    deps = bpy.context.evaluated_depsgraph_get()
    settled = bpy.data.meshes.new_from_object(obj.evaluated_get(deps))
    obj.modifiers.clear()
    obj.data = settled
    thick = obj.modifiers.new("thick", "SOLIDIFY")
    thick.thickness = 0.018
    sub = obj.modifiers.new("smooth", "SUBSURF")
    sub.levels = sub.render_levels = 2
    return obj


table.modifiers.new("collide", "COLLISION")
table.collision.thickness_outer = 0.02
table.collision.cloth_friction = 60
velvet_sheet = cloth("velvet", velvet(), (4.6, 4.2), (-2.2, -0.05, 0.40), 0.32, 0.19, 3.1)
scene.frame_set(1)
linen_sheet = cloth("linen", linen(), (4.3, 3.5), (1.75, -0.35, 0.46), -0.36, 0.17, 9.7)


# ---------------------------------------------------------------- vessels

JUG = [(0.0, 0.0), (0.62, 0.0), (0.66, 0.04), (0.64, 0.10), (0.50, 0.18), (0.44, 0.28), (0.50, 0.40), (0.70, 0.66), (0.83, 0.98),
       (0.85, 1.22), (0.78, 1.48), (0.60, 1.74), (0.44, 1.96), (0.38, 2.16), (0.385, 2.36), (0.43, 2.50), (0.46, 2.54), (0.47, 2.58),
       (0.46, 2.62), (0.42, 2.64), (0.40, 2.70), (0.34, 2.80), (0.22, 2.88), (0.10, 2.92), (0.06, 2.97), (0.09, 3.03), (0.10, 3.09),
       (0.06, 3.15), (0.0, 3.16)]
lathe("jug", JUG, PEWTER, at=(-0.95, 1.15, 0.03))
tube("handle", [(-1.42, 1.15, 2.40), (-1.72, 1.12, 2.62), (-2.16, 1.08, 2.28), (-2.18, 1.08, 1.72), (-1.92, 1.1, 1.18), (-1.66, 1.12, 1.0)],
     0.085, PEWTER, (0.9, 1.2, 1.1, 1.0, 0.9, 0.8))
for z, r in ((0.66, 0.71), (1.48, 0.79), (2.05, 0.42)):   # turned rings
    bpy.ops.mesh.primitive_torus_add(major_radius=r, minor_radius=0.022, location=(-0.95, 1.15, z + 0.03), major_segments=96)
    bpy.context.object.data.materials.append(PEWTER)
    bpy.ops.object.shade_smooth()

GOBLET = [(0.0, 0.0), (0.50, 0.0), (0.51, 0.02), (0.42, 0.05), (0.16, 0.10), (0.08, 0.18), (0.065, 0.42), (0.10, 0.50), (0.115, 0.56), (0.09, 0.63),
          (0.065, 0.72), (0.075, 0.86), (0.17, 0.95), (0.38, 1.10), (0.51, 1.32), (0.555, 1.58), (0.54, 1.86), (0.49, 2.16), (0.485, 2.18),
          (0.475, 2.16), (0.525, 1.86), (0.54, 1.58), (0.495, 1.33), (0.36, 1.12), (0.15, 0.98), (0.0, 0.95)]
lathe("glass", GOBLET, glass("glass", (0.97, 0.99, 0.96), 1.47), at=(1.55, 0.95, 0.03), scale=1.12)
WINE = [(0.0, 0.958), (0.148, 0.988), (0.357, 1.128), (0.490, 1.335), (0.534, 1.56), (0.530, 1.62), (0.0, 1.62)]
lathe("wine", WINE, glass("wine", (0.62, 0.055, 0.05), 1.34), at=(1.55, 0.95, 0.03), scale=1.12, levels=1)

PLATE = [(0.0, 0.03), (0.85, 0.03), (1.0, 0.06), (1.18, 0.15), (1.45, 0.19), (1.50, 0.195), (1.51, 0.21), (1.50, 0.225), (1.44, 0.22),
         (1.17, 0.185), (0.98, 0.10), (0.84, 0.075), (0.0, 0.07)]
lathe("plate", PLATE, PEWTER, at=(0.45, 0.12, 0.02))


# ---------------------------------------------------------------- fruit

def apple_profile():
    return [(0.001, 0.13), (0.06, 0.09), (0.13, 0.03), (0.24, 0.0), (0.36, 0.04), (0.50, 0.19), (0.585, 0.40), (0.60, 0.60), (0.55, 0.80), (0.44, 0.955),
            (0.31, 1.03), (0.19, 1.03), (0.10, 0.975), (0.045, 0.90), (0.001, 0.86)]


def stem_of(obj, base, length, lean, radius=0.022):
    s = tube("stem", [(0, 0, base), (lean * 0.3, 0, base + length * 0.5), (lean, 0.02, base + length)], radius, STEM, (0.8, 0.8, 1.5))
    s.parent = obj
    return s


def apple(material, at, turn, size=1.0):
    obj = lathe("apple", apple_profile(), material, at=at, rotate=turn, scale=size, wobble=0.07)
    stem_of(obj, 0.84, 0.34, 0.10)


def leaf(at, turn, size, curl=0.25):
    verts, faces, n = [], [], 14
    for i in range(n + 1):
        t = i / n
        w = 0.30 * math.sin(math.pi * t ** 0.8) ** 0.9 * (1 - 0.25 * t)
        for k in (-1, -0.5, 0, 0.5, 1):
            wave = 0.05 * math.sin(9 * t + 2 * k) * abs(k)
            verts.append((k * w, t, 0.10 * abs(k) * w * 3 - curl * t * t + wave))
    for i in range(n):
        for k in range(4):
            a = i * 5 + k
            faces.append((a, a + 1, a + 6, a + 5))
    obj = mesh_object("leaf", verts, faces, LEAF)
    obj.location, obj.rotation_euler, obj.scale = at, turn, (size,) * 3
    obj.modifiers.new("thick", "SOLIDIFY").thickness = 0.012
    obj.modifiers.new("smooth", "SUBSURF").render_levels = 2


# The hero of the picture stands alone in the light, on the bare wood between the two cloths.
apple(APPLE, (-0.62, -0.98, 0.02), (0.10, -0.14, 2.5), 1.06)
leaf((-0.52, -0.98, 1.13), (0.5, 0.35, -1.25), 0.62)
apple(GREEN_APPLE, (-0.02, 0.34, 0.10), (-0.5, 0.25, 0.4), 0.98)
apple(APPLE, (0.62, 0.72, 0.12), (0.15, 0.12, 4.0), 0.98)

PEAR_PROFILE = [(0.001, 0.05), (0.12, 0.01), (0.28, 0.02), (0.46, 0.14), (0.565, 0.34), (0.575, 0.54), (0.51, 0.76), (0.40, 0.96), (0.305, 1.14),
                (0.25, 1.30), (0.205, 1.42), (0.14, 1.50), (0.07, 1.525), (0.001, 1.52)]
pear = lathe("pear", PEAR_PROFILE, PEAR, at=(-1.92, -0.30, 0.07), rotate=(0.05, 0.07, 1.0), scale=1.02, wobble=0.06, bend=0.03)
stem_of(pear, 1.50, 0.30, 0.16)
pear2 = lathe("pear", PEAR_PROFILE, PEAR, at=(-2.98, 0.15, 0.52), rotate=(1.42, 0.2, 2.25), scale=0.96, wobble=0.07, bend=0.04)
stem_of(pear2, 1.50, 0.28, 0.14)


def bunch(material, centre, radii, count, size, floor):
    """A hanging bunch: spheres drawn to an axis and pushed apart until none overlap."""
    pts = []
    for _ in range(count):
        t = random.random()
        pts.append([Vector((centre[0] + radii[0] * (2 * t - 1), centre[1] + radii[1] * random.uniform(-1, 1) * (1 - 0.5 * t),
                            centre[2] + radii[2] * random.random() * (1 - 0.6 * t))), size * random.uniform(0.86, 1.1)])
    for _ in range(160):
        for i, (p, r) in enumerate(pts):
            p.z -= 0.008
            for q, s in pts[:i]:
                d = p - q
                gap = r + s - d.length
                if gap > 0:
                    push = d.normalized() * (gap * 0.5)
                    p += push
                    q -= push
            p.z = max(p.z, floor(p) + r * 0.9)
    for p, r in pts:
        bpy.ops.mesh.primitive_uv_sphere_add(radius=r, segments=32, ring_count=20, location=p, rotation=(random.random() * 6, random.random() * 6, 0))
        o = bpy.context.object
        o.scale = (1, 1, random.uniform(1.0, 1.14))
        o.data.materials.append(material)
        bpy.ops.object.shade_smooth()
    return pts


def plate_floor(p):
    d = math.hypot(p.x - 0.45, p.y - 0.12)
    return 0.10 if d < 1.0 else 0.22 if d < 1.5 else 0.03


BLACK_GRAPE = grape_skin("black grape", (0.018, 0.006, 0.022), (0.11, 0.035, 0.10))
WHITE_GRAPE = grape_skin("white grape", (0.20, 0.20, 0.035), (0.46, 0.42, 0.12))
bunch(BLACK_GRAPE, (1.02, -0.22, 0.30), (0.66, 0.42, 0.95), 58, 0.165, plate_floor)
bunch(WHITE_GRAPE, (0.62, -0.95, 0.10), (0.42, 0.20, 0.25), 11, 0.160, plate_floor)
tube("vine", [(0.55, 0.25, 1.0), (0.85, 0.1, 1.22), (1.2, 0.05, 1.25), (1.42, 0.12, 1.42)], 0.03, STEM)
leaf((0.95, 0.05, 1.12), (0.15, -0.25, 2.35), 0.95, 0.35)
leaf((0.80, 0.0, 1.10), (-0.35, 0.1, -2.5), 0.8, 0.2)
leaf((1.35, 0.15, 1.28), (0.3, 0.2, -1.2), 0.75, 0.4)

# The lemon, half peeled, its peel hanging over the edge of the table.
LEMON_PROFILE = [(0.001, -0.66), (0.06, -0.64), (0.09, -0.58), (0.17, -0.51), (0.31, -0.38), (0.41, -0.18), (0.435, 0.0), (0.41, 0.18), (0.31, 0.38), (0.17, 0.52),
                 (0.10, 0.58), (0.07, 0.63), (0.001, 0.66)]
lathe("lemon", LEMON_PROFILE, LEMON, at=(2.52, -0.42, 0.50), rotate=(1.25, 0.0, 0.75), scale=0.98, wobble=0.05)


def cut_lemon(at, rotate, size):
    """A half, its face drawn as segments by vertex colours."""
    lathe("rind", [(0.001, -0.60), (0.07, -0.56), (0.17, -0.49), (0.31, -0.36), (0.41, -0.16), (0.435, 0.0)], LEMON, at=at, rotate=rotate, scale=size, levels=2)
    m = Material("lemon flesh", Roughness=0.22, Subsurface=0.2, Specular=0.7)
    m.bsdf.inputs["Subsurface Color"].default_value = (0.75, 0.62, 0.2, 1)
    attr = m.tree.nodes.new("ShaderNodeVertexColor")
    attr.layer_name = "segments"
    m.set("Base Color", attr.outputs["Color"])
    m.bump(m.noise(16, (1, 1, 1), 4), 0.4)
    rings, segs = 40, 180
    verts, faces, tints = [(0, 0, 0)], [], [(0.82, 0.74, 0.5, 1)]
    for i in range(1, rings + 1):
        for s in range(segs):
            r, a = 0.435 * i / rings, 2 * math.pi * s / segs
            spoke = abs((a / (2 * math.pi) * 9) % 1 - 0.5) * 2            # 1 on a membrane, 0 amid a segment
            flesh = 0.06 < r < 0.375 and spoke < 1 - 0.022 / max(r, 0.02)
            verts.append((r * math.cos(a), r * math.sin(a), 0.008 * (1 - spoke) if flesh else 0.0))
            tints.append((0.72, 0.56, 0.12, 1) if flesh else (0.86, 0.80, 0.60, 1) if r < 0.42 else (0.76, 0.48, 0.03, 1))
    for s in range(segs):
        faces.append((0, 1 + s, 1 + (s + 1) % segs))
    for i in range(rings - 1):
        for s in range(segs):
            t = (s + 1) % segs
            faces.append((1 + i * segs + s, 1 + (i + 1) * segs + s, 1 + (i + 1) * segs + t, 1 + i * segs + t))
    obj = mesh_object("flesh", verts, faces, m.mat)
    layer = obj.data.vertex_colors.new(name="segments")
    for loop in obj.data.loops:
        layer.data[loop.index].color = tints[loop.vertex_index]
    obj.location, obj.rotation_euler, obj.scale = at, rotate, (size,) * 3


cut_lemon((1.62, -1.22, 0.47), (1.22, 0.0, -0.38), 1.0)


def peel():
    """A ribbon that winds down from the lemon over the edge of the cloth."""
    n, width = 150, 0.21
    verts, faces = [], []
    for i in range(n + 1):
        t = i / n
        a = -2.2 + t * 13.2
        radius = 0.36 - 0.06 * t
        over = max(0.0, t - 0.24)
        c = Vector((2.36 + 0.12 * t, -1.22 - min(0.62, 1.9 * t) * 1.0, 0.50 - 1.75 * over + 0.25 * math.sin(t * 3)))
        out = Vector((math.cos(a), 0.75 * math.sin(a), 0.30 * math.sin(a + 0.6)))
        tangent = Vector((-math.sin(a), 0.75 * math.cos(a), -0.30)).normalized()
        across = out.cross(tangent).normalized()
        w = width * min(1, 6 * t + 0.5, 5 * (1 - t) + 0.15)
        for k in (-0.5, 0, 0.5):
            verts.append(c + out * (radius - 0.03 * abs(k)) + across * (w * k * 1.1))
    for i in range(n):
        for k in range(2):
            b = i * 3 + k
            faces.append((b, b + 1, b + 4, b + 3))
    obj = mesh_object("peel", verts, faces, PITH)
    obj.data.materials.append(LEMON)
    thick = obj.modifiers.new("thick", "SOLIDIFY")
    thick.thickness, thick.offset, thick.material_offset, thick.material_offset_rim = 0.045, -1, 1, 0
    obj.modifiers.new("smooth", "SUBSURF").render_levels = 2


peel()


def cherry(at, tip):
    bpy.ops.mesh.primitive_uv_sphere_add(radius=0.17, segments=40, ring_count=24, location=at)
    o = bpy.context.object
    o.scale = (1, 1, 0.93)
    o.data.materials.append(CHERRY)
    bpy.ops.object.shade_smooth()
    x, y, z = at
    tube("stalk", [(x, y, z + 0.14), ((x + tip[0]) / 2 - 0.05, (y + tip[1]) / 2, (z + tip[2]) / 2 + 0.16), tip], 0.014, LEAF, (1, 0.8, 1.5))


CHERRY = Material("cherry", Base_Color=(0.26, 0.004, 0.010, 1), Roughness=0.1, Clearcoat=0.8).mat
for at, tip in (((-1.72, -1.28, 0.27), (-1.38, -1.22, 0.74)), ((-1.36, -1.40, 0.22), (-1.38, -1.22, 0.74)), ((0.28, -1.42, 0.18), (0.66, -1.36, 0.46)),
                ((-2.62, -0.98, 0.34), (-2.30, -1.10, 0.72))):
    cherry(at, tip)


# ---------------------------------------------------------------- light, camera, picture

def area_light(at, target, size, power, colour):
    data = bpy.data.lights.new("light", "AREA")
    data.shape, data.size, data.size_y, data.energy, data.color = "RECTANGLE", size[0], size[1], power, colour
    obj = link(bpy.data.objects.new("light", data))
    obj.location = at
    obj.rotation_euler = (Vector(target) - Vector(at)).to_track_quat("-Z", "Y").to_euler()


area_light((-6.2, -4.6, 6.4), (0.0, 0.0, 0.6), (1.9, 2.6), 1300, (1.0, 0.88, 0.70))     # the studio window, north-west
area_light((6.5, -5.0, 2.5), (0.5, 0, 0.8), (4, 4), 26, (0.55, 0.66, 1.0))              # sky from the doorway
area_light((-3.6, 3.6, 5.2), (-0.5, 4.9, 2.3), (2.2, 2.2), 170, (1.0, 0.80, 0.55))       # a glow upon the wall
scene.world = bpy.data.worlds.new("world")
scene.world.use_nodes = True
scene.world.node_tree.nodes["Background"].inputs[0].default_value = (0.010, 0.008, 0.006, 1)

camera = link(bpy.data.objects.new("camera", bpy.data.cameras.new("camera")))
camera.data.lens, camera.data.sensor_width = 57, 36
camera.location = (0.0, -11.6, 3.15)
camera.rotation_euler = (Vector((-0.03, 0.0, 1.02)) - camera.location).to_track_quat("-Z", "Y").to_euler()
scene.camera = camera

scene.render.engine = "CYCLES"
scene.cycles.samples = int(SAMPLES)
scene.cycles.use_adaptive_sampling = True
scene.cycles.adaptive_threshold = 0.03
scene.cycles.use_denoising = False
scene.cycles.max_bounces, scene.cycles.transmission_bounces, scene.cycles.glossy_bounces = 10, 10, 4
scene.cycles.sample_clamp_indirect = 4
scene.view_settings.view_transform = "Filmic"
scene.view_settings.look = "High Contrast"
scene.view_settings.exposure = 0.25
scene.render.resolution_x, scene.render.resolution_y = int(WIDTH), round(int(WIDTH) / ASPECT)
scene.render.image_settings.file_format = "PNG"
scene.render.filepath = OUT
bpy.ops.render.render(write_still=True)

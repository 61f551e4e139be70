//! Rectangles and affine maps in canvas and layer pixels: origin top left, y down, degrees clockwise.

/// An axis-aligned rectangle, in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rect {
    /// Left edge.
    pub x: f32,
    /// Top edge.
    pub y: f32,
    /// Width, at least 0.
    pub w: f32,
    /// Height, at least 0.
    pub h: f32,
}

impl Rect {
    /// A rectangle by its corner and size; a negative size becomes 0.
    pub fn new(x: f32, y: f32, w: f32, h: f32) -> Self {
        Self { x, y, w: w.max(0.0), h: h.max(0.0) }
    }

    /// The rectangle of this size at the origin.
    pub fn at_origin([w, h]: [f32; 2]) -> Self {
        Self::new(0.0, 0.0, w, h)
    }

    /// Right edge.
    pub fn right(self) -> f32 {
        self.x + self.w
    }

    /// Bottom edge.
    pub fn bottom(self) -> f32 {
        self.y + self.h
    }

    /// Whether it covers no area.
    pub fn is_empty(self) -> bool {
        self.w <= 0.0 || self.h <= 0.0
    }

    /// Grown (or, when negative, shrunk) by `by` pixels on each side.
    pub fn inflate(self, by: f32) -> Self {
        Self::new(self.x - by, self.y - by, self.w + 2.0 * by, self.h + 2.0 * by)
    }

    /// The smallest rectangle around both.
    pub fn join(self, other: Self) -> Self {
        let (x, y) = (self.x.min(other.x), self.y.min(other.y));
        Self::new(x, y, self.right().max(other.right()) - x, self.bottom().max(other.bottom()) - y)
    }

    /// What both cover; empty when they do not touch.
    pub fn intersect(self, other: Self) -> Self {
        let (x, y) = (self.x.max(other.x), self.y.max(other.y));
        Self::new(x, y, self.right().min(other.right()) - x, self.bottom().min(other.bottom()) - y)
    }
}

/// `x' = a x + c y + e`, `y' = b x + d y + f`: the matrix of CSS `matrix(a, b, c, d, e, f)`.
#[derive(Debug, Clone, Copy, PartialEq)]
#[expect(missing_docs, reason = "the six letters are the notation of CSS and SVG")]
pub struct Affine {
    pub a: f32,
    pub b: f32,
    pub c: f32,
    pub d: f32,
    pub e: f32,
    pub f: f32,
}

impl Affine {
    /// Leaves every point where it is.
    pub const IDENTITY: Self = Self { a: 1.0, b: 0.0, c: 0.0, d: 1.0, e: 0.0, f: 0.0 };

    /// Puts the point `anchor` of a layer at `position`, scaled and turned about it.
    pub fn place(position: [f64; 2], anchor: [f64; 2], scale: [f64; 2], degrees: f64) -> Self {
        let (sin, cos) = sin_cos(degrees);
        let (a, b) = (cos * scale[0], sin * scale[0]);
        let (c, d) = (-sin * scale[1], cos * scale[1]);
        Self {
            a: a as f32,
            b: b as f32,
            c: c as f32,
            d: d as f32,
            e: (position[0] - a * anchor[0] - c * anchor[1]) as f32,
            f: (position[1] - b * anchor[0] - d * anchor[1]) as f32,
        }
    }

    /// Scales by one factor about the origin.
    pub fn scaling(factor: f32) -> Self {
        Self { a: factor, d: factor, ..Self::IDENTITY }
    }

    /// The map that does `first`, then this.
    pub fn after(self, first: Self) -> Self {
        let [e, f] = self.apply([first.e, first.f]);
        Self {
            a: self.a * first.a + self.c * first.b,
            b: self.b * first.a + self.d * first.b,
            c: self.a * first.c + self.c * first.d,
            d: self.b * first.c + self.d * first.d,
            e,
            f,
        }
    }

    /// The same, and then moved.
    pub fn moved(self, x: f32, y: f32) -> Self {
        Self { e: self.e + x, f: self.f + y, ..self }
    }

    /// Where a point goes.
    pub fn apply(self, [x, y]: [f32; 2]) -> [f32; 2] {
        [self.a * x + self.c * y + self.e, self.b * x + self.d * y + self.f]
    }

    /// The way back; `None` for a map that flattens everything onto a line.
    pub fn inverse(self) -> Option<Self> {
        let det = self.a * self.d - self.b * self.c;
        (det.abs() > 1e-9 && det.is_finite()).then(|| Self {
            a: self.d / det,
            b: -self.b / det,
            c: -self.c / det,
            d: self.a / det,
            e: (self.c * self.f - self.d * self.e) / det,
            f: (self.b * self.e - self.a * self.f) / det,
        })
    }

    /// The longer of the two scaled unit vectors: how many canvas pixels a layer pixel spans at most.
    pub fn scale(self) -> f32 {
        self.a.hypot(self.b).max(self.c.hypot(self.d))
    }

    /// The smallest rectangle around the image of `rect`.
    pub fn bounds_of(self, rect: Rect) -> Rect {
        let corners =
            [[rect.x, rect.y], [rect.right(), rect.y], [rect.x, rect.bottom()], [rect.right(), rect.bottom()]]
                .map(|corner| self.apply(corner));
        let min = |i: usize| corners.iter().map(|c| c[i]).fold(f32::INFINITY, f32::min);
        let max = |i: usize| corners.iter().map(|c| c[i]).fold(f32::NEG_INFINITY, f32::max);
        Rect::new(min(0), min(1), max(0) - min(0), max(1) - min(1))
    }
}

/// A map that keeps lines straight but not parallel: `x' = (a x + b y + c) / w`, `y' = (d x + e y + f) / w` with
/// `w = g x + h y + i`; rows `[a, b, c]`, `[d, e, f]`, `[g, h, i]`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Projective(pub [[f64; 3]; 3]);

impl Projective {
    /// The map of a rectangle that is not empty onto a convex quadrangle; corners clockwise from the top left. `None` for
    /// one that is not convex or next to nothing.
    pub fn pinning(rect: Rect, corners: [[f64; 2]; 4]) -> Option<Self> {
        if rect.is_empty() || !is_convex(corners) {
            return None;
        }
        // Heckbert, Fundamentals of Texture Mapping and Image Warping, section 2.2.3: from the unit square.
        let [p0, p1, p2, p3] = corners;
        let (dx1, dx2, dx3) = (p1[0] - p2[0], p3[0] - p2[0], p0[0] - p1[0] + p2[0] - p3[0]);
        let (dy1, dy2, dy3) = (p1[1] - p2[1], p3[1] - p2[1], p0[1] - p1[1] + p2[1] - p3[1]);
        let det = dx1 * dy2 - dx2 * dy1;
        let (g, h) = ((dx3 * dy2 - dx2 * dy3) / det, (dx1 * dy3 - dx3 * dy1) / det);
        let from_square = Self([
            [p1[0] - p0[0] + g * p1[0], p3[0] - p0[0] + h * p3[0], p0[0]],
            [p1[1] - p0[1] + g * p1[1], p3[1] - p0[1] + h * p3[1], p0[1]],
            [g, h, 1.0],
        ]);
        let [x, y, w, h] = [rect.x, rect.y, rect.w, rect.h].map(f64::from);
        Some(from_square.after(Self([[1.0 / w, 0.0, -x / w], [0.0, 1.0 / h, -y / h], [0.0, 0.0, 1.0]])))
    }

    /// The map that does `first`, then this.
    pub fn after(self, first: Self) -> Self {
        let cell = |i: usize, j: usize| (0..3).map(|k| self.0[i][k] * first.0[k][j]).sum();
        Self([0, 1, 2].map(|i| [0, 1, 2].map(|j| cell(i, j))))
    }

    /// The way back.
    pub fn inverse(self) -> Self {
        let [[a, b, c], [d, e, f], [g, h, i]] = self.0;
        let det = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
        let adjugate = [
            [e * i - f * h, c * h - b * i, b * f - c * e],
            [f * g - d * i, a * i - c * g, c * d - a * f],
            [d * h - e * g, b * g - a * h, a * e - b * d],
        ];
        Self(adjugate.map(|row| row.map(|v| v / det)))
    }

    /// Where a point goes; `None` for one that lies behind the eye.
    pub fn apply(self, [x, y]: [f64; 2]) -> Option<[f64; 2]> {
        let [u, v, w] = self.0.map(|row| row[0] * x + row[1] * y + row[2]);
        (w > 1e-9).then(|| [u / w, v / w])
    }

    /// The smallest rectangle around the image of `rect`; `None` when part of it lies behind the eye.
    pub fn bounds_of(self, rect: Rect) -> Option<Rect> {
        let [left, top, right, bottom] = [rect.x, rect.y, rect.right(), rect.bottom()].map(f64::from);
        let corners = [[left, top], [right, top], [right, bottom], [left, bottom]];
        let mut bounds: Option<Rect> = None;
        for corner in corners {
            let [x, y] = self.apply(corner)?.map(|v| v as f32);
            let point = Rect { x, y, w: 0.0, h: 0.0 };
            bounds = Some(bounds.map_or(point, |bounds| bounds.join(point)));
        }
        bounds
    }
}

/// Whether each corner turns the same way, by more than nothing.
pub fn is_convex(corners: [[f64; 2]; 4]) -> bool {
    let turn = |i: usize| {
        let [a, b, c] = [i, i + 1, i + 2].map(|i| corners[i % 4]);
        (b[0] - a[0]) * (c[1] - b[1]) - (b[1] - a[1]) * (c[0] - b[0])
    };
    let turns = [0, 1, 2, 3].map(turn);
    turns.iter().all(|&turn| turn > 1e-3) || turns.iter().all(|&turn| turn < -1e-3)
}

/// Sine and cosine of an angle in degrees; exact at quarter turns, so that these stay pixel-aligned.
fn sin_cos(degrees: f64) -> (f64, f64) {
    match degrees.rem_euclid(360.0) {
        0.0 => (0.0, 1.0),
        90.0 => (1.0, 0.0),
        180.0 => (0.0, -1.0),
        270.0 => (-1.0, 0.0),
        turned => turned.to_radians().sin_cos(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_turn_about_the_centre_is_exact() {
        let place = Affine::place([100.0, 100.0], [20.0, 10.0], [1.0, 1.0], 90.0);
        assert_eq!(place.apply([20.0, 10.0]), [100.0, 100.0]);
        assert_eq!(place.apply([0.0, 0.0]), [110.0, 80.0]); // clockwise: the left top corner goes to the right top
        assert_eq!(place.bounds_of(Rect::new(0.0, 0.0, 40.0, 20.0)), Rect::new(90.0, 80.0, 20.0, 40.0));
    }

    #[test]
    fn the_inverse_leads_back() {
        let place = Affine::place([300.0, -40.0], [5.0, 7.0], [2.0, -0.5], 33.0);
        let back = place.inverse().unwrap();
        for point in [[0.0, 0.0], [17.0, 4.0], [-3.0, 900.0]] {
            let [x, y] = back.apply(place.apply(point));
            assert!((x - point[0]).abs() < 1e-3 && (y - point[1]).abs() < 1e-3, "{point:?} -> {x} {y}");
        }
        assert_eq!(Affine::place([0.0; 2], [0.0; 2], [0.0, 1.0], 0.0).inverse(), None);
    }

    #[test]
    fn a_pin_takes_corners_to_corners_and_straight_lines_to_straight_lines() {
        let rect = Rect::new(10.0, 20.0, 200.0, 100.0);
        let corners = [[0.0, 0.0], [300.0, 40.0], [280.0, 200.0], [-20.0, 150.0]];
        let map = Projective::pinning(rect, corners).unwrap();
        let near = |a: [f64; 2], b: [f64; 2]| (a[0] - b[0]).abs() < 1e-9 && (a[1] - b[1]).abs() < 1e-9;
        let own = [[10.0, 20.0], [210.0, 20.0], [210.0, 120.0], [10.0, 120.0]];
        for (from, to) in own.into_iter().zip(corners) {
            assert!(near(map.apply(from).unwrap(), to) && near(map.inverse().apply(to).unwrap(), from), "{from:?}");
        }
        // The diagonals cross where they did.
        let [x, y] = map.apply([110.0, 70.0]).unwrap();
        let on = |[a, b]: [f64; 2], [c, d]: [f64; 2]| ((c - a) * (y - b) - (d - b) * (x - a)).abs() < 1e-6;
        assert!(on(corners[0], corners[2]) && on(corners[1], corners[3]), "{x} {y}");
        // Half as wide at the top, which is twice as far away: the middle row is seen at a third of the height.
        let trapezium = [[50.0, 0.0], [150.0, 0.0], [200.0, 100.0], [0.0, 100.0]];
        let map = Projective::pinning(Rect::new(0.0, 0.0, 200.0, 100.0), trapezium).unwrap();
        assert!(near(map.apply([100.0, 50.0]).unwrap(), [100.0, 100.0 / 3.0]));
    }

    #[test]
    fn quadrangles_that_fold_over_have_no_pin() {
        let rect = Rect::new(0.0, 0.0, 10.0, 10.0);
        let pin = |corners| Projective::pinning(rect, corners);
        assert_eq!(pin([[0.0, 0.0], [10.0, 0.0], [2.0, 2.0], [0.0, 10.0]]), None, "a dent");
        assert_eq!(pin([[0.0, 0.0], [10.0, 10.0], [10.0, 0.0], [0.0, 10.0]]), None, "a bow tie");
        assert_eq!(pin([[5.0, 5.0]; 4]), None);
        assert!(pin([[10.0, 0.0], [0.0, 0.0], [0.0, 10.0], [10.0, 10.0]]).is_some(), "a mirror is fine");
    }

    #[test]
    fn rectangles() {
        let a = Rect::new(0.0, 0.0, 10.0, 10.0);
        assert_eq!(a.intersect(Rect::new(5.0, -5.0, 10.0, 10.0)), Rect::new(5.0, 0.0, 5.0, 5.0));
        assert!(a.intersect(Rect::new(20.0, 0.0, 5.0, 5.0)).is_empty());
        assert_eq!(a.inflate(-2.0), Rect::new(2.0, 2.0, 6.0, 6.0));
    }
}

//! Gaussian blur of a coverage plane, at a cost that does not depend on its width.
//!
//! Three passes of an extended box filter (Gwosdek et al., 2011): a running sum whose two outermost samples count in
//! part, so that the variance is exactly the wanted one, for narrow blurs too.

/// Blurs `plane`, rows of `size[0]` values, by a standard deviation of `sigma` pixels; outside all is 0.
pub(super) fn blur(plane: &mut [u8], size: [usize; 2], sigma: f32) {
    let filter = Pass::of(sigma);
    if filter.weight <= 1.0 {
        return;
    }
    let [width, height] = size;
    for row in plane.chunks_exact_mut(width.max(1)) {
        filter.line(row, 1, width);
    }
    for x in 0..width {
        filter.line(&mut plane[x..], width, height);
    }
}

/// One pass: `radius` whole samples on each side and `edge` of the next ones.
struct Pass {
    radius: usize,
    edge: f32,
    weight: f32,
}

impl Pass {
    fn of(sigma: f32) -> Self {
        // Variances add up.
        let variance = sigma * sigma / 3.0;
        let radius = (((12.0 * variance + 1.0).sqrt() - 1.0) / 2.0).floor();
        let (r, next) = (radius, radius + 1.0);
        let edge = (2.0 * r + 1.0) * (variance - r * next / 3.0) / (2.0 * (next * next - variance));
        Self { radius: radius as usize, edge: edge.max(0.0), weight: 2.0 * r + 1.0 + 2.0 * edge.max(0.0) }
    }

    /// Three passes along `len` values that lie `step` apart.
    fn line(&self, values: &mut [u8], step: usize, len: usize) {
        let mut line: Vec<f32> = (0..len).map(|i| f32::from(values[i * step])).collect();
        if line.iter().all(|&v| v == 0.0) {
            return;
        }
        let mut passed = vec![0.0; len];
        for _ in 0..3 {
            self.pass(&line, &mut passed);
            std::mem::swap(&mut line, &mut passed);
        }
        for (i, v) in line.into_iter().enumerate() {
            values[i * step] = v.round().clamp(0.0, 255.0) as u8;
        }
    }

    fn pass(&self, from: &[f32], to: &mut [f32]) {
        let at = |i: isize| usize::try_from(i).ok().and_then(|i| from.get(i)).copied().unwrap_or(0.0);
        let radius = self.radius as isize;
        // In double precision, for what was added is taken away again.
        let mut sum: f64 = (-radius..radius).map(|i| f64::from(at(i))).sum();
        for (i, to) in (0..).zip(to) {
            sum += f64::from(at(i + radius));
            *to = (sum as f32 + self.edge * (at(i - radius - 1) + at(i + radius + 1))) / self.weight;
            sum -= f64::from(at(i - radius));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The blur of an edge is the integral of the bell curve, here with a deviation of 4 pixels: 50 %, then 69.1 % half
    /// a deviation in, 84.1 % one in, 97.7 % two in.
    #[test]
    fn an_edge_becomes_the_integral_of_the_bell_curve() {
        let mut plane: Vec<u8> = (0..100 * 100).map(|i| if i % 100 < 50 { 0 } else { 255 }).collect();
        blur(&mut plane, [100, 100], 4.0);
        // The edge lies between samples 49 and 50; so does the answer between two samples.
        let row = &plane[50 * 100..];
        let at = |d: usize| (f32::from(row[49 + d]) + f32::from(row[50 + d])) / 2.0 / 255.0;
        for (distance, expected) in [(0, 0.5), (2, 0.691), (4, 0.841), (8, 0.977)] {
            assert!((at(distance) - expected).abs() < 0.012, "{distance}: {} {expected}", at(distance));
        }
    }

    #[test]
    fn it_is_the_same_both_ways_and_keeps_the_sum() {
        for sigma in [0.4, 1.0, 2.5, 7.3] {
            let mut plane = vec![0; 61 * 61];
            (0..9).for_each(|i| plane[(26 + i) * 61 + 26..][..9].fill(200));
            blur(&mut plane, [61, 61], sigma);
            for y in 0..61 {
                for x in 0..61 {
                    let (a, b) = (plane[y * 61 + x], plane[x * 61 + y]);
                    assert!(a.abs_diff(b) <= 1, "{sigma} at {x}, {y}: {a} {b}");
                }
            }
            let sum: f64 = plane.iter().map(|&v| f64::from(v)).sum();
            assert!((sum / (81.0 * 200.0) - 1.0).abs() < 0.04, "{sigma}: {sum}");
        }
    }

    #[test]
    fn no_blur_changes_nothing() {
        let mut plane = vec![0, 255, 0];
        blur(&mut plane, [3, 1], 0.0);
        assert_eq!(plane, [0, 255, 0]);
    }
}

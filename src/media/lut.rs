//! `.cube` files: tables of colours with three axes.
//!
//! Spec: Adobe Cube LUT Specification 1.0. A header of keywords, then `size^3` lines of three numbers, red fastest. What
//! programs write beyond it is passed over: `TITLE`, comments, `LUT_3D_INPUT_RANGE` of older Resolve versions is read as
//! the domain. Tables with one axis are refused.

/// Entries along each axis that are allowed: what is larger than any grading program writes is refused.
const SIZES: std::ops::RangeInclusive<usize> = 2..=64;
/// How far an entry may lie from black and white; HDR tables go a little beyond.
const VALUE_MAX: f32 = 1000.0;

/// A table of colours.
#[derive(Debug, Clone, PartialEq)]
pub struct Lut {
    size: u32,
    domain: [[f32; 3]; 2],
    entries: Vec<[f32; 4]>,
}

/// Why there is no table.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum Error {
    #[error("`{asset}` is not a text: a .cube file is wanted")]
    NotText { asset: String },
    #[error("`{asset}`, line {line}: {what}")]
    Line { asset: String, line: usize, what: String },
    #[error("`{asset}` has no LUT_3D_SIZE: a .cube file with three axes is wanted")]
    NoSize { asset: String },
    #[error("`{asset}` has {found} entries where its size asks for {wanted}")]
    Count { asset: String, found: usize, wanted: usize },
    #[error("`{asset}` has a domain that is empty: DOMAIN_MAX must be above DOMAIN_MIN")]
    Domain { asset: String },
}

impl Lut {
    /// Entries along each axis.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// The input at the first and at the last entries: red, green, blue.
    pub fn domain(&self) -> [[f32; 3]; 2] {
        self.domain
    }

    /// Red, green, blue, 1; red fastest, then green.
    pub fn entries(&self) -> &[[f32; 4]] {
        &self.entries
    }
}

/// Reads the bytes of `asset`.
pub(crate) fn decode(asset: &str, bytes: &[u8]) -> Result<Lut, Error> {
    let text = std::str::from_utf8(bytes).map_err(|_| Error::NotText { asset: asset.into() })?;
    let mut reading = Reading { size: None, domain: [[0.0; 3], [1.0; 3]], entries: Vec::new() };
    for (i, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
        reading.line(line.trim()).map_err(|what| Error::Line { asset: asset.into(), line: i + 1, what })?;
    }
    let Reading { size, domain, entries } = reading;
    let size = size.ok_or_else(|| Error::NoSize { asset: asset.into() })?;
    let wanted = size.pow(3);
    if entries.len() != wanted {
        return Err(Error::Count { asset: asset.into(), found: entries.len(), wanted });
    }
    if (0..3).any(|i| domain[1][i] <= domain[0][i]) {
        return Err(Error::Domain { asset: asset.into() });
    }
    Ok(Lut { size: size as u32, domain, entries })
}

struct Reading {
    size: Option<usize>,
    domain: [[f32; 3]; 2],
    entries: Vec<[f32; 4]>,
}

impl Reading {
    fn line(&mut self, line: &str) -> Result<(), String> {
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        match word {
            "" | "TITLE" => Ok(()),
            comment if comment.starts_with('#') => Ok(()),
            "LUT_3D_SIZE" => self.start(rest.trim()),
            "LUT_1D_SIZE" => Err("a table with one axis: save it with three (LUT_3D_SIZE)".into()),
            "DOMAIN_MIN" => numbers(rest).map(|min| self.domain[0] = min),
            "DOMAIN_MAX" => numbers(rest).map(|max| self.domain[1] = max),
            "LUT_3D_INPUT_RANGE" => numbers(rest).map(|[min, max]| self.domain = [[min; 3], [max; 3]]),
            number if number.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) => self.entry(line),
            other => Err(format!("unknown keyword `{}`", other.chars().take(32).collect::<String>())),
        }
    }

    fn start(&mut self, text: &str) -> Result<(), String> {
        let size = text.parse().ok().filter(|size| SIZES.contains(size));
        let size: usize = size.ok_or_else(|| format!("the size must be {} to {}", SIZES.start(), SIZES.end()))?;
        if self.size.replace(size).is_some() {
            return Err("a second LUT_3D_SIZE".into());
        }
        self.entries.reserve_exact(size.pow(3));
        Ok(())
    }

    fn entry(&mut self, line: &str) -> Result<(), String> {
        let most = self.size.ok_or("an entry before LUT_3D_SIZE")?.pow(3);
        if self.entries.len() == most {
            return Err(format!("more than {most} entries"));
        }
        let [r, g, b] = numbers(line)?;
        self.entries.push([r, g, b, 1.0]);
        Ok(())
    }
}

fn numbers<const N: usize>(text: &str) -> Result<[f32; N], String> {
    let mut words = text.split_whitespace();
    let mut numbers = [0.0; N];
    for number in &mut numbers {
        let read = words.next().and_then(|word| word.parse::<f32>().ok());
        *number =
            read.filter(|v| v.abs() <= VALUE_MAX).ok_or_else(|| format!("{N} numbers up to {VALUE_MAX} are wanted"))?;
    }
    if words.next().is_some() { Err(format!("{N} numbers are wanted")) } else { Ok(numbers) }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A table with two entries along each axis that swaps red and blue.
    pub(crate) const SWAP: &str = "TITLE \"swap\"\n# a comment\nLUT_3D_SIZE 2\nDOMAIN_MIN 0 0 0\r\nDOMAIN_MAX 1 1 1\n\
         0 0 0\n0 0 1\n0 1 0\n0 1 1\n1 0 0\n1 0 1\n1 1 0\n1 1 1.0e0\n";

    fn problem(text: &str) -> String {
        decode("x.cube", text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_table_is_read() {
        let lut = decode("x.cube", SWAP.as_bytes()).unwrap();
        assert_eq!((lut.size(), lut.domain()), (2, [[0.0; 3], [1.0; 3]]));
        assert_eq!(lut.entries()[1], [0.0, 0.0, 1.0, 1.0], "red is fastest, and becomes blue");
        let ranged = SWAP.replace("TITLE \"swap\"", "LUT_3D_INPUT_RANGE -0.5 2").replace("DOMAIN", "# DOMAIN");
        assert_eq!(decode("x.cube", ranged.as_bytes()).unwrap().domain(), [[-0.5; 3], [2.0; 3]]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        assert_eq!(
            problem(&SWAP.replace("LUT_3D_SIZE 2", "LUT_3D_SIZE 65")),
            "`x.cube`, line 3: the size must be 2 to 64"
        );
        assert!(problem("LUT_1D_SIZE 16\n").contains("save it with three"));
        assert_eq!(problem("LUT_3D_SIZE 2\n0 0 0\n"), "`x.cube` has 1 entries where its size asks for 8");
        assert_eq!(problem(&format!("{SWAP}0 0 0\n")), "`x.cube`, line 14: more than 8 entries");
        assert_eq!(problem("0 0 0\n"), "`x.cube`, line 1: an entry before LUT_3D_SIZE");
        assert_eq!(problem(&SWAP.replace("0 1 1\n", "0 NaN 1\n")), "`x.cube`, line 9: 3 numbers up to 1000 are wanted");
        assert_eq!(problem("<html>\n"), "`x.cube`, line 1: unknown keyword `<html>`");
        assert_eq!(problem(""), "`x.cube` has no LUT_3D_SIZE: a .cube file with three axes is wanted");
        assert!(problem(&SWAP.replace("DOMAIN_MAX 1", "DOMAIN_MAX 0")).contains("DOMAIN_MAX must be above"));
        assert!(decode("x.cube", &[0xff, 0xfe]).is_err());
    }
}

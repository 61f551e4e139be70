//! The bundled fonts and the choice among them.
//!
//! No font of the machine is used, so a text looks the same everywhere and starting costs nothing. The shaper takes a
//! face only when its weight matches exactly, so the face is chosen here: CSS Fonts 4 section 5.2 in short, the nearest
//! weight of the wanted slant; where a family's italics are much lighter or bolder than wanted, its upright is slanted.

use std::sync::Arc;

use glyphon::{FontSystem, Style, Weight, fontdb};

use super::builtin;

/// The family of texts that name none, or one that does not exist.
pub const DEFAULT_FAMILY: &str = "Inter";
/// The family with the most signs, which the shaper's own list for Linux asks when the wanted one lacks a character.
const FALLBACK_FAMILY: &str = "DejaVu Sans";
/// The family of colour emoji.
pub(super) const EMOJI_FAMILY: &str = "Twemoji Mozilla";
/// How much farther from the wanted weight an italic may be before a slanted upright looks better: two steps of CSS.
const SLANT_GAIN_MIN: u16 = 200;

/// A face as the shaper wants it described.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Face<'a> {
    /// Family name as the font has it.
    pub(crate) family: &'a str,
    /// Exactly the weight of an existing face.
    pub(crate) weight: Weight,
    /// Whether it is drawn for this slant.
    pub(crate) style: Style,
    /// Whether it must be slanted.
    pub(crate) is_slanted: bool,
}

/// The bundled fonts.
#[derive(Debug, Clone)]
pub(crate) struct Fonts {
    database: fontdb::Database,
}

impl Fonts {
    /// Reads the tables of all bundled fonts.
    pub(crate) fn bundled() -> Self {
        let mut database = fontdb::Database::new();
        for &bytes in builtin::FONTS {
            database.load_font_source(fontdb::Source::Binary(Arc::new(bytes)));
        }
        database.set_sans_serif_family(FALLBACK_FAMILY);
        database.set_monospace_family("JetBrains Mono");
        database.set_serif_family("Playfair Display");
        Self { database }
    }

    /// A shaper and rasteriser of its own for one thread. Font ids agree among all that are made here.
    pub(crate) fn system(&self) -> FontSystem {
        FontSystem::new_with_locale_and_db("en-US".into(), self.database.clone())
    }

    /// The fonts, for a shaper of another kind.
    pub(crate) fn database(&self) -> &fontdb::Database {
        &self.database
    }

    /// The name of a family as the font has it, whatever the case of `name`.
    pub(crate) fn family(&self, name: &str) -> Option<&str> {
        let names = self.database.faces().flat_map(|face| &face.families).map(|(family, _)| family.as_str());
        names.into_iter().find(|family| family.eq_ignore_ascii_case(name.trim()))
    }

    /// The names of all families, sorted.
    pub(crate) fn families(&self) -> Vec<String> {
        let names = self.database.faces().flat_map(|face| &face.families).map(|(family, _)| family.clone());
        names.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
    }

    /// The best face of `family`, which must be a name that [`Fonts::family`] gave.
    pub(crate) fn face<'a>(&self, family: &'a str, weight: u16, is_italic: bool) -> Face<'a> {
        let upright = self.nearest_weight(family, weight, |style| style == Style::Normal);
        let italic = self.nearest_weight(family, weight, |style| style != Style::Normal);
        let (chosen, style, is_slanted) = match (upright, italic) {
            (Some(upright), Some(italic)) if is_italic => {
                let gain = italic.abs_diff(weight).saturating_sub(upright.abs_diff(weight));
                if gain >= SLANT_GAIN_MIN { (upright, Style::Normal, true) } else { (italic, Style::Italic, false) }
            }
            (Some(upright), _) => (upright, Style::Normal, is_italic),
            (None, Some(italic)) => (italic, Style::Italic, false),
            (None, None) => (weight, Style::Normal, is_italic),
        };
        Face { family, weight: Weight(chosen), style, is_slanted }
    }

    fn nearest_weight(&self, family: &str, weight: u16, is_wanted: impl Fn(Style) -> bool) -> Option<u16> {
        let is_family = |face: &&fontdb::FaceInfo| face.families.iter().any(|(name, _)| name == family);
        let faces = self.database.faces().filter(is_family).filter(|face| is_wanted(face.style));
        // Of two equally far, the lighter for light weights and the bolder for bold ones.
        faces.map(|face| face.weight.0).min_by_key(|w| (w.abs_diff(weight), (*w > weight) != (weight >= 500)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bundled_font_is_read() {
        let fonts = Fonts::bundled();
        assert_eq!(fonts.database.len(), builtin::FONTS.len());
        for family in [DEFAULT_FAMILY, FALLBACK_FAMILY, EMOJI_FAMILY, "JetBrains Mono", "Playfair Display"] {
            assert_eq!(fonts.family(&family.to_uppercase()), Some(family));
        }
        assert_eq!(fonts.family("Comic Sans MS"), None);
    }

    #[test]
    fn faces_have_weights_that_exist() {
        let fonts = Fonts::bundled();
        let face = |weight, is_italic| {
            let face = fonts.face("Inter", weight, is_italic);
            (face.weight.0, face.style, face.is_slanted)
        };
        assert_eq!(face(100, false), (400, Style::Normal, false));
        assert_eq!(face(500, false), (500, Style::Normal, false));
        assert_eq!(face(650, false), (700, Style::Normal, false));
        assert_eq!(face(900, false), (700, Style::Normal, false));
        assert_eq!(face(400, true), (400, Style::Italic, false));
        assert_eq!(face(500, true), (400, Style::Italic, false), "a true italic that is a little light");
        assert_eq!(face(700, true), (700, Style::Normal, true), "no bold italic: the bold is slanted");
        assert!(fonts.face("DejaVu Sans", 400, true).is_slanted);
    }
}

//! The bundled fonts, those that were uploaded, and the choice among them.
//!
//! No font of the machine is used, so a text looks the same everywhere and starting costs nothing. A set of fonts does not
//! change: [`Shelf`] has the newest one, and whoever has made a shaper of an older one makes a new one. Faces are only ever
//! added, in one order, so their ids hold in all sets that know them; a font that was taken away keeps its faces, for texts
//! that are still shown, and loses its names. The shaper takes a
//! face only when its weight matches exactly, so the face is chosen here: CSS Fonts 4 section 5.2 in short, the nearest
//! weight of the wanted slant; where a family's italics are much lighter or bolder than wanted, its upright is slanted.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError, RwLock},
};

use glyphon::{FontSystem, Style, Weight, fontdb};

use super::builtin;
use crate::base::digest::Digest;

/// The family of texts that name none, or one that does not exist.
pub const DEFAULT_FAMILY: &str = "Inter";
/// The family with the most signs, which the shaper's own list for Linux asks when the wanted one lacks a character.
const FALLBACK_FAMILY: &str = "DejaVu Sans";
/// The family of colour emoji.
pub(super) const EMOJI_FAMILY: &str = "Twemoji Mozilla";
/// How much farther from the wanted weight an italic may be before a slanted upright looks better: two steps of CSS.
const SLANT_GAIN_MIN: u16 = 200;
/// Most faces of one file; collections of all weights of a family have some dozens.
const FACES_MAX: usize = 64;

/// Why a file is not a font that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    #[error("`{asset}` has no font that can be read: use TrueType or OpenType (.ttf, .otf, .ttc)")]
    NoFace { asset: String },
    #[error("`{asset}` has {count} faces: {FACES_MAX} are allowed")]
    TooManyFaces { asset: String, count: usize },
    #[error("`{asset}` is called `{family}`, as a bundled font is: rename it in a font editor")]
    Bundled { asset: String, family: String },
}

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

/// The newest set of fonts.
#[derive(Debug)]
pub(crate) struct Shelf(RwLock<Arc<Fonts>>);

impl Shelf {
    /// With the bundled fonts alone.
    pub(crate) fn bundled() -> Self {
        Self(RwLock::new(Arc::new(Fonts::bundled())))
    }

    /// The set of now.
    pub(crate) fn fonts(&self) -> Arc<Fonts> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Adds what was uploaded; the names of its families.
    pub(crate) fn add(&self, digest: Digest, bytes: Vec<u8>) -> Result<BTreeSet<String>, Error> {
        let mut newest = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let next = newest.with(&digest.to_string(), digest, bytes)?;
        let families = next.families_of(&digest);
        *newest = Arc::new(next);
        Ok(families)
    }

    /// Takes the names of an uploaded font away; which they were.
    pub(crate) fn remove(&self, digest: &Digest) -> BTreeSet<String> {
        let mut newest = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let families = newest.families_of(digest);
        if !families.is_empty() {
            let mut next = (**newest).clone();
            next.hidden.insert(*digest);
            next.generation += 1;
            *newest = Arc::new(next);
        }
        families
    }
}

/// A set of fonts.
#[derive(Debug, Clone)]
pub(crate) struct Fonts {
    database: fontdb::Database,
    /// Another number, another set.
    generation: u64,
    /// The faces of what was uploaded.
    uploaded: BTreeMap<Digest, Vec<fontdb::ID>>,
    /// What of it was taken away since.
    hidden: BTreeSet<Digest>,
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
        Self { database, generation: 0, uploaded: BTreeMap::new(), hidden: BTreeSet::new() }
    }

    /// This set with another font.
    fn with(&self, asset: &str, digest: Digest, bytes: Vec<u8>) -> Result<Self, Error> {
        let mut next = self.clone();
        next.generation += 1;
        next.hidden.remove(&digest);
        if next.uploaded.contains_key(&digest) {
            return Ok(next);
        }
        let faces = next.database.load_font_source(fontdb::Source::Binary(Arc::new(bytes))).to_vec();
        let asset = || asset.to_owned();
        match faces.len() {
            0 => return Err(Error::NoFace { asset: asset() }),
            count if count > FACES_MAX => return Err(Error::TooManyFaces { asset: asset(), count }),
            _ => drop(next.uploaded.insert(digest, faces)),
        }
        let taken = next.families_of(&digest).into_iter().find(|family| self.is_bundled(family));
        taken.map_or(Ok(next), |family| Err(Error::Bundled { asset: asset(), family }))
    }

    /// The names that this set would have with the font `asset`.
    pub(crate) fn examined(&self, asset: &str, bytes: Vec<u8>) -> Result<BTreeSet<String>, Error> {
        let digest = Digest::of(&bytes);
        Ok(self.with(asset, digest, bytes)?.families_of(&digest))
    }

    fn is_bundled(&self, family: &str) -> bool {
        let uploaded: BTreeSet<_> = self.uploaded.values().flatten().collect();
        let mut bundled = self.database.faces().filter(|face| !uploaded.contains(&face.id));
        bundled.any(|face| face.families.iter().any(|(name, _)| name.eq_ignore_ascii_case(family)))
    }

    /// The names of an uploaded font.
    fn families_of(&self, digest: &Digest) -> BTreeSet<String> {
        let faces = self.uploaded.get(digest).into_iter().flatten().filter_map(|id| self.database.face(*id));
        faces.flat_map(|face| &face.families).map(|(family, _)| family.clone()).collect()
    }

    /// The faces that have their names.
    fn faces(&self) -> impl Iterator<Item = &fontdb::FaceInfo> {
        let hidden: BTreeSet<_> = self.hidden.iter().filter_map(|digest| self.uploaded.get(digest)).flatten().collect();
        self.database.faces().filter(move |face| !hidden.contains(&face.id))
    }

    /// Which set this is.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
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
        let mut names = self.faces().flat_map(|face| &face.families).map(|(family, _)| family.as_str());
        names.find(|family| family.eq_ignore_ascii_case(name.trim()))
    }

    /// The names of all families, sorted.
    pub(crate) fn families(&self) -> Vec<String> {
        let names = self.faces().flat_map(|face| &face.families).map(|(family, _)| family.clone());
        names.collect::<BTreeSet<_>>().into_iter().collect()
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
        let faces = self.faces().filter(is_family).filter(|face| is_wanted(face.style));
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
    /// A bundled font under another name, which is nowhere else in it as often: in UTF-16, as fonts have it.
    fn renamed(font: &[u8], from: &str, to: &str) -> Vec<u8> {
        let wide = |name: &str| name.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
        let (mut font, wanted, new) = (font.to_vec(), wide(from), wide(to));
        let places: Vec<_> = (0..font.len() - wanted.len()).filter(|at| font[*at..].starts_with(&wanted)).collect();
        assert!(!places.is_empty() && wanted.len() == new.len());
        places.into_iter().for_each(|at| font[at..at + new.len()].copy_from_slice(&new));
        font
    }

    #[test]
    fn an_uploaded_font_can_be_named_until_it_is_taken_away() {
        let shelf = Shelf::bundled();
        let before = shelf.fonts();
        let font = renamed(builtin::FONTS[5], "Playfair", "Heldentz");
        let digest = Digest::of(&font);
        let families = shelf.add(digest, font.clone()).unwrap();
        assert_eq!(families.iter().map(String::as_str).collect::<Vec<_>>(), ["Heldentz Display"]);
        let with = shelf.fonts();
        assert_eq!(
            (before.family("heldentz display"), with.family("heldentz display")),
            (None, Some("Heldentz Display"))
        );
        assert_ne!(before.generation(), with.generation());
        // What was known is known by the same ids.
        let ids = |fonts: &Fonts| fonts.database.faces().map(|face| face.id).collect::<Vec<_>>();
        assert!(ids(&with).iter().zip(ids(&before)).all(|(with, before)| *with == before));

        assert_eq!(shelf.remove(&digest), families);
        assert_eq!(shelf.fonts().family("Heldentz Display"), None);
        assert_eq!(ids(&shelf.fonts()), ids(&with), "texts that are still shown have their signs");
        shelf.add(digest, font).unwrap();
        assert_eq!(ids(&shelf.fonts()), ids(&with), "it is back, not there twice");
        assert!(shelf.fonts().family("Heldentz Display").is_some());
    }

    #[test]
    fn what_is_no_font_or_takes_a_bundled_name_is_refused() {
        let shelf = Shelf::bundled();
        let refused = |bytes: &[u8]| shelf.add(Digest::of(bytes), bytes.to_vec()).unwrap_err();
        assert!(matches!(refused(b"\0\x01\0\0 no font"), Error::NoFace { .. }));
        assert!(matches!(refused(builtin::FONTS[5]), Error::Bundled { family, .. } if family == "Playfair Display"));
        assert_eq!(shelf.fonts().generation(), 0);
    }
}

//! Blend modes: how a layer's colours are mixed with those below it.
//!
//! The names of CSS `mix-blend-mode` (Compositing and Blending 1, with `plus-lighter` and `plus-darker` of level 2), of
//! CasparCG and of OBS. The formulas stand in `shaders/group.wgsl`, numbered by [`BlendMode::index`]. They work on straight
//! colours in the canvas's blend space; how alpha enters is CSS's for all of them.
//!
//! Upper case, `_` for `-` and the neighbours' own names are taken too; what is written back is the name in the table.

use std::fmt;

use crate::base::schema::written;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

macro_rules! modes {
    ($($name:ident = $text:literal),+ $(,)?) => {
        /// A blend mode.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
        #[expect(missing_docs, reason = "the names are those of CSS, CasparCG and OBS")]
        pub enum BlendMode { #[default] $($name),+ }

        impl BlendMode {
            /// All of them, in the order of [`BlendMode::index`].
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// Its name in documents.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }
        }
    };
}

modes! {
    Normal = "normal",
    Multiply = "multiply",
    Screen = "screen",
    Overlay = "overlay",
    Darken = "darken",
    Lighten = "lighten",
    ColorDodge = "color-dodge",
    ColorBurn = "color-burn",
    HardLight = "hard-light",
    SoftLight = "soft-light",
    Difference = "difference",
    Exclusion = "exclusion",
    Hue = "hue",
    Saturation = "saturation",
    Color = "color",
    Luminosity = "luminosity",
    PlusDarker = "plus-darker",
    PlusLighter = "plus-lighter",
    Add = "add",
    Subtract = "subtract",
    Average = "average",
    Negation = "negation",
    LinearBurn = "linear-burn",
    LinearLight = "linear-light",
    VividLight = "vivid-light",
    PinLight = "pin-light",
    HardMix = "hard-mix",
    Reflect = "reflect",
    Glow = "glow",
    Phoenix = "phoenix",
    Divide = "divide",
    DarkerColor = "darker-color",
    LighterColor = "lighter-color",
}

written!(BlendMode as "BlendMode" = {
    "description": "How a layer is mixed with what lies below it; what OBS and CasparCG call them is taken, too.",
    "anyOf": [
        { "type": "string", "enum": (Self::ALL.iter().map(|mode| mode.name()).collect::<Vec<_>>()) },
        { "type": "string" }
    ]
});

/// What neighbours call them.
const ALIASES: &[(&str, BlendMode)] = &[
    ("linear-dodge", BlendMode::Add),
    ("additive", BlendMode::Add),
    // CasparCG has the hue under this name.
    ("contrast", BlendMode::Hue),
];

impl BlendMode {
    /// Its number in the shader.
    pub fn index(self) -> usize {
        self as usize
    }

    fn of(text: &str) -> Option<Self> {
        let name = text.to_ascii_lowercase().replace('_', "-");
        let name = name.strip_prefix("obs-blend-").unwrap_or(&name);
        let alias = || ALIASES.iter().find(|(alias, _)| *alias == name).map(|&(_, mode)| mode);
        Self::ALL.iter().copied().find(|mode| mode.name() == name).or_else(alias)
    }
}

impl fmt::Display for BlendMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for BlendMode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for BlendMode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::of(&text).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|mode| mode.name()).collect();
            let short: String = text.chars().take(64).collect();
            D::Error::custom(format!("unknown blend mode `{short}`, expected one of {}", names.join(", ")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<BlendMode, serde_json::Error> {
        serde_json::from_value(serde_json::Value::String(text.into()))
    }

    #[test]
    fn names_are_read_however_neighbours_write_them() {
        for &mode in BlendMode::ALL {
            assert_eq!(read(mode.name()).unwrap(), mode);
        }
        for (text, mode) in [
            ("SOFT_LIGHT", BlendMode::SoftLight),
            ("OBS_BLEND_ADDITIVE", BlendMode::Add),
            ("OBS_BLEND_NORMAL", BlendMode::Normal),
            ("linear_dodge", BlendMode::Add),
            ("contrast", BlendMode::Hue),
        ] {
            assert_eq!(read(text).unwrap(), mode, "{text}");
        }
    }

    #[test]
    fn an_unknown_one_is_refused_with_all_names() {
        let error = read("dissolve").unwrap_err().to_string();
        assert!(error.starts_with("unknown blend mode `dissolve`, expected one of normal, multiply, "), "{error}");
    }

    #[test]
    fn there_are_33() {
        assert_eq!(BlendMode::ALL.len(), 33);
    }
}

//! What comes inside the program: the fonts every text is set with, the pictures of the default show, and the masks of
//! luma wipes (drawn by assets/wipes/src/wipes.py).
//!
//! Bundled fonts make a text look the same on every machine; bundled pictures let the program show something without a
//! single file around it.

/// Asset names that start so are looked up here and not in the assets directory.
pub(crate) const PREFIX: &str = "builtin:";

/// Inter, which the page at `/` is set in, too: regular and semibold.
pub(crate) const INTER: [&[u8]; 2] = [
    include_bytes!("../../assets/fonts/inter/Inter-Regular.ttf"),
    include_bytes!("../../assets/fonts/inter/Inter-SemiBold.ttf"),
];

/// TrueType fonts, in order of fallback.
pub(crate) const FONTS: &[&[u8]] = &[
    INTER[0],
    include_bytes!("../../assets/fonts/inter/Inter-Medium.ttf"),
    INTER[1],
    include_bytes!("../../assets/fonts/inter/Inter-Bold.ttf"),
    include_bytes!("../../assets/fonts/inter/Inter-Italic.ttf"),
    include_bytes!("../../assets/fonts/playfair-display/PlayfairDisplay-Regular.ttf"),
    include_bytes!("../../assets/fonts/playfair-display/PlayfairDisplay-Bold.ttf"),
    include_bytes!("../../assets/fonts/playfair-display/PlayfairDisplay-Italic.ttf"),
    include_bytes!("../../assets/fonts/jetbrains-mono/JetBrainsMono-Regular.ttf"),
    include_bytes!("../../assets/fonts/dejavu/DejaVuSans.ttf"),
    include_bytes!("../../assets/fonts/twemoji/TwemojiMozilla.ttf"),
];

/// Pictures by the name that follows [`PREFIX`].
pub(crate) const PICTURES: &[(&str, &[u8])] = &[
    ("show/artwork.jpg", include_bytes!("../../assets/show/artwork.jpg")),
    ("show/host.png", include_bytes!("../../assets/show/host.png")),
    ("show/logo.png", include_bytes!("../../assets/show/logo.png")),
    ("show/panel.jpg", include_bytes!("../../assets/show/panel.jpg")),
    ("wipes/blinds.png", include_bytes!("../../assets/wipes/blinds.png")),
    ("wipes/checker.png", include_bytes!("../../assets/wipes/checker.png")),
    ("wipes/clouds.png", include_bytes!("../../assets/wipes/clouds.png")),
    ("wipes/diagonal.png", include_bytes!("../../assets/wipes/diagonal.png")),
    ("wipes/diamond.png", include_bytes!("../../assets/wipes/diamond.png")),
    ("wipes/paint.png", include_bytes!("../../assets/wipes/paint.png")),
    ("wipes/ripple.png", include_bytes!("../../assets/wipes/ripple.png")),
    ("wipes/spiral.png", include_bytes!("../../assets/wipes/spiral.png")),
];

/// The bytes of a built-in picture, by its name without [`PREFIX`].
pub(crate) fn picture(name: &str) -> Option<&'static [u8]> {
    PICTURES.iter().find(|(known, _)| *known == name).map(|&(_, bytes)| bytes)
}

/// The full names of all built-in pictures, for error messages.
pub(crate) fn picture_names() -> String {
    PICTURES.iter().map(|(name, _)| format!("{PREFIX}{name}")).collect::<Vec<_>>().join(", ")
}

//! Which signs of a text are colour emoji.
//!
//! Unicode decides (UTS #51): a sign whose default is the picture (`Emoji_Presentation`), or any emoji followed by
//! U+FE0F, is a colour emoji unless U+FE0E follows it; with all that is joined to it, it is one user-perceived sign. The
//! others, ☃ and ✔ and digits among them, are text and come from text fonts.

use unicode_segmentation::UnicodeSegmentation;

/// `Emoji_Presentation` below the plane of pictographs, Unicode 15.
const PICTURES: &[(u32, u32)] = &[
    (0x231A, 0x231B),
    (0x23E9, 0x23EC),
    (0x23F0, 0x23F0),
    (0x23F3, 0x23F3),
    (0x25FD, 0x25FE),
    (0x2614, 0x2615),
    (0x2648, 0x2653),
    (0x267F, 0x267F),
    (0x2693, 0x2693),
    (0x26A1, 0x26A1),
    (0x26AA, 0x26AB),
    (0x26BD, 0x26BE),
    (0x26C4, 0x26C5),
    (0x26CE, 0x26CE),
    (0x26D4, 0x26D4),
    (0x26EA, 0x26EA),
    (0x26F2, 0x26F3),
    (0x26F5, 0x26F5),
    (0x26FA, 0x26FA),
    (0x26FD, 0x26FD),
    (0x2705, 0x2705),
    (0x270A, 0x270B),
    (0x2728, 0x2728),
    (0x274C, 0x274C),
    (0x274E, 0x274E),
    (0x2753, 0x2755),
    (0x2757, 0x2757),
    (0x2795, 0x2797),
    (0x27B0, 0x27B0),
    (0x27BF, 0x27BF),
    (0x2B1B, 0x2B1C),
    (0x2B50, 0x2B50),
    (0x2B55, 0x2B55),
    (0x1F004, 0x1F004),
    (0x1F0CF, 0x1F0CF),
    (0x1F18E, 0x1F18E),
    (0x1F191, 0x1F19A),
    (0x1F1E6, 0x1F1FF),
    (0x1F201, 0x1F201),
    (0x1F21A, 0x1F21A),
    (0x1F22F, 0x1F22F),
    (0x1F232, 0x1F236),
    (0x1F238, 0x1F23A),
    (0x1F250, 0x1F251),
];
/// From here to [`PICTOGRAPHS_END`] all are taken for pictures: it is what people mean by the few whose default is text.
const PICTOGRAPHS_START: u32 = 0x1F300;
const PICTOGRAPHS_END: u32 = 0x1FAFF;
const AS_TEXT: char = '\u{FE0E}';
const AS_PICTURE: char = '\u{FE0F}';

/// The text in order, in parts that are emoji (`true`) or are not.
pub(super) fn split(text: &str) -> impl Iterator<Item = (&str, bool)> {
    let mut signs =
        text.grapheme_indices(true).map(|(start, sign)| (start..start + sign.len(), is_emoji(sign))).peekable();
    std::iter::from_fn(move || {
        let (mut range, is_emoji) = signs.next()?;
        while let Some((next, _)) = signs.next_if(|(_, next)| *next == is_emoji) {
            range.end = next.end;
        }
        Some((&text[range], is_emoji))
    })
}

/// Whether a user-perceived sign is a colour emoji.
fn is_emoji(sign: &str) -> bool {
    let Some(first) = sign.chars().next().map(u32::from) else { return false };
    let is_picture = PICTURES.iter().any(|&(from, to)| (from..=to).contains(&first));
    let is_pictograph = (PICTOGRAPHS_START..=PICTOGRAPHS_END).contains(&first);
    !sign.contains(AS_TEXT) && (is_picture || is_pictograph || sign.contains(AS_PICTURE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_joined_stays_together() {
        let text = "Hi 👩‍💻👍🏽 2 1\u{FE0F}\u{20E3} 🇨🇭☃⚽⚽\u{FE0E}❤\u{FE0F}!";
        let parts: Vec<_> = split(text).collect();
        let expected = [
            ("Hi ", false),
            ("👩‍💻👍🏽", true),
            (" 2 ", false),
            ("1\u{FE0F}\u{20E3}", true),
            (" ", false),
            ("🇨🇭", true),
            ("☃", false),
            ("⚽", true),
            ("⚽\u{FE0E}", false),
            ("❤\u{FE0F}", true),
            ("!", false),
        ];
        assert_eq!(parts, expected);
        assert_eq!(split("").count(), 0);
    }
}

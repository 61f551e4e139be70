//! `chat`: messages with their authors, the newest at the bottom.
//!
//! ```text
//!  ┌────────────────────────────────┐
//!  │ ( a )  ada  [MOD]              │  older ones are pushed up, and fade at the upper edge and by age
//!  │        text, broken in lines   │
//!  │▌( g )  grace                   │  highlighted, or naming one of `mentions`
//!  │▌       @channel and so on      │
//!  └────────────────────────────────┘  a new one comes in from below and pushes the others
//! ```
//!
//! A message has the milliseconds that had elapsed on the stream when it came (`atMs`); where each stands follows from
//! that and the time alone. Moderation is a matter of values too: `deleted` ids, `banWords`, and `clearedAtMs`, before
//! which nothing is shown. The actions `message`, `delete`, `ban`, `clear` and `highlight` write them.
//!
//! With layout `inline` the name stands before the text, on its first line. Authors without a colour get one by their
//! name. Emotes as pictures and replies are not here.

use std::{collections::HashSet, ops::Range, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Action, Kind, Planner, Refused, Style,
    action::{Nothing, wrong},
    label::{Label, Part, filled},
    text::styled,
};
use crate::{
    base::colour::Rgba,
    scene::{
        Easing,
        check::Check,
        draw::{self, Raster, TextLook, TextRaster, TextSpan},
        geometry::Rect,
    },
};

/// Most messages of a document.
const MESSAGES_MAX: usize = 200;
/// Longest text of a message, in bytes.
const TEXT_LEN_MAX: usize = 1000;
/// Longest name and id, in bytes.
const NAME_LEN_MAX: usize = 128;
/// Most badges of a message, and the longest one's bytes.
const BADGES_MAX: usize = 4;
const BADGE_LEN_MAX: usize = 24;
/// Most words that are banned, names that are mentions, and ids that are deleted.
const NAMES_MAX: usize = 500;
/// Farthest time of a message, in milliseconds: some 300 years.
const AT_MS_MAX: u64 = 10_000_000_000_000;
/// Width and height without a size, in pixels.
const SIZE: [f32; 2] = [480.0, 640.0];
/// Colours of authors who have none: told apart on dark ground, of equal lightness.
const PALETTE: [Rgba; 8] = [
    Rgba::new(0xff, 0x9e, 0xb5, 0xff),
    Rgba::new(0x8f, 0xd0, 0xff, 0xff),
    Rgba::new(0xff, 0xc2, 0x7a, 0xff),
    Rgba::new(0x9d, 0xe0, 0x9a, 0xff),
    Rgba::new(0xc9, 0xb2, 0xff, 0xff),
    Rgba::new(0x7f, 0xe0, 0xd4, 0xff),
    Rgba::new(0xf5, 0xe0, 0x7c, 0xff),
    Rgba::new(0xff, 0xa3, 0x8a, 0xff),
];

styled! {
    /// The document of a chat layer. `background`, `padding` and `cornerRadius` are those of the whole box.
    pub struct Chat {
        /// Up to 200 in the order in which they came; `atMs` must not fall.
        #[serde(default)]
        pub messages: Vec<ChatMessage>,
        /// So many are kept when the action `message` adds one.
        #[serde(default = "default_max_messages")]
        #[schema(minimum = 1, maximum = 200)]
        pub max_messages: usize,
        /// Names: a message with one of them after an `@` is highlighted.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub mentions: Vec<String>,
        /// Ids of messages that are not shown.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub deleted: Vec<String>,
        /// Words that are not shown, whole and in any case.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        pub ban_words: Vec<String>,
        /// What becomes of a message with such a word.
        #[serde(default)]
        pub ban_mode: BanMode,
        /// Messages that came before are not shown.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub cleared_at_ms: Option<u64>,
        /// A message fades when it is so old; never when left out.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub fade_after_ms: Option<u64>,
        /// And is gone after so long.
        #[serde(default = "default_fade_ms")]
        #[schema(minimum = 0, maximum = 60000)]
        pub fade_ms: u64,
        /// How long a new message takes to come in.
        #[serde(default = "default_push_ms")]
        #[schema(minimum = 0, maximum = 60000)]
        pub push_ms: u64,
        /// How it comes in.
        #[serde(default = "default_easing")]
        pub easing: Easing,
        /// Where the author stands.
        #[serde(default)]
        pub layout: ChatLayout,
        /// Pixels between two messages.
        #[serde(default = "default_gap")]
        #[schema(minimum = 0, maximum = 1000)]
        pub gap: f64,
        /// Whether the author's first letter stands in a disc beside the message.
        #[serde(default)]
        pub avatars: bool,
        /// Colour of the box behind each message.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pub message_background: Option<Rgba>,
        /// Space between that box and the message, in pixels.
        #[serde(default)]
        #[schema(minimum = 0, maximum = 1000)]
        pub message_padding: f64,
        /// Radius of that box's corners, in pixels.
        #[serde(default)]
        #[schema(minimum = 0, maximum = 1000)]
        pub message_radius: f64,
        /// Behind highlighted messages, and at full strength along their left edge.
        #[serde(default = "default_highlight")]
        pub highlight_color: Rgba,
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChatMessage {
    /// Unique among the messages.
    pub id: String,
    /// Who wrote it.
    pub author: String,
    /// Colour of the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author_color: Option<Rgba>,
    /// Beside the name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub badges: Vec<ChatBadge>,
    /// What was written.
    pub text: String,
    /// Milliseconds elapsed on the stream when it came.
    pub at_ms: u64,
    /// Whether it stands out.
    #[serde(default)]
    pub highlight: bool,
}

/// A mark beside a name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ChatBadge {
    /// E.g. `MOD`.
    pub text: String,
    /// Of its box.
    #[serde(default = "default_badge_color")]
    pub color: Rgba,
}

/// Where the author of a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum ChatLayout {
    /// Above the text.
    #[default]
    Stacked,
    /// Before the text, after the badges.
    Inline,
}

/// What becomes of a message with a banned word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub enum BanMode {
    /// Stars stand for the word's letters.
    #[default]
    Replace,
    /// It is not shown.
    Hide,
}

fn default_max_messages() -> usize {
    100
}
fn default_fade_ms() -> u64 {
    1000
}
fn default_push_ms() -> u64 {
    300
}
fn default_easing() -> Easing {
    "easeOutCubic".parse().unwrap_or_default()
}
fn default_gap() -> f64 {
    12.0
}
fn default_highlight() -> Rgba {
    Rgba::new(0xe6, 0xc5, 0x81, 0x2e)
}
fn default_badge_color() -> Rgba {
    Rgba::new(0x4f, 0x46, 0xa5, 0xff)
}

impl Kind for Chat {
    const TYPE: &'static str = "chat";

    fn check(&self, check: &mut Check) {
        check.count("/messages", "messages", self.messages.len(), 0..=MESSAGES_MAX);
        let mut ids = HashSet::new();
        for (i, message) in self.messages.iter().enumerate() {
            check.part(&format!("/messages/{i}"), |check| {
                message.check(check);
                check.that("/id", ids.insert(&message.id), || format!("`{}` is another message's id", message.id));
            });
        }
        let is_in_order = self.messages.is_sorted_by_key(|message| message.at_ms);
        check.that("/messages", is_in_order, || "atMs must not fall".into());
        check.count("/maxMessages", "messages", self.max_messages, 1..=MESSAGES_MAX);
        for (pointer, names) in
            [("/mentions", &self.mentions), ("/deleted", &self.deleted), ("/banWords", &self.ban_words)]
        {
            check.count(pointer, "entries", names.len(), 0..=NAMES_MAX);
            for (i, name) in names.iter().enumerate() {
                check.count(&format!("{pointer}/{i}"), "bytes", name.len(), 1..=NAME_LEN_MAX);
            }
        }
        for (i, word) in self.ban_words.iter().enumerate() {
            let is_word = word.chars().all(char::is_alphanumeric);
            check.that(&format!("/banWords/{i}"), is_word, || "expected one word of letters and digits".into());
        }
        for (pointer, ms) in [("/fadeMs", self.fade_ms), ("/pushMs", self.push_ms)] {
            check.range(pointer, ms as f64, 0.0..=60_000.0);
        }
        for (pointer, ms) in [("/clearedAtMs", self.cleared_at_ms), ("/fadeAfterMs", self.fade_after_ms)] {
            check.range(pointer, ms.unwrap_or_default() as f64, 0.0..=AT_MS_MAX as f64);
        }
        for (pointer, pixels) in
            [("/gap", self.gap), ("/messagePadding", self.message_padding), ("/messageRadius", self.message_radius)]
        {
            check.range(pointer, pixels, 0.0..=1000.0);
        }
        self.style().check(check);
    }

    fn fonts(&self) -> Vec<&str> {
        vec![&self.font]
    }

    fn plan(&self, planner: &mut Planner<'_>) {
        let size = planner.size_or(SIZE);
        let looks = Looks::of(self.style());
        looks.text.plan_background(planner, size);
        let inside = Rect::at_origin(size).inflate(-(self.padding as f32));
        let now = planner.moment().elapsed;
        self.await_next(planner, &looks, now, inside.w);
        let gap = self.gap as f32;
        let mut bottom = inside.bottom() + gap;
        for message in self.messages.iter().rev().filter(|message| ms(message.at_ms) <= now) {
            let Some(fade) = self.fade(planner, now - ms(message.at_ms)) else { return };
            let Some(text) = self.shown_text(message) else { continue };
            let Some(card) = self.card(planner, &looks, message, &text, inside.w) else { continue };
            let come = self.come(planner, now - ms(message.at_ms));
            // It takes its room as it comes in, which pushes the ones before it.
            bottom -= come * (card.height + gap);
            if bottom + card.height <= inside.y {
                return;
            }
            let seen = ((bottom + card.height - inside.y) / card.height).clamp(0.0, 1.0);
            let part = Part { clip: inside, opacity: fade * seen * come.clamp(0.0, 1.0) };
            self.plan_card(planner, size, part, &card, Rect::new(inside.x, bottom, inside.w, card.height));
        }
    }

    /// `message`, `delete` (by `id` or `author`), `ban` (a word), `clear`, `highlight`.
    fn act(&self, action: &Action) -> Result<Self, Refused> {
        let mut chat = self.clone();
        match action.name.as_str() {
            "message" => chat.add(action.read()?, action.elapsed_ms())?,
            "delete" => chat.delete(&action.read()?)?,
            "ban" => {
                let Ban { word } = action.read()?;
                let is_word = !word.is_empty() && word.chars().all(char::is_alphanumeric);
                if !is_word {
                    return Err(wrong("/word", "expected one word of letters and digits"));
                }
                if !chat.ban_words.contains(&word) {
                    chat.ban_words.push(word);
                }
            }
            "clear" => {
                let Nothing {} = action.read()?;
                chat.cleared_at_ms = Some(action.elapsed_ms());
                chat.messages.clear();
                chat.deleted.clear();
            }
            "highlight" => {
                let Highlight { id, highlight } = action.read()?;
                let message = chat.messages.iter_mut().find(|message| message.id == id);
                message.ok_or_else(|| wrong("/id", format!("there is no message `{id}`")))?.highlight = highlight;
            }
            _ => return Err(Refused::Unknown(&["message", "delete", "ban", "clear", "highlight"])),
        }
        Ok(chat)
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Coming {
    id: Option<String>,
    author: String,
    author_color: Option<Rgba>,
    #[serde(default)]
    badges: Vec<ChatBadge>,
    text: String,
    #[serde(default)]
    highlight: bool,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Delete {
    id: Option<String>,
    author: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Ban {
    word: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Highlight {
    id: String,
    #[serde(default = "yes")]
    highlight: bool,
}

fn yes() -> bool {
    true
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

impl ChatMessage {
    fn check(&self, check: &mut Check) {
        check.count("/id", "bytes", self.id.len(), 1..=NAME_LEN_MAX);
        check.count("/author", "bytes", self.author.len(), 1..=NAME_LEN_MAX);
        check.count("/badges", "badges", self.badges.len(), 0..=BADGES_MAX);
        for (i, badge) in self.badges.iter().enumerate() {
            check.count(&format!("/badges/{i}/text"), "bytes", badge.text.len(), 1..=BADGE_LEN_MAX);
        }
        check.count("/text", "bytes", self.text.len(), 1..=TEXT_LEN_MAX);
        check.range("/atMs", self.at_ms as f64, 0.0..=AT_MS_MAX as f64);
    }

    /// The author's colour, or one that is always the same for the name.
    fn colour(&self) -> Rgba {
        let hash =
            self.author.bytes().fold(0_usize, |hash, byte| hash.wrapping_mul(31).wrapping_add(usize::from(byte)));
        self.author_color.unwrap_or(PALETTE[hash % PALETTE.len()])
    }
}

/// Where in a text one of these names stands after an `@`, which is meant too, in bytes.
fn mentions(text: &str, names: &[String]) -> Vec<Range<usize>> {
    let names: Vec<_> = names.iter().map(|name| name.trim_start_matches('@').to_lowercase()).collect();
    let mentioned = text.match_indices('@').filter_map(|(at, _)| {
        let rest = &text[at + 1..];
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != '-').unwrap_or(rest.len());
        names.contains(&rest[..end].to_lowercase()).then_some(at..at + 1 + end)
    });
    mentioned.collect()
}

/// The styles of a message's parts.
struct Looks {
    text: Style,
    author: Style,
    badge: Style,
}

impl Looks {
    fn of(text: Style) -> Self {
        let bold =
            |share: f64| Style { size: (text.size * share).max(1.0), weight: 700, italic: false, ..text.clone() };
        Self { author: bold(0.95), badge: Style { color: Rgba::WHITE, letter_spacing: 0.5, ..bold(0.6) }, text }
    }
}

/// A measured message.
struct Card {
    author: Option<Label>,
    badges: Vec<(Label, Rgba)>,
    text: Label,
    initial: Option<(Label, Rgba)>,
    is_highlighted: bool,
    height: f32,
}

impl Chat {
    /// Says when the next message comes, and asks for its texts.
    fn await_next(&self, planner: &mut Planner<'_>, looks: &Looks, now: Duration, width: f32) {
        let next = self.messages.iter().find(|message| ms(message.at_ms) > now);
        let Some((next, text)) = next.and_then(|next| Some((next, self.shown_text(next)?))) else { return };
        planner.changes_at(ms(next.at_ms));
        let author = Style { color: next.colour(), ..looks.author.clone() };
        let author = author.raster(planner, self.censored(&next.author), None, false);
        let text = self.paragraph(planner, looks, next, &text, width);
        [author, text].into_iter().for_each(|raster| planner.prefetch(&Raster::Text(Arc::new(raster))));
    }

    /// What of a message is shown by its age, from 1 to above 0; nothing when it is gone, and all older ones with it.
    fn fade(&self, planner: &mut Planner<'_>, age: Duration) -> Option<f32> {
        let Some(after) = self.fade_after_ms.map(ms) else { return Some(1.0) };
        let span = ms(self.fade_ms);
        if age < after {
            planner.changes_in(after - age);
            return Some(1.0);
        }
        let faded = age - after;
        if faded >= span {
            return None;
        }
        planner.changes_in(Duration::ZERO);
        Some(1.0 - (faded.as_secs_f64() / span.as_secs_f64()) as f32)
    }

    /// What share of its room a message of that age has taken.
    fn come(&self, planner: &mut Planner<'_>, age: Duration) -> f32 {
        let span = ms(self.push_ms);
        if age >= span {
            return 1.0;
        }
        planner.changes_in(Duration::ZERO);
        self.easing.at(age.as_secs_f64() / span.as_secs_f64()) as f32
    }

    /// A message's text as it may be shown; nothing if it may not.
    fn shown_text(&self, message: &ChatMessage) -> Option<String> {
        let is_cleared = self.cleared_at_ms.is_some_and(|cleared| message.at_ms < cleared);
        if is_cleared || self.deleted.contains(&message.id) {
            return None;
        }
        // One message is one paragraph: nobody takes more room than the text needs.
        let written = message.text.replace(['\n', '\r'], " ");
        let text = self.censored(&written);
        let is_clean = text == written && self.censored(&message.author) == message.author;
        (is_clean || self.ban_mode == BanMode::Replace).then_some(text)
    }

    /// The text with stars for the letters of banned words.
    fn censored(&self, text: &str) -> String {
        if self.ban_words.is_empty() {
            return text.to_owned();
        }
        let banned: HashSet<String> = self.ban_words.iter().map(|word| word.to_lowercase()).collect();
        let mut clean = String::with_capacity(text.len());
        let mut rest = text;
        while !rest.is_empty() {
            let word = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
            let (word, after) = rest.split_at(word);
            if banned.contains(&word.to_lowercase()) {
                clean.extend(std::iter::repeat_n('*', word.chars().count()));
            } else {
                clean.push_str(word);
            }
            let between = after.find(char::is_alphanumeric).unwrap_or(after.len());
            clean.push_str(&after[..between]);
            rest = &after[between..];
        }
        clean
    }

    /// Where texts start within a message's box.
    fn indent(&self) -> f32 {
        let avatar = if self.avatars { self.avatar() + self.size as f32 * 0.6 } else { 0.0 };
        self.message_padding as f32 + avatar
    }

    /// Diameter of the disc.
    fn avatar(&self) -> f32 {
        (self.size as f32 * 2.2).round()
    }

    fn text_width(&self, width: f32) -> f32 {
        (width - self.indent() - self.message_padding as f32).max(1.0)
    }

    /// The text with its mentions, and before it, where it is inline, who wrote it.
    fn paragraph(
        &self,
        planner: &Planner<'_>,
        looks: &Looks,
        message: &ChatMessage,
        text: &str,
        width: f32,
    ) -> TextRaster {
        let mut parts: Vec<(String, TextLook)> = Vec::new();
        if self.layout == ChatLayout::Inline {
            let badge = |badge: &ChatBadge| (format!("{} ", badge.text), looks.badge.look(Some(badge.color)));
            parts.extend(message.badges.iter().map(badge));
            let author = format!("{}: ", self.censored(&message.author));
            parts.push((author, looks.author.look(Some(message.colour()))));
        }
        let mut done = 0;
        for name in mentions(text, &self.mentions) {
            let strong = Style { weight: 700, ..looks.text.clone() };
            parts.push((text[done..name.start].to_owned(), looks.text.look(None)));
            parts.push((text[name.clone()].to_owned(), strong.look(Some(Rgba { a: 255, ..self.highlight_color }))));
            done = name.end;
        }
        if parts.is_empty() {
            return looks.text.raster(planner, text.to_owned(), Some(self.text_width(width)), true);
        }
        parts.push((text[done..].to_owned(), looks.text.look(None)));
        let whole = parts.iter().map(|(part, _)| part.as_str()).collect();
        let mut end = 0;
        let spans = parts.into_iter().map(|(part, look)| {
            end += part.len();
            TextSpan { end, look }
        });
        let raster = looks.text.raster(planner, whole, Some(self.text_width(width)), true);
        looks.text.spanned(planner, raster, spans.collect())
    }

    fn card(
        &self,
        planner: &mut Planner<'_>,
        looks: &Looks,
        message: &ChatMessage,
        text: &str,
        width: f32,
    ) -> Option<Card> {
        let author_style = Style { color: message.colour(), ..looks.author.clone() };
        let name = self.censored(&message.author);
        let raster = self.paragraph(planner, looks, message, text, width);
        let block = Label::measured(planner, raster)?;
        let is_stacked = self.layout == ChatLayout::Stacked;
        let author = if is_stacked { Some(Label::line(planner, &author_style, &name)?) } else { None };
        let badge = |badge: &ChatBadge| Some((Label::line(planner, &looks.badge, &badge.text)?, badge.color));
        let badges = message.badges.iter().filter(|_| is_stacked).filter_map(badge).collect();
        let initial = name.chars().next().filter(|_| self.avatars).map(|first| first.to_uppercase().to_string());
        let initial = initial.and_then(|initial| Label::line(planner, &author_style, &initial));
        let texts = author.as_ref().map_or(0.0, |author| author.block[1]) + block.block[1];
        let beside = if self.avatars { self.avatar() } else { 0.0 };
        let height = texts.max(beside) + 2.0 * self.message_padding as f32;
        let is_highlighted = message.highlight || !mentions(text, &self.mentions).is_empty();
        let initial = initial.map(|initial| (initial, message.colour()));
        Some(Card { author, badges, text: block, initial, is_highlighted, height })
    }

    fn plan_card(&self, planner: &mut Planner<'_>, size: [f32; 2], part: Part, card: &Card, place: Rect) {
        let radius = self.message_radius as f32;
        let mut back = |rect, colour| {
            part.draw(planner, size, filled(rect, radius, draw::Fill::Solid(colour)));
        };
        self.message_background.into_iter().for_each(|colour| back(place, colour));
        if card.is_highlighted {
            back(place, self.highlight_color);
            let bar = Rect { w: (self.size as f32 * 0.2).max(2.0), ..place };
            let cut = Part { clip: part.clip.intersect(bar), ..part };
            let strong = Rgba { a: 255, ..self.highlight_color };
            cut.draw(planner, size, filled(place, radius, draw::Fill::Solid(strong)));
        }
        let (x, y) = (place.x + self.message_padding as f32, place.y + self.message_padding as f32);
        if let Some((initial, colour)) = &card.initial {
            let disc = Rect::new(x, y, self.avatar(), self.avatar());
            let dark = Rgba { a: 56, ..*colour };
            part.draw(planner, size, filled(disc, disc.w / 2.0, draw::Fill::Solid(dark)));
            let [w, h] = initial.block;
            initial.plan(planner, size, part, [disc.x + (disc.w - w) / 2.0, disc.y + (disc.h - h) / 2.0]);
        }
        let x = place.x + self.indent();
        let mut below = y;
        if let Some(author) = &card.author {
            author.plan(planner, size, part, [x, y]);
            let line = Rect::new(x + author.block[0], y, 0.0, author.block[1]);
            self.plan_badges(planner, size, part, &card.badges, line);
            below += author.block[1];
        }
        card.text.plan(planner, size, part, [x, below]);
    }

    /// Draws the badges to the right of the name's line.
    fn plan_badges(&self, planner: &mut Planner<'_>, size: [f32; 2], part: Part, badges: &[(Label, Rgba)], line: Rect) {
        let mut x = line.x + self.size as f32 * 0.4;
        for (label, colour) in badges {
            let [width, height] = label.block;
            let margin = height * 0.3;
            let place = Rect::new(x, line.y + (line.h - height) / 2.0, width + 2.0 * margin, height);
            part.draw(planner, size, filled(place, height * 0.25, draw::Fill::Solid(*colour)));
            label.plan(planner, size, part, [x + margin, place.y]);
            x += place.w + margin;
        }
    }

    /// Adds a message that comes at this time, and forgets the oldest where there are too many.
    fn add(&mut self, coming: Coming, at_ms: u64) -> Result<(), Refused> {
        let at_ms = self.messages.last().map_or(at_ms, |last| last.at_ms.max(at_ms));
        let generated = || {
            let same = self.messages.iter().filter(|message| message.at_ms == at_ms).count();
            format!("{at_ms}-{same}")
        };
        let Coming { id, author, author_color, badges, text, highlight } = coming;
        let id = id.unwrap_or_else(generated);
        if self.messages.iter().any(|message| message.id == id) {
            return Err(wrong("/id", format!("`{id}` is another message's id already")));
        }
        let message = ChatMessage { id, author, author_color, badges, text, at_ms, highlight };
        let mut check = Check::default();
        message.check(&mut check);
        check.finish()?;
        self.messages.push(message);
        let surplus = self.messages.len().saturating_sub(self.max_messages);
        self.messages.drain(..surplus);
        self.deleted.retain(|id| self.messages.iter().any(|message| message.id == *id));
        Ok(())
    }

    /// Hides one message, or all of an author; those that are gone already are no error.
    fn delete(&mut self, Delete { id, author }: &Delete) -> Result<(), Refused> {
        if id.is_some() == author.is_some() {
            return Err(wrong("", "expected either `id` or `author`"));
        }
        for message in &self.messages {
            let is_meant = id.as_ref().is_some_and(|id| message.id == *id)
                || author.as_ref().is_some_and(|author| message.author == *author);
            if is_meant && !self.deleted.contains(&message.id) {
                self.deleted.push(message.id.clone());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::scene::content::testing::{act, problem, shelf, texts};

    /// 200 x 200 px; lines are 24 px, those of authors 22.8 px high; with a gap of 10 px each message takes 56.8 px.
    fn chat(fields: Value) -> Value {
        let mut document = json!({ "type": "chat", "size": 20, "gap": 10, "pushMs": 1000, "easing": "linear",
            "messages": [message("a", "first", 0), message("b", "second", 5000)] });
        json_patch::merge(&mut document, &fields);
        document
    }

    fn message(id: &str, text: &str, at_ms: u64) -> Value {
        json!({ "id": id, "author": format!("by {id}"), "text": text, "atMs": at_ms })
    }

    /// The texts of messages, without authors, with their upper edges and opacities, from below.
    fn shown(document: &Value, elapsed_ms: u64) -> Vec<(String, f32, f32)> {
        let (_, evaluation) = shelf(document.clone(), json!({ "width": 200, "height": 200 }), elapsed_ms, 0);
        let items = evaluation.draw_list.items;
        let each = items.iter().flat_map(|item| {
            texts(std::slice::from_ref(item)).into_iter().map(|(text, rect)| (text, rect.y.round(), item.opacity))
        });
        each.filter(|(text, ..)| !text.starts_with("by ")).collect()
    }

    fn place(text: &str, y: f32, opacity: f32) -> (String, f32, f32) {
        (text.into(), y, opacity)
    }

    #[test]
    fn the_newest_stands_at_the_bottom_and_pushes() {
        let document = chat(json!({}));
        assert_eq!(shown(&document, 4999), [place("first", 176.0, 1.0)]);
        assert_eq!(shown(&document, 5500), [place("second", 204.0, 0.5), place("first", 148.0, 1.0)], "half way");
        assert_eq!(shown(&document, 6000), [place("second", 176.0, 1.0), place("first", 119.0, 1.0)]);
    }

    #[test]
    fn it_says_when_it_changes() {
        let changes = |fields: Value, at| {
            let (_, evaluation) = shelf(chat(fields), json!({}), at, 0);
            evaluation.changes_at.map(|time| time.as_millis())
        };
        assert_eq!(changes(json!({}), 1000), Some(5000), "the next one comes");
        assert_eq!(changes(json!({}), 5300), Some(5300), "it is coming");
        assert_eq!(changes(json!({}), 6000), None);
        let fading = json!({ "fadeAfterMs": 3000, "fadeMs": 500 });
        assert_eq!(changes(fading.clone(), 6100), Some(8000));
        assert_eq!(changes(fading.clone(), 8100), Some(8100));
        assert_eq!(changes(fading, 9000), None);
        let (shelf, _) = shelf(chat(json!({})), json!({}), 1000, 0);
        assert!(shelf.asked().contains(&"second".into()), "what comes is asked for ahead");
    }

    #[test]
    fn old_ones_fade_and_those_above_the_edge() {
        let fading = chat(json!({ "fadeAfterMs": 3000, "fadeMs": 1000 }));
        assert_eq!(shown(&fading, 3250), [place("first", 176.0, 0.75)]);
        assert_eq!(shown(&fading, 4000), []);
        let many: Vec<_> = (0..9).map(|i| message(&format!("{i}"), &format!("text {i}"), 0)).collect();
        let document = chat(json!({ "messages": many, "pushMs": 0 }));
        let shown = shown(&document, 10);
        assert_eq!(shown.len(), 4, "what is above the box is not drawn");
        assert!(shown[3].2 < 1.0 && shown[2].2 == 1.0, "{shown:?}");
    }

    #[test]
    fn moderation_hides() {
        let at = |fields| shown(&chat(fields), 9000).into_iter().map(|(text, ..)| text).collect::<Vec<_>>();
        assert_eq!(at(json!({ "deleted": ["b"] })), ["first"]);
        assert_eq!(at(json!({ "clearedAtMs": 5000 })), ["second"]);
        assert_eq!(at(json!({ "banWords": ["SECOND"], "banMode": "hide" })), ["first"]);
        assert_eq!(at(json!({ "banWords": ["seco", "First"] })), ["second", "*****"]);
    }

    #[test]
    fn words_are_banned_whole_and_in_any_case() {
        let chat: Chat = serde_json::from_value(json!({ "banWords": ["Blöd", "x2"] })).unwrap();
        assert_eq!(chat.censored("blöd, BLÖD! blöder (x2) x22 @x2"), "****, ****! blöder (**) x22 @**");
    }

    #[test]
    fn names_after_an_at_are_mentions() {
        let names = ["Saleroom".to_owned(), "@host".to_owned()];
        let found = |text: &str| mentions(text, &names).into_iter().map(|at| text[at].to_owned()).collect::<Vec<_>>();
        assert_eq!(found("hi @saleroom! And @HOST, a@b"), ["@saleroom", "@HOST"]);
        assert_eq!(found("saleroom, @salerooms, @ host, @"), [""; 0]);
    }

    /// The parts of the only message's text, each with its colour.
    fn parts(fields: Value) -> Vec<(String, Option<Rgba>)> {
        let (_, evaluation) = shelf(chat(fields), json!({ "width": 300, "height": 300 }), 9000, 0);
        let item = evaluation.draw_list.items.into_iter().last().unwrap();
        let draw::Paint::Raster { raster: Raster::Text(raster), .. } = item.paint else { panic!("a text") };
        let mut start = 0;
        let part = |span: &TextSpan| {
            let part = raster.text[start..span.end].to_owned();
            start = span.end;
            (part, span.look.colour)
        };
        raster.spans.iter().map(part).collect()
    }

    #[test]
    fn mentions_and_inline_authors_are_part_of_the_text() {
        let one = json!([{ "id": "a", "author": "Ada", "authorColor": "#00ff00", "text": "hi @host\nok", "atMs": 0,
            "badges": [{ "text": "MOD", "color": "#0000ff" }] }]);
        let gold = Rgba { a: 255, ..default_highlight() };
        let mention = [("hi ".to_owned(), None), ("@host".to_owned(), Some(gold)), (" ok".to_owned(), None)];
        let stacked = parts(json!({ "messages": one, "mentions": ["host"] }));
        assert_eq!(stacked, mention);
        let inline = parts(json!({ "messages": one, "mentions": ["host"], "layout": "inline" }));
        let who = [
            ("MOD ".to_owned(), Some(Rgba::new(0, 0, 255, 255))),
            ("Ada: ".to_owned(), Some(Rgba::new(0, 255, 0, 255))),
        ];
        assert_eq!((&inline[..2], &inline[2..]), (&who[..], &mention[..]));
        assert_eq!(parts(json!({ "messages": one })), [], "a plain text has one style");
    }

    #[test]
    fn a_highlight_has_a_bar() {
        let count =
            |fields| shelf(chat(fields), json!({ "width": 300, "height": 300 }), 9000, 0).1.draw_list.items.len();
        let mut messages = json!([message("a", "hey @host", 0), message("b", "no", 0)]);
        assert_eq!(count(json!({ "messages": messages })), 4);
        assert_eq!(count(json!({ "messages": messages, "mentions": ["host"] })), 6, "a box and a bar");
        messages[1]["highlight"] = json!(true);
        messages[1]["badges"] = json!([{ "text": "MOD" }]);
        assert_eq!(count(json!({ "messages": messages, "avatars": true })), 4 + 2 + 2 + 4, "badge, discs, initials");
    }

    #[test]
    fn actions_write_the_document() {
        let at = |document: &Value, name, arguments, ms| act(document.clone(), name, arguments, ms, 0);
        let message = json!({ "author": "Ada", "text": "hello" });
        let empty = chat(json!({ "messages": [], "maxMessages": 2 }));
        let one = at(&empty, "message", message.clone(), 7000).unwrap();
        assert_eq!(one["messages"][0]["id"], "7000-0");
        let two = at(&one, "message", message.clone(), 7000).unwrap();
        assert_eq!((&two["messages"][1]["id"], &two["messages"][1]["atMs"]), (&json!("7000-1"), &json!(7000)));
        let three = at(&two, "message", json!({ "id": "c", "author": "Grace", "text": "hi" }), 8000).unwrap();
        assert_eq!(three["messages"].as_array().unwrap().len(), 2, "the oldest is forgotten");
        assert_eq!(at(&three, "message", json!({ "id": "c", "author": "B", "text": "x" }), 9000).unwrap_err(), "/id");
        assert_eq!(at(&three, "message", json!({ "author": "B", "text": "" }), 9000).unwrap_err(), "/text");
        assert_eq!(at(&three, "delete", json!({ "author": "Ada" }), 9000).unwrap()["deleted"], json!(["7000-1"]));
        assert_eq!(at(&three, "delete", json!({ "id": "gone" }), 9000).unwrap(), three);
        assert_eq!(at(&three, "delete", json!({}), 9000).unwrap_err(), "");
        assert_eq!(at(&three, "ban", json!({ "word": "hi" }), 9000).unwrap()["banWords"], json!(["hi"]));
        assert_eq!(at(&three, "ban", json!({ "word": "hi there" }), 9000).unwrap_err(), "/word");
        assert_eq!(at(&three, "highlight", json!({ "id": "c" }), 9000).unwrap()["messages"][1]["highlight"], true);
        assert_eq!(at(&three, "highlight", json!({ "id": "d" }), 9000).unwrap_err(), "/id");
        let cleared = at(&three, "clear", Value::Null, 9000).unwrap();
        assert_eq!((&cleared["messages"], &cleared["clearedAtMs"]), (&json!([]), &json!(9000)));
        assert_eq!(at(&three, "shout", json!({}), 9000).unwrap_err(), "message, delete, ban, clear, highlight");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (fields, pointer) in [
            (json!({ "messages": [message("a", "x", 5), message("b", "x", 4)] }), "/content/messages"),
            (json!({ "messages": [message("a", "x", 5), message("a", "x", 5)] }), "/content/messages/1/id"),
            (json!({ "messages": [message("a", "", 5)] }), "/content/messages/0/text"),
            (json!({ "banWords": ["two words"] }), "/content/banWords/0"),
            (json!({ "maxMessages": 0 }), "/content/maxMessages"),
            (json!({ "fadeMs": 60_001 }), "/content/fadeMs"),
        ] {
            assert_eq!(problem(chat(fields)).0, pointer);
        }
    }

    proptest! {
        /// Between two frames nothing moves farther than what came in between takes: a new message pushes, and none jumps.
        #[test]
        fn a_new_message_never_jumps(gaps in proptest::collection::vec(0..1500u64, 1..6), at in 0..9000u64) {
            let mut time = 0;
            let messages: Vec<_> = gaps.iter().enumerate().map(|(i, gap)| {
                time += gap;
                message(&i.to_string(), &format!("text {i}"), time)
            }).collect();
            let document = chat(json!({ "messages": messages }));
            let (before, after) = (shown(&document, at), shown(&document, at + 10));
            let in_motion = messages.iter().filter(|m| m["atMs"].as_u64().unwrap().abs_diff(at) <= 1010).count() as f32;
            for (text, y, _) in &before {
                let later = after.iter().find(|(other, ..)| other == text);
                // 10 ms are a hundredth of the push; rounding to whole pixels adds one.
                let moved = later.map_or(0.0, |(_, later, _)| y - later);
                prop_assert!((-1.0..=in_motion * 0.6 + 2.0).contains(&moved), "{} moved by {}", text, moved);
            }
        }
    }
}

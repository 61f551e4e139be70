//! A look at a shader's text before the compiler's: what would nest too deeply, or take names that are ours.
//!
//! naga walks expressions and `else` branches by recursion and bounds that for brackets and blocks alone, so a chain of
//! some thousand operators would overflow the stack of its thread, which nothing can catch. Here such chains are counted.
//! Comments end where naga ends them; the few characters on which one might disagree are refused.

use naga::keywords::wgsl::BUILTIN_IDENTIFIERS;

use super::{at, growth};

/// Most operators, dots and brackets between `;`, `{` and `}`.
const OPERATORS_MAX: usize = 512;
/// Most `else`.
const ELSE_MAX: usize = 128;

/// Refuses what the compiler must not see; the names that `ours` declare are taken.
pub(super) fn check(source: &str, ours: &[&str]) -> Result<(), String> {
    let tokens = tokens(source)?;
    check_shape(source, &tokens)?;
    growth::check(source, &tokens)?;
    let names = names(&tokens);
    let taken: Vec<String> = ours.iter().flat_map(|text| declared(text)).collect();
    for &(offset, name) in &names {
        if BUILTIN_IDENTIFIERS.contains(&name) || taken.iter().any(|taken| taken == name) || name == "params" {
            return Err(at(source, offset, &format!("`{name}` has a meaning already; choose another name")));
        }
    }
    if names.iter().any(|&(_, name)| name == "shade") {
        return Ok(());
    }
    Err("there is no `fn shade(in: ShadeInput) -> vec4f`".into())
}

fn declared(text: &str) -> Vec<String> {
    let tokens = tokens(text).unwrap_or_default();
    names(&tokens).into_iter().map(|(_, name)| name.to_owned()).collect()
}

/// A word, a number or one character, with its offset.
pub(super) type Token<'a> = (usize, &'a str);

fn tokens(source: &str) -> Result<Vec<Token<'_>>, String> {
    let mut tokens = Vec::new();
    let mut at_offset = 0;
    while let Some(first) = source[at_offset..].chars().next() {
        let rest = &source[at_offset..];
        let len = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            comment_len(rest).ok_or_else(|| at(source, at_offset, "this comment is not closed by `*/`"))?
        } else if is_of_word(first) {
            let is_more = |c| is_of_word(c) || c == '.' && first.is_ascii_digit();
            rest.find(|c| !is_more(c)).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let token = &rest[..len];
        if let Some(bad) = token.chars().find(|&c| is_odd(c)) {
            return Err(at(source, at_offset, &format!("the character U+{:04X} is not allowed", u32::from(bad))));
        }
        if !token.starts_with("//") && !token.starts_with("/*") && !first.is_whitespace() {
            tokens.push((at_offset, token));
        }
        at_offset += len;
    }
    Ok(tokens)
}

/// Bytes of the block comment at the start of `text`; they nest.
fn comment_len(text: &str) -> Option<usize> {
    let mut depth = 0;
    let mut offset = 0;
    while offset < text.len() {
        let rest = &text[offset..];
        let step = match rest.get(..2) {
            Some("/*") => {
                depth += 1;
                2
            }
            Some("*/") => {
                depth -= 1;
                2
            }
            _ => rest.chars().next().map_or(1, char::len_utf8),
        };
        offset += step;
        if depth == 0 {
            return Some(offset);
        }
    }
    None
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Line ends and blanks that only some programs take for such.
fn is_odd(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\r' | '\t')
        || matches!(c, '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}')
}

fn check_shape(source: &str, tokens: &[Token<'_>]) -> Result<(), String> {
    let (mut operators, mut elses, mut depth) = (0, 0, 0_usize);
    for &(offset, token) in tokens {
        match token {
            ";" => operators = 0,
            "{" => (operators, depth) = (0, depth + 1),
            "}" => {
                operators = 0;
                depth = depth.checked_sub(1).ok_or_else(|| at(source, offset, "this `}` closes nothing"))?;
            }
            "(" | ")" | "," | ":" => {}
            "@" => {
                return Err(at(
                    source,
                    offset,
                    "attributes are not allowed: bindings and entry points are made for you",
                ));
            }
            "else" => elses += 1,
            _ if token.starts_with(is_of_word) => {}
            _ => operators += 1,
        }
        if operators > OPERATORS_MAX {
            let message = format!("more than {OPERATORS_MAX} operators in one statement; split it");
            return Err(at(source, offset, &message));
        }
        if elses > ELSE_MAX {
            return Err(at(source, offset, &format!("more than {ELSE_MAX} `else`; use `switch` or arrays")));
        }
    }
    if depth > 0 { Err("a `{` is not closed".into()) } else { Ok(()) }
}

/// What is declared outside of functions and structs.
fn names<'a>(tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    let mut names = Vec::new();
    let mut depth = 0;
    for (i, &(_, token)) in tokens.iter().enumerate() {
        match token {
            "{" => depth += 1,
            "}" => depth -= 1,
            "fn" | "struct" | "alias" | "const" | "override" | "var" if depth == 0 => {
                let mut rest = tokens[i + 1..].iter().copied().peekable();
                if rest.peek().is_some_and(|&(_, next)| next == "<") {
                    // `var<private>`.
                    rest.by_ref().find(|&(_, next)| next == ">");
                }
                names.extend(rest.next());
            }
            _ => {}
        }
    }
    names
}

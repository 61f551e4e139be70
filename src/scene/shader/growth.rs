//! How large the compiler's own constants may grow, estimated from a shader's text.
//!
//! naga writes out what is constant: `array<f32, N>()` that is compared becomes N expressions, and a constant made of two
//! others becomes as large as both, so that thirty lines, each twice the last one, would take all memory of the machine
//! before a type is found to be too large. So arrays have few elements, written as a number, and whatever holds an array
//! or a struct weighs what the words of its declaration weigh together. An estimate from above: it knows no scopes.

use std::collections::{HashMap, HashSet};

use super::{at, scan::Token};

/// Most elements of an array: as many numbers as a value may have.
const ELEMENTS_MAX: u32 = 128;
/// Most words of a struct, or of a constant that holds arrays or structs, with those of its parts written out.
const WEIGHT_MAX: u32 = 2048;
/// Most names that are each made of one further down.
const DEPTH_MAX: usize = 64;

/// Refuses texts of which constants grow without bounds.
pub(super) fn check(source: &str, tokens: &[Token<'_>]) -> Result<(), String> {
    check_arrays(source, tokens)?;
    let declarations = declarations(tokens);
    let mut weights = Weights { declarations: &declarations, known: HashMap::new(), open: HashSet::new() };
    // In the order of the text, in which most names come after those that they are made of.
    let mut names: Vec<_> = declarations.iter().map(|(name, declared)| (declared[0].0, *name)).collect();
    names.sort_unstable();
    match names.into_iter().find(|(_, name)| weights.of(name) > WEIGHT_MAX) {
        Some((offset, name)) => {
            Err(at(source, offset, &format!("`{name}` is too large, or made of one of the same name")))
        }
        None => Ok(()),
    }
}

/// The number of elements is a number, or the name of a constant that is one.
fn check_arrays(source: &str, tokens: &[Token<'_>]) -> Result<(), String> {
    let is_constant = |name: &str| {
        let mut places = tokens.windows(4).filter(|w| w[0].1 == "const" && w[1].1 == name).peekable();
        places.peek().is_some() && places.all(|w| w[2].1 == "=" && is_few(w[3].1) && ends(tokens, w[3].0))
    };
    for (i, &(offset, token)) in tokens.iter().enumerate() {
        if token != "array" || tokens.get(i + 1).is_none_or(|&(_, next)| next != "<") {
            continue;
        }
        if let Some(count) = count_of(&tokens[i + 1..]) {
            let is_good = matches!(count, [(_, one)] if is_few(one) || is_constant(one));
            if !is_good {
                let message =
                    format!("the number of elements must be a number, 1 to {ELEMENTS_MAX}, or a `const` that is one");
                return Err(at(source, offset, &message));
            }
        }
    }
    Ok(())
}

/// Whether a statement ends behind the token at `offset`.
fn ends(tokens: &[Token<'_>], offset: usize) -> bool {
    let next = tokens.partition_point(|token| token.0 <= offset);
    tokens.get(next).is_some_and(|&(_, token)| token == ";")
}

/// A whole number from 1 to the maximum.
fn is_few(token: &str) -> bool {
    let digits = token.strip_suffix(['u', 'i']).unwrap_or(token);
    digits.bytes().all(|b| b.is_ascii_digit()) && digits.parse().is_ok_and(|n: u32| (1..=ELEMENTS_MAX).contains(&n))
}

/// The tokens between the last comma of a list in `<>`, which `tokens` start with, and its end.
fn count_of<'a, 'b>(tokens: &'a [Token<'b>]) -> Option<&'a [Token<'b>]> {
    let (mut depth, mut comma) = (0_usize, None);
    for (i, &(_, token)) in tokens.iter().enumerate() {
        match token {
            "<" | "(" => depth += 1,
            ">" | ")" => depth = depth.saturating_sub(1),
            "," if depth == 1 => comma = Some(i),
            ";" | "{" | "}" => return comma.map(|comma| &tokens[comma + 1..i]),
            _ => {}
        }
        if depth == 0 {
            // A comma may follow the last argument.
            return comma.map(|comma| &tokens[comma + 1..i]);
        }
    }
    None
}

/// What is declared under each name, anywhere: the words of the declarations.
fn declarations<'b>(tokens: &[Token<'b>]) -> HashMap<&'b str, Vec<Token<'b>>> {
    let mut declarations: HashMap<&str, Vec<Token<'_>>> = HashMap::new();
    for (i, &(_, token)) in tokens.iter().enumerate() {
        if !matches!(token, "struct" | "alias" | "const" | "let") {
            continue;
        }
        let Some(&(offset, name)) = tokens.get(i + 1) else { continue };
        let end = if token == "struct" { "}" } else { ";" };
        let words = tokens[i + 2..].iter().take_while(|&&(_, word)| word != end);
        let known = declarations.entry(name).or_default();
        known.push((offset, token));
        known.extend(words);
    }
    declarations
}

struct Weights<'a, 'b> {
    declarations: &'a HashMap<&'b str, Vec<Token<'b>>>,
    known: HashMap<&'b str, u32>,
    open: HashSet<&'b str>,
}

impl<'b> Weights<'_, 'b> {
    /// 1 for what holds neither an array nor a struct; too much for what does and is made of its own name.
    fn of(&mut self, name: &'b str) -> u32 {
        let Some(declared) = self.declarations.get(name) else { return 1 };
        if let Some(&weight) = self.known.get(name) {
            return weight;
        }
        if !self.open.insert(name) {
            return 0;
        }
        if self.open.len() > DEPTH_MAX {
            return u32::MAX;
        }
        let weights: Vec<u32> = (0..declared.len()).map(|i| self.of_word(declared, i)).collect();
        let holds = declared.iter().zip(&weights).any(|(&(_, word), &weight)| is_aggregate(word) || weight > 1);
        let weight = match (holds, weights.contains(&0)) {
            (false, _) => 1,
            (true, true) => u32::MAX,
            (true, false) => weights.into_iter().fold(0, u32::saturating_add),
        };
        self.open.remove(name);
        self.known.insert(name, weight);
        weight
    }

    /// What a word of a declaration weighs: a part that can only be a number or a vector, 1.
    fn of_word(&mut self, declared: &[Token<'b>], i: usize) -> u32 {
        let word = declared[i].1;
        let next = declared.get(i + 1).map_or("", |&(_, next)| next);
        let is_member = next == ":" || i > 0 && declared[i - 1].1 == ".";
        let is_part = matches!(next, "[" | ".") && self.is_flat(word);
        if is_member || is_part { 1 } else { self.of(word) }
    }

    /// Whether it is one array, or a struct of numbers and vectors.
    fn is_flat(&mut self, name: &'b str) -> bool {
        let Some(declared) = self.declarations.get(name) else { return true };
        if self.open.len() > DEPTH_MAX || !self.open.insert(name) {
            return false;
        }
        let is_flat = self.is_flat_declaration(declared);
        self.open.remove(name);
        is_flat
    }

    fn is_flat_declaration(&mut self, declared: &[Token<'b>]) -> bool {
        let is_struct = declared[0].1 == "struct";
        let parts: Vec<&str> = (usize::from(is_struct)..declared.len())
            .filter(|&i| is_aggregate(declared[i].1) || self.of_word(declared, i) != 1)
            .map(|i| declared[i].1)
            .collect();
        // A type may stand on both sides of the `=`.
        let one = parts.first().copied();
        let is_one = parts.len() <= 2 && parts.iter().all(|&part| Some(part) == one);
        match one {
            None => true,
            Some("array") => is_one && !is_struct,
            Some(part) => is_one && !is_struct && self.declarations[part][0].1 == "struct" && self.is_flat(part),
        }
    }
}

fn is_aggregate(word: &str) -> bool {
    matches!(word, "array" | "struct")
}

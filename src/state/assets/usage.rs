//! Where documents use an asset: wherever a text is its name, and for a font, wherever one is the name of its family.
//!
//! Found in the written document, so no type of content has to tell, and none can forget to.

use serde_json::Value;

use super::Asset;
use crate::scene::check::escape;

/// JSON pointers to all places of `document` that use `asset`.
pub(super) fn places(document: &Value, asset: &Asset) -> Vec<String> {
    let id = asset.id.to_string();
    let mut found = Vec::new();
    walk(document, "", String::new(), &mut |field, text, pointer| {
        let is_family =
            field == "font" && asset.facts.families.iter().any(|name| name.eq_ignore_ascii_case(text.trim()));
        if text == id || is_family {
            found.push(pointer.to_owned());
        }
    });
    found
}

/// Every text, with the name of the field that it is in and the way to it.
fn walk(value: &Value, field: &str, pointer: String, see: &mut impl FnMut(&str, &str, &str)) {
    match value {
        Value::String(text) => see(field, text, &pointer),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(i, item)| walk(item, field, format!("{pointer}/{i}"), see));
        }
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| walk(value, name, format!("{pointer}/{}", escape(name)), see))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::asset::tests::asset, *};
    use crate::media::Kind;

    #[test]
    fn every_place_is_found() {
        let picture = asset(b"a", "a.png");
        let id = picture.id.to_string();
        let document = json!({ "layers": [
            { "id": "x", "content": { "type": "image", "asset": id } },
            { "id": "y", "mask": { "asset": id }, "content": { "type": "slideshow", "slides": [{ "asset": id }, { "asset": "b.png" }] } },
            { "id": "z", "content": { "type": "text", "text": format!("see {id}") } },
        ] });
        assert_eq!(
            places(&document, &picture),
            ["/layers/0/content/asset", "/layers/1/content/slides/0/asset", "/layers/1/mask/asset"]
        );
        let mut font = asset(b"f", "f.ttf");
        font.kind = Kind::Font;
        font.facts.families = vec!["Heldentz".into()];
        let document = json!({ "a": { "font": "heldentz", "text": "Heldentz" } });
        assert_eq!(places(&document, &font), ["/a/font"]);
    }
}

//! How documents are written, as JSON Schema for OpenAPI 3.1: what types say of themselves that serde reads by other means
//! than their fields.
//!
//! Types with fields derive `utoipa::ToSchema`, which understands serde's attributes. The others stand here by one of two
//! macros beside the type: `written!` gives a schema as JSON, `written_as!` refers to the type that serde reads in its
//! stead. [`tagged`] and [`one_of`] make the schema of documents whose `type` decides about the other fields. Schemas are
//! made once, for the API's description; nothing here runs otherwise. `tests/openapi.rs` holds them against what is read.

use serde_json::Value;
use utoipa::{
    ToSchema,
    openapi::{
        RefOr,
        schema::{AdditionalProperties, Discriminator, Object, ObjectBuilder, OneOfBuilder, Ref, Schema, Type},
    },
};

/// A schema, or the name of one.
pub type Written = RefOr<Schema>;
/// Schemas by their names.
pub type Named = Vec<(String, Written)>;

/// `written!(Id as "Id" = { "type": "string" })`: the type is written like that.
macro_rules! written {
    ($type:ty as $name:literal = $schema:tt) => {
        impl utoipa::PartialSchema for $type {
            fn schema() -> $crate::base::schema::Written {
                $crate::base::schema::of(serde_json::json!($schema))
            }
        }

        impl utoipa::ToSchema for $type {
            fn name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }
        }
    };
}

/// `written_as!(Layer as "Layer" = LayerDocument)`: the type is written like the other.
macro_rules! written_as {
    ($type:ty as $name:literal = $other:ty) => {
        impl utoipa::PartialSchema for $type {
            fn schema() -> $crate::base::schema::Written {
                <$other as utoipa::PartialSchema>::schema()
            }
        }

        impl utoipa::ToSchema for $type {
            fn name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }
            fn schemas(schemas: &mut $crate::base::schema::Named) {
                <$other as utoipa::ToSchema>::schemas(schemas);
            }
        }
    };
}

pub(crate) use {written, written_as};

/// A schema given as JSON.
pub fn of(schema: Value) -> Written {
    serde_json::from_value(schema).unwrap_or_else(|error| unreachable!("our own schema: {error}"))
}

/// The fields of an object.
///
/// # Panics
/// If it is the schema of something else.
pub fn object(schema: Written) -> Object {
    match schema {
        RefOr::T(Schema::Object(object)) => object,
        _ => unreachable!("documents of several types are objects"),
    }
}

/// The schema of one of several types: its own fields beside `type`, which names it.
pub fn tagged(type_name: &str, own: Written) -> Object {
    let mut object = object(own);
    let tag = ObjectBuilder::new().schema_type(Type::String).enum_values(Some([type_name]));
    object.properties.insert("type".into(), RefOr::T(tag.into()));
    object.required.insert(0, "type".into());
    object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(false)));
    object
}

/// The same with fields that all of the types have.
pub fn with_common(mut object: Object, common: Written) -> Object {
    let common = self::object(common);
    object.properties.extend(common.properties);
    object.required.extend(common.required);
    object
}

/// One of several types, by the names of their schemas and what `type` says.
pub fn one_of(description: &str, types: &[(String, &str)]) -> Written {
    let place = |name: &str| format!("#/components/schemas/{name}");
    let mapping = types.iter().map(|(name, type_name)| ((*type_name).to_owned(), place(name)));
    let one_of = OneOfBuilder::new()
        .description(Some(description))
        .discriminator(Some(Discriminator::with_mapping("type", mapping.collect::<Vec<_>>())));
    let one_of = types.iter().fold(one_of, |one_of, (name, _)| one_of.item(Ref::new(place(name))));
    RefOr::T(one_of.into())
}

/// The name of the schema of the type `type_name` of several: `image` and `Content` make `ImageContent`.
pub fn type_schema_name(type_name: &str, family: &str) -> String {
    let mut letters = type_name.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).chain(family.chars()).collect()
}

/// Adds the schema of one of several types, and those that it refers to.
pub fn push_type<T: ToSchema>(schemas: &mut Named, name: String, object: Object) {
    schemas.push((name, RefOr::T(object.into())));
    T::schemas(schemas);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_tagged_schema_has_its_type_and_what_all_have() {
        let own = of(json!({ "type": "object", "properties": { "a": { "type": "string" } }, "required": ["a"] }));
        let common = of(json!({ "type": "object", "properties": { "id": { "type": "string" } }, "required": ["id"] }));
        let made = serde_json::to_value(with_common(tagged("x", own), common)).unwrap();
        assert_eq!(made["required"], json!(["type", "a", "id"]));
        assert_eq!(made["properties"]["type"], json!({ "type": "string", "enum": ["x"] }));
        assert_eq!(made["additionalProperties"], json!(false));
        assert_eq!(type_schema_name("lowerThird", "Content"), "LowerThirdContent");
    }
}

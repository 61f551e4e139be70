//! `table`: rows and columns of text, with a header, striped rows and lines.
//!
//! Columns have a width in pixels or share what is left equally; rows are equally high. A text wider than its cell is
//! cut at the cell's edge, rows beyond the box are not drawn. Without a size the box is as wide as the canvas and as
//! high as all rows. Wrapped cells, joined cells and styles for single cells are not here.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Kind, Planner, Style, TEXT_LEN_MAX, text::set};
use crate::{
    base::colour::Rgba,
    scene::{
        check::Check,
        draw::{Align, Fill, Outline, Paint, Raster, Shape},
        geometry::Rect,
    },
};

/// Most columns.
const COLUMNS_MAX: usize = 16;
/// Most rows, without the header.
const ROWS_MAX: usize = 64;

/// The document of a table layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Table {
    /// 1 to 16, from left to right.
    pub columns: Vec<Column>,
    /// Up to 64 rows, each with a text for each column.
    pub rows: Vec<Vec<String>>,
    /// The cells' texts. `align` is the column's affair; `padding` is that of each cell; `background` and
    /// `cornerRadius` are those of the whole table.
    #[serde(default)]
    pub style: Style,
    /// The titles' texts; as the cells', but bold, when left out. Its `background` lies behind the header row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header_style: Option<Style>,
    /// Height of a row in pixels; a line of its text and the padding when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 4096)]
    pub row_height: Option<f64>,
    /// Behind every second row, the second one first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zebra: Option<Rgba>,
    /// Between rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<TableLine>,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Column {
    /// What stands above it; there is a header when some column has a title.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub title: String,
    /// Pixels, 1 to 16384; a share of what is left when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 16384)]
    pub width: Option<f64>,
    /// Of the title and the texts.
    #[serde(default)]
    pub align: Align,
}

/// A line between two rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TableLine {
    /// Straight sRGB colour.
    pub color: Rgba,
    /// Pixels, 0.1 to 100.
    #[schema(minimum = 0.1, maximum = 100)]
    pub width: f64,
}

impl Kind for Table {
    const TYPE: &'static str = "table";

    fn check(&self, check: &mut Check) {
        check.count("/columns", "columns", self.columns.len(), 1..=COLUMNS_MAX);
        for (i, column) in self.columns.iter().enumerate() {
            column.width.iter().for_each(|&width| check.range(&format!("/columns/{i}/width"), width, 1.0..=16_384.0));
        }
        check.count("/rows", "rows", self.rows.len(), 0..=ROWS_MAX);
        for (i, row) in self.rows.iter().enumerate() {
            check.count(&format!("/rows/{i}"), "cells", row.len(), self.columns.len()..=self.columns.len());
        }
        let texts = self.rows.iter().flatten().chain(self.columns.iter().map(|column| &column.title));
        check.count("/rows", "bytes with the titles", texts.map(String::len).sum(), 0..=TEXT_LEN_MAX);
        check.part("/style", |check| self.style.check(check));
        self.header_style.iter().for_each(|style| check.part("/headerStyle", |check| style.check(check)));
        self.row_height.iter().for_each(|&height| check.range("/rowHeight", height, 1.0..=4096.0));
        self.line.iter().for_each(|line| check.range("/line/width", line.width, 0.1..=100.0));
    }

    fn fonts(&self) -> Vec<&str> {
        let styles = [&self.style].into_iter().chain(&self.header_style);
        styles.map(|style| style.font.as_str()).collect()
    }

    fn plan(&self, planner: &mut Planner<'_>) {
        let header = self.header();
        let lines: Vec<Line<'_>> = header.iter().map(|style| self.title_line(style)).chain(self.cell_lines()).collect();
        let height = lines.iter().map(|line| self.height(line.style)).sum::<f32>();
        let size = planner.size_or([planner.size_or_canvas()[0], height.ceil().max(1.0)]);
        self.style.plan_background(planner, size);
        let columns = self.spans(size[0]);
        let mut top = 0.0;
        for (i, line) in lines.iter().enumerate() {
            let height = self.height(line.style);
            if top >= size[1] {
                return;
            }
            line.background.iter().for_each(|&c| fill(planner, size, Rect::new(0.0, top, size[0], height), c));
            if let Some(TableLine { color, width }) = self.line.as_ref().filter(|_| i > 0) {
                let width = *width as f32;
                fill(planner, size, Rect::new(0.0, top - width / 2.0, size[0], width), *color);
            }
            for ((column, &span), text) in self.columns.iter().zip(&columns).zip(&line.texts) {
                plan_cell(planner, size, (line.style, column.align), text, Rect::new(span[0], top, span[1], height));
            }
            top += height;
        }
    }
}

/// A row that is to be drawn.
struct Line<'a> {
    texts: Vec<&'a str>,
    style: &'a Style,
    background: Option<Rgba>,
}

impl Table {
    /// The style of the header, if there is one.
    fn header(&self) -> Option<Style> {
        let has_titles = self.columns.iter().any(|column| !column.title.is_empty());
        let bold = || Style { weight: self.style.weight.max(700), background: None, ..self.style.clone() };
        has_titles.then(|| self.header_style.clone().unwrap_or_else(bold))
    }

    fn title_line<'a>(&'a self, style: &'a Style) -> Line<'a> {
        let texts = self.columns.iter().map(|column| column.title.as_str()).collect();
        Line { texts, style, background: style.background }
    }

    fn cell_lines(&self) -> impl Iterator<Item = Line<'_>> {
        self.rows.iter().enumerate().map(|(i, row)| {
            let texts = row.iter().map(String::as_str).collect();
            Line { texts, style: &self.style, background: self.zebra.filter(|_| i % 2 == 1) }
        })
    }

    fn height(&self, style: &Style) -> f32 {
        let own = (style.size * style.line_height + 2.0 * style.padding).ceil();
        self.row_height.unwrap_or(own) as f32
    }

    /// Left edge and width of each column in a box of this width.
    fn spans(&self, width: f32) -> Vec<[f32; 2]> {
        let given: f32 = self.columns.iter().filter_map(|column| column.width).sum::<f64>() as f32;
        let open = self.columns.iter().filter(|column| column.width.is_none()).count();
        let share = ((width - given) / open.max(1) as f32).max(1.0);
        let mut left = 0.0;
        let widths = self.columns.iter().map(|column| column.width.map_or(share, |width| width as f32));
        let place = |width| {
            left += width;
            [left - width, width]
        };
        widths.map(place).collect()
    }
}

fn fill(planner: &mut Planner<'_>, size: [f32; 2], rect: Rect, colour: Rgba) {
    let outline = Outline::Rectangle { rect, radius: 0.0 };
    planner.draw(size, Paint::Shape(Arc::new(Shape { outline, fill: Some(Fill::Solid(colour)), stroke: None })));
}

fn plan_cell(planner: &mut Planner<'_>, size: [f32; 2], (style, align): (&Style, Align), text: &str, cell: Rect) {
    if text.is_empty() {
        return;
    }
    let padding = style.padding as f32;
    let inside = (cell.w - 2.0 * padding).max(1.0);
    let mut raster = style.raster(planner, text.replace(['\n', '\r'], " "), Some(inside), false);
    raster.align = align;
    let raster = Arc::new(raster);
    let Some(block) = planner.extent(&Raster::Text(raster.clone())) else { return };
    let y = style.vertical_align.offset(cell.h - 2.0 * padding - block[1]);
    planner.draw(size, set(raster, block, [cell.x + padding, cell.y + padding + y]));
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::scene::content::testing::{plan, problem, texts};

    fn table(fields: Value) -> Value {
        let mut document = json!({ "type": "table", "columns": [{ "width": 30, "align": "right" }, {}, {}],
            "rows": [["1", "Ada", "12"], ["2", "Bob", ""]], "style": { "size": 20, "padding": 3 } });
        json_patch::merge(&mut document, &fields);
        document
    }

    #[test]
    fn cells_lie_in_rows_and_columns() {
        // Rows are 24 + 2 * 3 px high; the two open columns share 200 - 30 px.
        let found = texts(&plan(table(json!({})), json!({ "width": 200 })));
        let expected = [
            ("1", Rect::new(3.0, 3.0, 24.0, 24.0)),
            ("Ada", Rect::new(33.0, 3.0, 79.0, 24.0)),
            ("12", Rect::new(118.0, 3.0, 79.0, 24.0)),
            ("2", Rect::new(3.0, 33.0, 24.0, 24.0)),
            ("Bob", Rect::new(33.0, 33.0, 79.0, 24.0)),
        ];
        assert_eq!(found, expected.map(|(text, rect)| (text.to_string(), rect)));
        let items = plan(table(json!({})), json!({ "width": 200 }));
        assert_eq!(items[0].clip, Rect::at_origin([200.0, 60.0]));
        let Paint::Raster { raster: Raster::Text(raster), .. } = &items[0].paint else { panic!("a text") };
        assert_eq!(raster.align, Align::Right);
    }

    #[test]
    fn a_header_stripes_and_lines() {
        let columns = json!([{ "title": "#" }, { "title": "Name" }, {}]);
        let document =
            table(json!({ "columns": columns, "zebra": "#112233", "line": { "color": "#ffffff", "width": 2 },
            "headerStyle": { "size": 10, "background": "#445566" } }));
        let items = plan(document, json!({ "width": 200 }));
        let fills: Vec<_> = items
            .iter()
            .filter_map(|item| match &item.paint {
                Paint::Shape(shape) => Some((shape.outline.clone(), shape.fill.clone())),
                _ => None,
            })
            .collect();
        let expected = |y, h, colour: &str| {
            let outline = Outline::Rectangle { rect: Rect::new(0.0, y, 200.0, h), radius: 0.0 };
            (outline, Some(Fill::Solid(colour.parse().unwrap())))
        };
        // The header is 12 px high, each row 30 px; the stripe is behind the second row.
        let all = [(0.0, 12.0, "#445566"), (11.0, 2.0, "#ffffff"), (42.0, 30.0, "#112233"), (41.0, 2.0, "#ffffff")];
        assert_eq!(fills, all.map(|(y, h, colour)| expected(y, h, colour)));
        assert_eq!(texts(&items).len(), 7, "two titles and five cells");
    }

    #[test]
    fn rows_beyond_the_box_are_not_drawn() {
        assert_eq!(texts(&plan(table(json!({})), json!({ "width": 200, "height": 30 }))).len(), 3);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (fields, pointer) in [
            (json!({ "rows": [["1", "2"]] }), "/content/rows/0"),
            (json!({ "columns": [] }), "/content/columns"),
            (json!({ "columns": [{ "width": 0 }, {}, {}] }), "/content/columns/0/width"),
            (json!({ "columns": [{ "colour": 0 }, {}, {}] }), "/content/columns/0/colour"),
            (json!({ "style": { "size": 0 } }), "/content/style/size"),
            (json!({ "line": { "color": "#ffffff", "width": 0 } }), "/content/line/width"),
            (json!({ "rowHeight": 0 }), "/content/rowHeight"),
        ] {
            assert_eq!(problem(table(fields)).0, pointer);
        }
    }
}

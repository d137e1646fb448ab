//! SVG (W3C, SVG 1.1), as much of it as plots need: shapes with attributes of their own, no styles, scripts or fonts, so
//! that small viewers show the same as browsers. Edge: every text is escaped here, and nowhere else.

use std::fmt::Write;

use super::type_face::FAMILY;
use crate::page::printable;

/// A drawing under way. Lengths are pixels, from the top left.
pub(super) struct Svg {
    body: String,
    gradients: String,
}

/// Where a text stands at its x.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// How a text looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Type {
    pub(super) size: f64,
    pub(super) fill: &'static str,
    pub(super) bold: bool,
    pub(super) anchor: Anchor,
}

impl Type {
    pub(super) const fn new(size: f64, fill: &'static str) -> Self {
        Self { size, fill, bold: false, anchor: Anchor::Start }
    }

    pub(super) const fn bold(self) -> Self {
        Self { bold: true, ..self }
    }

    pub(super) const fn at(self, anchor: Anchor) -> Self {
        Self { anchor, ..self }
    }
}

impl Svg {
    pub(super) fn new() -> Self {
        Self { body: String::new(), gradients: String::new() }
    }

    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), colour: &str, dashes: &str) {
        let dashes =
            if dashes.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{dashes}\"") };
        let _ = writeln!(
            self.body,
            "<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" stroke=\"{colour}\" stroke-width=\"1\"{dashes}/>",
            short(from.0),
            short(from.1),
            short(to.0),
            short(to.1)
        );
    }

    /// A filled shape; who points at it reads `tip`.
    pub(super) fn polygon(&mut self, points: &[(f64, f64)], fill: &str, tip: &str) {
        let points: Vec<_> = points.iter().map(|(x, y)| format!("{},{}", short(*x), short(*y))).collect();
        let _ = writeln!(
            self.body,
            "<polygon points=\"{}\" fill=\"{fill}\"><title>{}</title></polygon>",
            points.join(" "),
            escaped(tip)
        );
    }

    /// A filled rectangle between two corners.
    pub(super) fn rectangle(&mut self, from: (f64, f64), to: (f64, f64), fill: &str) {
        let _ = writeln!(
            self.body,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{fill}\"/>",
            short(from.0),
            short(from.1),
            short(to.0 - from.0),
            short(to.1 - from.1)
        );
    }

    pub(super) fn circle(&mut self, at: (f64, f64), radius: f64, fill: &str) {
        let _ = writeln!(
            self.body,
            "<circle cx=\"{}\" cy=\"{}\" r=\"{}\" fill=\"{fill}\"/>",
            short(at.0),
            short(at.1),
            short(radius)
        );
    }

    /// A text with its base line at y.
    pub(super) fn text(&mut self, at: (f64, f64), look: Type, text: &str) {
        self.texts(at, look, &[(text, look.fill)]);
    }

    /// Parts of one text, each in its colour.
    pub(super) fn texts(&mut self, at: (f64, f64), look: Type, parts: &[(&str, &str)]) {
        let weight = if look.bold { " font-weight=\"600\"" } else { "" };
        let anchor = match look.anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let _ = write!(
            self.body,
            "<text x=\"{}\" y=\"{}\" font-size=\"{}\" fill=\"{}\"{weight}{anchor}>",
            short(at.0),
            short(at.1),
            short(look.size),
            look.fill
        );
        for (part, fill) in parts.iter().filter(|(part, _)| !part.is_empty()) {
            if *fill == look.fill {
                self.body.push_str(&escaped(part));
            } else {
                let _ = write!(self.body, "<tspan fill=\"{fill}\">{}</tspan>", escaped(part));
            }
        }
        self.body.push_str("</text>\n");
    }

    /// Declares a gradient from the bottom up, to be filled with `url(#name)`.
    pub(super) fn gradient(&mut self, name: &str, colours: &[&str]) {
        let _ =
            writeln!(self.gradients, "<linearGradient id=\"{name}\" x1=\"0\" y1=\"1\" x2=\"0\" y2=\"0\">");
        let last = colours.len().saturating_sub(1).max(1);
        for (place, colour) in colours.iter().enumerate() {
            let offset = short(place as f64 / last as f64);
            let _ = writeln!(self.gradients, "<stop offset=\"{offset}\" stop-color=\"{colour}\"/>");
        }
        self.gradients.push_str("</linearGradient>\n");
    }

    /// The whole file, on white. `title` and `description` say what it shows to who cannot see it.
    pub(super) fn finish(self, width: f64, height: f64, title: &str, description: &str) -> String {
        let (width, height) = (short(width), short(height));
        let defs = if self.gradients.is_empty() {
            String::new()
        } else {
            format!("<defs>\n{}</defs>\n", self.gradients)
        };
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
             role=\"img\" font-family=\"{FAMILY}\">\n<title>{}</title>\n<desc>{}</desc>\n{defs}\
             <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n{}</svg>\n",
            escaped(title),
            escaped(description),
            self.body
        )
    }
}

/// A length to a hundredth of a pixel.
fn short(length: f64) -> String {
    let text = format!("{length:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.into() }
}

/// Text from outside as character data: neither markup, nor a character that XML has no place for (XML 1.0 §2.2), nor one that turns
/// the direction of writing.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in printable(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_is_markup() {
        let mut svg = Svg::new();
        let hostile = "</title><script>alert('1')</script>\u{1b}[31m\u{0}\u{ffff}\u{202e}&amp;\"";
        svg.text((1.0, 2.0), Type::new(12.0, "#000000"), hostile);
        svg.polygon(&[(0.0, 0.0)], "#000000", hostile);
        let file = svg.finish(10.0, 10.0, hostile, hostile);
        assert!(
            !file.contains("<script") && !file.contains('\u{1b}') && !file.contains('\u{202e}'),
            "{file}"
        );
        assert!(!file.contains('\u{0}') && !file.contains('\u{ffff}'), "{file}");
        assert_eq!(file.matches("&lt;script&gt;alert(&#39;1&#39;)").count(), 4, "{file}");
        assert_eq!(file.matches("&amp;amp;&quot;").count(), 4, "{file}");
    }

    #[test]
    fn lengths_are_short() {
        for (length, expected) in [(1.0, "1"), (0.125, "0.12"), (-0.001, "0"), (12.5, "12.5"), (100.0, "100")]
        {
            assert_eq!(short(length), expected);
        }
    }
}
